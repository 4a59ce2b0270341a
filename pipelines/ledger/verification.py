"""The verification of the ledger: against the takes on disk, the price list, its own sums, and ledger.csv."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from sqlalchemy import RowMapping, func, select

from pipelines.common.budgets import BudgetScope
from pipelines.common.files import hash_file
from pipelines.common.formatting import counted, format_decimal, format_known
from pipelines.common.geometry import AspectRatio
from pipelines.common.picture_file import UnreadablePictureError
from pipelines.endpoints.dialects.registry import DEFAULT_DIALECT
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.rates import tiles_of
from pipelines.endpoints.requests import ImageRequest
from pipelines.ledger.budgets import charged_usd, scopes_of
from pipelines.ledger.database import LedgerDatabase, LedgerPart
from pipelines.ledger.models import CostBasis, TakeLoss
from pipelines.ledger.queries import COLUMNS, ledger_csv
from pipelines.ledger.schema import attempts, corrections, runs, spending
from pipelines.ledger.settlement import LOST


class Verification(LedgerPart):
    """Compares the ledger with everything that has to agree with it."""

    def verify(self, storyboard: str, *, folder: Path, places: Collection[str] = ()) -> list[str]:
        """Return every difference found, each naming its attempt or file; an empty list if all agrees.

        Costs of the FLUX API are compared with its price list for what the answers state that they made. Other sellers
        are not bound to a list; see `billed_otherwise`.

        Args:
            storyboard: the storyboard's id.
            folder: the folder of its takes and its ledger.csv.
            places: the ids of the output folder that it is in.
        """
        rows = self._attempts(storyboard)
        return [
            *(difference for row in rows for difference in _verify_price(row)),
            *_verify_kept(rows, folder, places),
            *_verify_takes(self.database, folder),
            *_verify_sums(self.database, rows),
            *_verify_csv(self.database, storyboard, folder),
        ]

    def made_otherwise(self, storyboard: str) -> dict[str, list[int]]:
        """Return the attempts that made another image than was asked for, by what their answers state of it, in words.

        Their price follows what was made: that is no difference of the account.
        """
        return _by_words(self._attempts(storyboard), _made_otherwise)

    def billed_otherwise(self, storyboard: str) -> dict[str, list[int]]:
        """Return the attempts whose answers state another bill than the seller's price list, by the bill in words.

        The bill holds: that is no difference of the account.
        """
        return _by_words(self._attempts(storyboard), _billed_otherwise)

    def unsettled_attempts(self, storyboard: str) -> list[int]:
        """Return the closed attempts of unknown cost that have not been settled by hand yet, oldest first."""
        settled = select(corrections.c.attempt_id)
        query = (
            select(attempts.c.attempt_id)
            .where(attempts.c.storyboard == storyboard, attempts.c.status.is_not(None), attempts.c.cost_usd.is_(None))
            .where(attempts.c.attempt_id.not_in(settled))
            .order_by(attempts.c.attempt_id)
        )
        with self.database.reading() as connection:
            return list(connection.scalars(query))

    def _attempts(self, storyboard: str) -> Sequence[RowMapping]:
        """Return a storyboard's attempts, oldest first, each with the dialect that it was sent in."""
        dialect = func.coalesce(runs.c.dialect, DEFAULT_DIALECT).label("dialect")
        query = (
            select(attempts, dialect)
            .outerjoin(runs, runs.c.run_id == attempts.c.run_id)
            .where(attempts.c.storyboard == storyboard)
            .order_by(attempts.c.attempt_id)
        )
        with self.database.reading() as connection:
            return connection.execute(query).mappings().all()


