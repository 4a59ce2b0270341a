"""Does the account hold? The books against the takes on disk, the price list, and the ledger as it was written."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from sqlalchemy import RowMapping, select

from pipelines.aspect import AspectRatio
from pipelines.files import hash_file
from pipelines.ledger.account import csv_text
from pipelines.ledger.books import Books
from pipelines.ledger.schema import attempts
from pipelines.pricing import PRICE_LIST, plain


def verify_storyboard(books: Books, storyboard: str, *, folder: Path) -> list[str]:
    """Return every difference found, each naming its attempt or file; an empty list if all agrees.

    Args:
        books: the books.
        storyboard: the storyboard's id.
        folder: where its takes and its ledger are.
    """
    query = select(attempts).where(attempts.c.storyboard == storyboard).order_by(attempts.c.attempt_id)
    with books.reading() as connection:
        rows = connection.execute(query).mappings().all()
    differences = [difference for row in rows for difference in _verify_attempt(row, folder)]
    return [*differences, *_verify_takes(rows, folder), *_verify_csv(books, storyboard, folder)]


def _verify_attempt(row: RowMapping, folder: Path) -> Iterator[str]:
    name = f"attempt {row['attempt_id']}"
    price = PRICE_LIST.image(AspectRatio(row["aspect_ratio"]).size, steps=row["steps"])
    if row["cost_usd"] not in (None, Decimal(0), price.usd):
        yield f"{name}: cost {plain(row['cost_usd'])} USD, the price list says {plain(price.usd)}"
    if row["neurons"] not in (None, price.neurons):
        yield f"{name}: {plain(row['neurons'])} neurons, the price list says {plain(price.neurons)}"
    if row["status"] == "ok":
        yield from _verify_file(name, row, folder)


def _verify_file(name: str, row: RowMapping, folder: Path) -> Iterator[str]:
    if row["file"] is None:
        yield f"{name}: its take is gone"
    elif not (folder / row["file"]).is_file():
        yield f"{name}: its take {row['file']} is gone"
    elif hash_file(folder / row["file"]) != row["sha256"]:
        yield f"{name}: its take {row['file']} is not the one that was bought: the sha-256 differs"


def _verify_takes(rows: Sequence[RowMapping], folder: Path) -> Iterator[str]:
    known = {row["request_key"] for row in rows if row["status"] == "ok"}
    for path in sorted((folder / "takes").glob("*.*")):
        if path.is_file() and not path.name.startswith(".") and path.stem not in known:
            yield f"takes/{path.name}: no attempt of this storyboard has bought it"


def _verify_csv(books: Books, storyboard: str, folder: Path) -> Iterator[str]:
    path = folder / "ledger.csv"
    if not path.is_file():
        yield f"{path}: is gone; render again, or write it with --csv"
    elif path.read_bytes() != csv_text(books, storyboard).encode():
        yield f"{path}: is not what the books say; render again, or write it with --csv"
