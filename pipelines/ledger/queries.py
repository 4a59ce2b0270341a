"""The queries of the ledger: kept takes, sums of attempts, remaining budgets, the ledger as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, RowMapping, case, func, select

from pipelines.common.budgets import BudgetScope
from pipelines.common.files import write_atomic
from pipelines.common.formatting import format_decimal
from pipelines.endpoints.prices import PRICE_LIST, Price
from pipelines.ledger.budgets import remaining
from pipelines.ledger.database import LedgerDatabase, LedgerPart
from pipelines.ledger.gate import current_pace
from pipelines.ledger.models import AttemptStatus, KeptTake, Run, TakeLoss, Totals
from pipelines.ledger.remarks import parse_remarks
from pipelines.ledger.schema import attempts, corrections
from pipelines.ledger.settlement import LOST

COLUMNS = (
    "attempt_id", "run_id", "storyboard", "frame", "scene", "shot", "take", "try", "request_key", "endpoint", "prompt",
    "steps", "aspect_ratio", "status", "http_status", "error", "reserved_usd", "cost_usd", "cost_thb", "neurons",
    "width", "height", "tiles", "latency_s", "sent_at", "finished_at", "file", "sha256", "model", "simulated",
    "settled_by", "settled_at", "settled_why", "cost_basis", "stated_steps", "remarks", "lane",
)  # fmt: skip

# SQLite takes 32,766 variables in a statement, older builds 999: https://www.sqlite.org/limits.html
_KEYS_A_QUERY = 500
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
                rows = connection.execute(select(attempts).where(kept).order_by(attempts.c.attempt_id)).mappings()
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
        """Write the ledger of a storyboard as CSV, whole or not at all; see `ledger_csv`.

        Raises:
            StorageError: the file could not be written.
        """
        write_atomic(path, ledger_csv(self.database, storyboard).encode())


def ledger_csv(database: LedgerDatabase, storyboard: str, *, columns: Sequence[str] = COLUMNS) -> str:
    """Return some columns of a storyboard's ledger as CSV (RFC 4180): a row for each attempt, oldest first."""
    text = io.StringIO(newline="")
    # CRLF, as RFC 4180 has it: before 3.13 the writer quotes a cell's CR only if it is part of the line's end.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    rows = _rows(database, attempts.c.storyboard == storyboard)
    corrected = _corrections(database, storyboard)
    writer.writerows(_csv_row(row, corrected.get(row["attempt_id"]), columns) for row in rows)
    return text.getvalue()


def _rows(database: LedgerDatabase, which: ColumnElement[bool]) -> Sequence[RowMapping]:
    with database.reading() as connection:
        return connection.execute(select(attempts).where(which).order_by(attempts.c.attempt_id)).mappings().all()


def _corrections(database: LedgerDatabase, storyboard: str) -> dict[int, RowMapping]:
    """Return the last correction of each attempt that was settled by hand."""
    query = (
        select(corrections)
        .join(attempts, attempts.c.attempt_id == corrections.c.attempt_id)
        .where(attempts.c.storyboard == storyboard)
        .order_by(corrections.c.correction_id)
    )
    with database.reading() as connection:
        return {row["attempt_id"]: row for row in connection.execute(query).mappings()}


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
        cost=Price(usd, PRICE_LIST.thb(usd), _sum(row.neurons for row in rows)),
        estimated_usd=_sum(row.estimated_usd for row in rows),
        uncertain_usd=_sum(row.uncertain_usd for row in rows),
    )


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _status(row: RowMapping) -> AttemptStatus:
    """Return the way in which an attempt ended; unknown while it is open."""
    return AttemptStatus(row["status"] or AttemptStatus.UNKNOWN)


def _kept_take(row: RowMapping) -> KeptTake:
    return KeptTake(
        attempt_id=row["attempt_id"],
        request_key=row["request_key"],
        storyboard=row["storyboard"],
        file=row["file"],
        bytes=row["bytes"],
        sha256=row["sha256"],
        prompt=row["prompt"],
        cost_usd=row["cost_usd"],
        width=row["width"],
        height=row["height"],
        remarks=parse_remarks(row["remarks"]),
        place=row["place"],
    )


def _csv_row(row: RowMapping, correction: RowMapping | None, columns: Sequence[str]) -> Iterator[str]:
    derived = {
        "status": _status(row).value,
        "cost_thb": None if row["cost_usd"] is None else PRICE_LIST.thb(row["cost_usd"]),
        "latency_s": None if row["finished_at"] is None else Decimal(row["finished_at"] - row["sent_at"]) / 1_000_000,
        "sent_at": _iso(row["sent_at"]),
        "finished_at": _iso(row["finished_at"]),
        "simulated": str(row["simulated"]).lower(),
        "settled_by": correction and correction["corrected_by"],
        "settled_at": _iso(correction["corrected_at"] if correction else None),
        "settled_why": correction and correction["reason"],
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
