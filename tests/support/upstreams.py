"""The served API in front of another endpoint, and its book read from outside."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.endpoints.client import Endpoint
from pipelines.endpoints.dialects.flux import DIALECT
from pipelines.endpoints.models import Abilities, ImageModel
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.rates import FlatRate
from pipelines.server.config import EngineKind, ServerConfig, UpstreamConfig
from pipelines.server.running import serve_in_thread

FLUX_MODEL = price_list("flux").model("flux-1-schnell")


# A seller whose answers state no cost, and what it sells.
SILENT_DIALECT = replace(DIALECT, name="silent", states_bills=False)
SILENT_MODEL = ImageModel("painter", "vendor/painter", Abilities(), FlatRate(Decimal("0.04")))


@contextlib.contextmanager
def passing_on(endpoint: Endpoint | str, folder: Path, *, rate_limit: int = 0, **more: Any) -> Iterator[str]:
    """Serve the API in front of an endpoint for as long as the block lasts, its book in a folder; yield its address.

    Args:
        endpoint: or the address of one of this API.
        folder: of the book.
        rate_limit: see `ServerConfig`.
        more: of `UpstreamConfig`, and a token for `ServerConfig`.
    """
    if isinstance(endpoint, str):
        endpoint = Endpoint(endpoint, DIALECT, FLUX_MODEL)
    token = more.pop("token", None)
    config = UpstreamConfig(endpoint, folder / "book.db", **more)
    serving = ServerConfig(engine=EngineKind.UPSTREAM, rate_limit=rate_limit, token=token, upstream=config)
    with serve_in_thread(serving) as url:
        yield url


def book_rows(book: Path) -> list[dict[str, Any]]:
    """Return the rows of a book, oldest first, as any SQLite program reads them, whether a server writes it or not."""
    with contextlib.closing(sqlite3.connect(f"{book.absolute().as_uri()}?mode=ro", uri=True)) as reader:
        reader.row_factory = sqlite3.Row
        return [dict(row) for row in reader.execute("SELECT * FROM requests ORDER BY id")]
