"""The queries of the ledger: kept takes, sums of attempts, remaining budgets, the ledger as CSV."""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, RowMapping, Select, case, func, select

from pipelines.common.budgets import BudgetScope
from pipelines.common.files import atomic_path
from pipelines.common.formatting import format_decimal
from pipelines.common.processes import this_host
from pipelines.endpoints.amounts import Price, in_baht
from pipelines.ledger.budgets import remaining
from pipelines.ledger.database import LedgerDatabase, LedgerPart
from pipelines.ledger.gate import current_pace
from pipelines.ledger.models import AttemptStatus, KeptTake, Run, TakeLoss, Totals
from pipelines.ledger.remarks import parse_remarks
from pipelines.ledger.schema import attempts, corrections, runs
from pipelines.ledger.settlement import LOST

COLUMNS = (
    "attempt_id", "run_id", "storyboard", "frame", "scene", "shot", "take", "try", "request_key", "endpoint", "prompt",
    "steps", "aspect_ratio", "status", "http_status", "error", "reserved_usd", "cost_usd", "cost_thb", "neurons",
    "width", "height", "tiles", "latency_s", "sent_at", "finished_at", "file", "sha256", "model", "simulated",
    "settled_by", "settled_at", "settled_why", "cost_basis", "stated_steps", "remarks", "lane",
)  # fmt: skip