def _by_words(rows: Iterable[RowMapping], words_of: Callable[[RowMapping], str | None]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for row in rows:
        if words := words_of(row):
            found[words].append(row["attempt_id"])
    return dict(found)


def _verify_price(row: RowMapping) -> Iterator[str]:
    if row["dialect"] != DEFAULT_DIALECT:
        return
    name = f"attempt {row['attempt_id']}"
    tiles, steps = _stated_work(row)
    rates = price_list(DEFAULT_DIALECT).model(row["model"]).rates
    price = rates.price(AspectRatio(row["aspect_ratio"]).size, steps=steps, tiles=tiles)
    of_work = f"for {counted(tiles, 'tile')} and {counted(steps, 'step')} the price list says"
    # Zero: an answer that is never billed. None: not known. Settled: as right as the hand that did it. What was stated
    # must be the list price, to the last digit.
    stated = row["cost_basis"] == CostBasis.STATED
    if row["cost_usd"] not in (None, Decimal(0), price.usd) and stated:
        yield f"{name}: cost {format_decimal(row['cost_usd'])} USD, {of_work} {format_decimal(price.usd)}"
    if row["neurons"] not in (None, price.neurons):
        yield f"{name}: {format_decimal(row['neurons'])} neurons, {of_work} {format_known(price.neurons)}"


def _made_otherwise(row: RowMapping) -> str | None:
    """Return how an image was made otherwise than asked, as its answer states it; None where it was not."""
    asked = AspectRatio(row["aspect_ratio"]).size
    figures = (("tiles", row["tiles"], tiles_of(asked)), ("steps", row["stated_steps"], row["steps"]))
    others = [f"{made} {what} instead of {wanted}" for what, made, wanted in figures if made not in (None, wanted)]
    return " and ".join(others) or None


def _billed_otherwise(row: RowMapping) -> str | None:
    """Return how an image was billed otherwise than its seller's list has it, in neurons; None where it was not."""
    if row["neurons"] is None or row["dialect"] == DEFAULT_DIALECT:
        return None
    model = price_list(row["dialect"]).find(row["model"])
    if not model.is_priced:
        return None
    listed = model.price_of(ImageRequest(row["prompt"], row["steps"], AspectRatio(row["aspect_ratio"]))).neurons
    if listed in (None, row["neurons"]):
        return None
    return f"{format_decimal(row['neurons'])} neurons instead of {format_known(listed)}"


def _stated_work(row: RowMapping) -> tuple[int, int]:
    """Return the tiles and steps that an answer states; where it states none, those that were asked for."""
    asked = tiles_of(AspectRatio(row["aspect_ratio"]).size)
    return (
        asked if row["tiles"] is None else row["tiles"],
        row["steps"] if row["stated_steps"] is None else row["stated_steps"],
    )


def _verify_kept(rows: Sequence[RowMapping], folder: Path, places: Collection[str]) -> Iterator[str]:
    kept = defaultdict(list)
    for row in rows:
        if row["status"] == "ok":
            kept[row["request_key"]].append(row)
    for same in kept.values():
        # Without a file: the take was lost. That is no difference where a later attempt has replaced it.
        there = [row for row in same if row["file"] is not None]
        if not there:
            loss = (same[-1]["error"] or f"{LOST}{TakeLoss.GONE}").removeprefix(LOST)
            yield f"attempt {same[-1]['attempt_id']}: its take is {loss}; render again to generate another"
        for row in there:
            yield from _verify_file(row, folder, places)
        for row in there[1:]:
            first = there[0]["attempt_id"]
            yield f"attempt {row['attempt_id']}: generated what attempt {first} had generated; see {row['file']}"


def _verify_file(row: RowMapping, folder: Path, places: Collection[str]) -> Iterator[str]:
    name = f"attempt {row['attempt_id']}: its take {row['file']}"
    there = (folder / row["file"]).is_file()
    if not there and row["place"] is not None and row["place"] not in places:
        yield f"{name} lies in another output folder, of the id {row['place']}: verify it where that is seen"
    elif not there:
        yield f"{name} is gone; render again to generate another"
    elif hash_file(folder / row["file"]) != row["sha256"]:
        yield f"{name} is not the one that was generated: the sha-256 differs"
    elif reason := _why_unreadable(folder / row["file"]):
        yield f"{name} is unreadable: {reason}; render again to set it aside"


def _why_unreadable(path: Path) -> str | None:
    # Only here: it imports Pillow, and most commands open the ledger without verifying it.
    from pipelines.common.imaging import open_picture, require_whole

    try:
        require_whole(open_picture(path))
    except UnreadablePictureError as exc:
        return str(exc)
    return None


def _verify_takes(database: LedgerDatabase, folder: Path) -> Iterator[str]:
    """Yield the takes on disk that no attempt of any storyboard has generated: storyboards share takes."""
    # Names that begin with a dot are bodies that are just arriving.
    found = sorted(path for path in (folder / "takes").glob("[!.]*.*") if path.is_file())
    with database.reading() as connection:
        known = set(connection.scalars(select(attempts.c.request_key).where(attempts.c.status == "ok").distinct()))
    for path in found:
        if path.stem not in known:
            yield f"takes/{path.name}: no attempt has generated it"


def _verify_sums(database: LedgerDatabase, rows: Sequence[RowMapping]) -> Iterator[str]:
    """Compare the sums that budgets are held against with the attempts that they are the sums of."""
    # Not those of days: they add up several storyboards.
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    last: dict[str, int] = {}
    for row in rows:
        scopes = scopes_of(row)
        for scope in (scopes[BudgetScope.RUN], scopes[BudgetScope.STORYBOARD]):
            sums[scope] += charged_usd(row)
            last[scope] = row["attempt_id"]
    with database.reading() as connection:
        committed = {row.scope: row.committed_usd for row in connection.execute(select(spending))}
    for scope, total in sums.items():
        if committed.get(scope, 0) != total:
            yield (
                f"attempt {last[scope]} and those before it come to {format_decimal(total)} USD, "
                f"the ledger's sum for {scope} is {format_decimal(committed.get(scope, Decimal(0)))}"
            )


def _verify_csv(database: LedgerDatabase, storyboard: str, folder: Path) -> Iterator[str]:
    path = folder / "ledger.csv"
    if not path.is_file():
        yield f"{path}: is gone; render again, or write it with --csv"
        return
    data = path.read_bytes()
    # An older version's has fewer columns; new ones come last.
    count = data.partition(b"\r\n")[0].count(b",") + 1
    # Bytes, so that changed line ends and broken text are found too.
    if data != ledger_csv(database, storyboard, columns=COLUMNS[:count]).encode():
        yield f"{path}: is not what the ledger says; render again, or write it with --csv"