_OF_KEPT_TAKE = [attempts.c[each.name] for each in fields(KeptTake)]
# SQLite takes 32,766 variables in a statement, older builds 999: https://www.sqlite.org/limits.html
_KEYS_A_QUERY = 500
# Rows that are in memory at once while the CSV is written: more is no faster.
_ROWS_AT_ONCE = 500
# The longest that NFS keeps what it knows of a folder is a minute: nfs(5), acdirmax.
_LATE_US = 120_000_000
# What a spreadsheet takes for the beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class Queries(LedgerPart):
    """Reads the ledger: kept takes, sums of attempts, remaining budgets, the ledger as CSV."""

    def kept_takes(self, request_keys: Iterable[str]) -> list[KeptTake]:
        """Return every take that is kept for these request keys according to the ledger, oldest first."""
        takes: list[KeptTake] = []
        keys = iter(request_keys)
        with self.database.reading() as connection:
            while chunk := list(islice(keys, _KEYS_A_QUERY)):
                kept = attempts.c.request_key.in_(chunk) & (attempts.c.status == "ok") & attempts.c.file.is_not(None)
                rows = connection.execute(select(*_OF_KEPT_TAKE).where(kept).order_by(attempts.c.attempt_id))
                takes.extend(_kept_take(row) for row in rows)
        return takes

    def lost_takes(self, request_keys: Iterable[str]) -> dict[str, TakeLoss]:
        """Return those of these request keys whose take was kept once and is forgotten, and what became of it last."""
        lost: dict[str, TakeLoss] = {}
        keys = iter(request_keys)
        with self.database.reading() as connection:
            while chunk := list(islice(keys, _KEYS_A_QUERY)):
                forgotten = attempts.c.request_key.in_(chunk) & (attempts.c.status == "ok") & attempts.c.file.is_(None)
                columns = select(attempts.c.request_key, attempts.c.error).where(forgotten)
                for row in connection.execute(columns.order_by(attempts.c.attempt_id)):
                    unreadable = (row.error or "").startswith(f"{LOST}{TakeLoss.UNREADABLE}")
                    lost[row.request_key] = TakeLoss.UNREADABLE if unreadable else TakeLoss.GONE
        return lost

    def kept_lately(self, attempt_ids: Collection[int]) -> frozenset[int]:
        """Return those of some attempts whose takes another machine has kept in the last two minutes.

        A shared folder may show their files here that much later.
        """
        found = (
            select(attempts.c.attempt_id)
            .join(runs, runs.c.run_id == attempts.c.run_id)
            .where(attempts.c.attempt_id.in_(attempt_ids), runs.c.host != this_host())
        )
        with self.database.reading() as connection:
            lately = attempts.c.finished_at > self.database.now(connection) - _LATE_US
            return frozenset(connection.scalars(found.where(lately)))

    def open_elsewhere(self, storyboard: str, *, places: Collection[str]) -> dict[str, str]:
        """Return the takes of a storyboard that were sent in other output folders and not closed there, by their place.

        Args:
            storyboard: its id.
            places: the ids of the folder that is seen from here.
        """
        found = (
            select(attempts.c.request_key, runs.c.place)
            .join(runs, runs.c.run_id == attempts.c.run_id)
            .where(attempts.c.status.is_(None), attempts.c.storyboard == storyboard)
            .where(runs.c.place.is_not(None), runs.c.place.not_in(places))
        )
        with self.database.reading() as connection:
            return {row.request_key: row.place for row in connection.execute(found)}

    def run_totals(self, run_id: str) -> Totals:
        """Return the sums of one run's attempts."""
        with self.database.reading() as connection:
            return add_up(connection, attempts.c.run_id == run_id)

    def storyboard_totals(self, storyboard: str, *, simulated: bool) -> Totals:
        """Return the sums of a storyboard's attempts, either the real or the simulated ones; never both together."""
        with self.database.reading() as connection:
            return add_up(connection, (attempts.c.storyboard == storyboard) & (attempts.c.simulated == simulated))

    def requests_by_take(self, storyboard: str) -> dict[str, int]:
        """Return the number of attempts ever made for each take of a storyboard, by request key."""
        counted = select(attempts.c.request_key, func.count().label("made")).where(attempts.c.storyboard == storyboard)
        with self.database.reading() as connection:
            return {row.request_key: row.made for row in connection.execute(counted.group_by(attempts.c.request_key))}

    def paces(self, storyboard: str) -> dict[str, float]:
        """Return the pace of each endpoint that a storyboard's attempts were sent to: a share of its limit, 0 to 1.

        Where an endpoint was sent to in lanes, each has a pace of its own, under `ENDPOINT in lane NAME`.
        """
        used = select(attempts.c.endpoint, attempts.c.lane).where(attempts.c.storyboard == storyboard).distinct()
        with self.database.reading() as connection:
            lanes = sorted((row.endpoint, row.lane) for row in connection.execute(used))
            return {
                f"{endpoint} in lane {lane}" if lane else endpoint: current_pace(connection, endpoint, lane)
                for endpoint, lane in lanes
            }

    def remaining_budgets(self, run: Run) -> dict[BudgetScope, Decimal]:
        """Return what is left now of each budget that `run` has, in US dollars."""
        with self.database.reading() as connection:
            return remaining(connection, run, now=self.database.now(connection))

    def write_csv(self, storyboard: str, path: Path) -> None:
        """Write the ledger of a storyboard as CSV, row by row, whole or not at all; see `ledger_csv`.

        Raises:
            StorageError: the file could not be written.
        """
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            file.writelines(_csv_lines(self.database, storyboard, COLUMNS))


def ledger_csv(database: LedgerDatabase, storyboard: str, *, columns: Sequence[str] = COLUMNS) -> str:
    """Return some columns of a storyboard's ledger as CSV (RFC 4180): a row for each attempt, oldest first."""
    return "".join(_csv_lines(database, storyboard, columns))


def _csv_lines(database: LedgerDatabase, storyboard: str, columns: Sequence[str]) -> Iterator[str]:
    # CRLF, as RFC 4180 has it: before 3.13 the writer quotes a cell's CR only if it is part of the line's end.
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    yield writer.writerow(columns)
    # By a cursor on the server, where there is one: a ledger need not fit into memory.
    query = _with_correction(storyboard).execution_options(yield_per=_ROWS_AT_ONCE)
    with database.reading(streamed=True) as connection, connection.execute(query) as rows:
        for row in rows.mappings():
            yield writer.writerow(_csv_row(row, columns))


class _Echo:
    """A file that gives back what is written: a CSV writer then returns its rows."""

    def write(self, row: str) -> str:
        return row


def _with_correction(storyboard: str) -> Select[Any]:
    """Return the query for a storyboard's attempts, each with its last correction if it was settled by hand."""
    last = (
        select(func.max(corrections.c.correction_id))
        .where(corrections.c.attempt_id == attempts.c.attempt_id)
        .correlate(attempts)
        .scalar_subquery()
    )
    by_hand = (corrections.c.corrected_by, corrections.c.corrected_at, corrections.c.reason)
    return (
        select(attempts, *by_hand)
        .outerjoin(corrections, corrections.c.correction_id == last)
        .where(attempts.c.storyboard == storyboard)
        .order_by(attempts.c.attempt_id)
    )


def add_up(connection: Connection, which: ColumnElement[bool]) -> Totals:
    """Return the sums of some attempts, added up by the database: exact, since amounts are whole numbers there."""
    unknown = attempts.c.cost_usd.is_(None)
    sums = (
        select(
            attempts.c.status,
            func.count().label("requests"),
            func.sum(attempts.c.cost_usd).label("cost_usd"),
            func.sum(case((~unknown, attempts.c.neurons))).label("neurons"),
            func.sum(case((attempts.c.cost_basis == "estimated", attempts.c.cost_usd))).label("estimated_usd"),
            func.sum(case((unknown, attempts.c.reserved_usd))).label("uncertain_usd"),
        )
        .where(which)
        .group_by(attempts.c.status)
        .order_by(func.min(attempts.c.attempt_id))
    )
    rows = connection.execute(sums).all()
    by_status: Counter[AttemptStatus] = Counter()
    for row in rows:
        # NULL: the attempt is open; it may have been billed or not.
        by_status[AttemptStatus(row.status or AttemptStatus.UNKNOWN)] += row.requests
    usd = _sum(row.cost_usd for row in rows)
    return Totals(
        requests=by_status.total(),
        open=sum(row.requests for row in rows if row.status is None),
        by_status=dict(by_status),
        cost=Price(usd, in_baht(usd), _neurons(usd, [row.neurons for row in rows])),
        estimated_usd=_sum(row.estimated_usd for row in rows),
        uncertain_usd=_sum(row.uncertain_usd for row in rows),
    )


def _neurons(usd: Decimal, amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum of neurons; None where none are stated of what costs something: it is not billed in them."""
    known = [amount for amount in amounts if amount is not None]
    return None if usd and not known else _sum(known)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _status(row: RowMapping) -> AttemptStatus:
    """Return the way in which an attempt ended; unknown while it is open."""
    return AttemptStatus(row["status"] or AttemptStatus.UNKNOWN)


def _kept_take(row: Row[Any]) -> KeptTake:
    # By position: by name it takes twice as long, and every run reads them all.
    *values, remarks, place = row
    return KeptTake(*[*values, parse_remarks(remarks), place])


def _csv_row(row: RowMapping, columns: Sequence[str]) -> Iterator[str]:
    derived = {
        "status": _status(row).value,
        "cost_thb": None if row["cost_usd"] is None else in_baht(row["cost_usd"]),
        "latency_s": None if row["finished_at"] is None else Decimal(row["finished_at"] - row["sent_at"]) / 1_000_000,
        "sent_at": _iso(row["sent_at"]),
        "finished_at": _iso(row["finished_at"]),
        "simulated": str(row["simulated"]).lower(),
        "settled_by": row["corrected_by"],
        "settled_at": _iso(row["corrected_at"]),
        "settled_why": row["reason"],
        "remarks": "; ".join(remark.text for remark in parse_remarks(row["remarks"])),
    }
    for column in columns:
        yield _cell(derived[column] if column in derived else row[column])


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return format_decimal(value)
        case str() if value.startswith(_FORMULA_STARTS):
            # A leading apostrophe makes a spreadsheet show the text instead of running it.
            return f"'{value}"
        case _:
            return str(value)


def _iso(microseconds: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the millisecond."""
    if microseconds is None:
        return None
    # Whole seconds through fromtimestamp, the rest by hand: a float of today's microseconds is not exact.
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"
