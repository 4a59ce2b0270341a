"""The tables of the ledger. Money and neurons are exact: whole numbers of a tiny unit, never floats."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Executable,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql, sqlite

# 2: gates.booked_at. 3: gates.pace, gates.slowed_at, leases.attempt_id, corrections; spending for runs.committed_usd.
# 4: takes, picks; the counters of runs. 5: attempts.cost_basis, .stated_steps, .remarks, .place, .lane, .group_id,
# .body_sha256; gates.lane; runs.seconds_left, .megapixels_per_s, .lane, .place, .group_id; folders, groups, given_up.
# 6: runs.address, .dialect, .model_id. See migrations.py.
SCHEMA_VERSION = 6
# The longest name of a lane.
LANE_CHARS = 64
# A gate's pace is a share of the rate limit, in millionths.
FULL_PACE = 1_000_000


class Exact(TypeDecorator[Decimal]):
    """A Decimal stored as a whole number of 10^-places: SQLite has no decimal type, and sums must be exact in SQL."""

    impl = BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Scale up; digits beyond `places`, the noise of a float, are rounded away."""
        return None if value is None else int(self.rounded(value).scaleb(self.places))

    def rounded(self, value: Decimal) -> Decimal:
        """Return `value` as it is stored."""
        return value.quantize(Decimal(1).scaleb(-self.places), rounding=ROUND_HALF_EVEN)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Scale down, without trailing zeros."""
        if value is None:
            return None
        exact = Decimal(value).scaleb(-self.places).normalize()
        return exact if exact.as_tuple().exponent <= 0 else exact.quantize(Decimal(1))  # type: ignore[operator]


class FilePath(TypeDecorator[Path]):
    """An absolute path stored as its file: URI: a name may hold bytes that are no text, which no database takes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Path | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write the path as a URI."""
        return None if value is None else value.as_uri()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Path | None:  # noqa: ARG002
        """Read the path from its URI."""
        return None if value is None else Path(os.fsdecode(unquote_to_bytes(urlsplit(value).path)))


# 63 bits hold 9.2 million dollars, and 9.2 trillion neurons.
Usd = Exact(12)
Neurons = Exact(6)
# Times are whole microseconds since 1970, UTC: exact, sortable, the same in every database.
Microseconds = BigInteger

metadata = MetaData()

meta = Table("storyreel", metadata, Column("schema_version", Integer, nullable=False))

gates = Table(
    "gates",
    metadata,
    Column("endpoint", String(2048), primary_key=True),
    # The address that its runs send from has a name: an endpoint counts each address for itself.
    Column("lane", String(LANE_CHARS), primary_key=True, server_default=""),
    # GCRA's theoretical arrival time: the earliest moment at which the next attempt may be sent.
    Column("tat", Microseconds, nullable=False),
    Column("cool_until", Microseconds, nullable=False),
    # When these two were written. A clock that shows less has been set back; see `Gate._lock`.
    Column("booked_at", Microseconds, nullable=False, server_default="0"),
    # The share of the rate limit that is aimed at, and when it was last lowered.
    Column("pace", Integer, nullable=False, server_default=str(FULL_PACE)),
    Column("slowed_at", Microseconds, nullable=False, server_default="0"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("storyboard", String(255), nullable=False),
    # What the rate limit belongs to.
    Column("endpoint", String(2048), nullable=False),
    # Where it was asked, as people gave it but for its secrets, and in which dialect. Without an address it was asked
    # as the storyboard said, or embedded.
    Column("address", String(2048)),
    Column("dialect", String(64)),
    Column("model", String(255), nullable=False),
    # The model as people named it, where that is not the short name above.
    Column("model_id", String(255)),
    Column("simulated", Boolean, nullable=False),
    Column("budget_usd", Usd),
    # The process, and until when it counts as alive if it runs on another machine; see `is_run_alive`. `pid_started` is
    # what `start_of` returns.
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Column("alive_until", Microseconds, nullable=False),
    Column("started_at", Microseconds, nullable=False),
    # NULL until the run has ended in order; a killed one leaves both so.
    Column("finished_at", Microseconds),
    Column("state", String(32)),
    # Its counters as last reported, under their names of version 4; see `COUNTER_COLUMNS`.
    Column("stage", String(64)),
    Column("frames", Integer),
    Column("reused", Integer),
    Column("to_buy", Integer),
    Column("bought", Integer),
    Column("failed", Integer),
    Column("pieces", Integer),
    Column("pieces_done", Integer),
    Column("rate_limit", Integer),
    Column("quote_usd", Usd),
    Column("seconds_left", Float),
    Column("megapixels_per_s", Float),
    Column("lane", String(LANE_CHARS), nullable=False, server_default=""),
    # The output folder that it makes takes for: its id. NULL where it is not known, of an older version.
    Column("place", String(2048)),
    # The group that it belongs to: the id of the run that conducts it. NULL in old rows: alone.
    Column("group_id", String(64)),
    Index("runs_by_group", "group_id"),
)

# The runs of one storyboard that share its frames, a budget and a stop; see groups.py.
groups = Table(
    "groups",
    metadata,
    # Its conductor's run id.
    Column("group_id", String(64), primary_key=True),
    # What its runs make: a hash of their plan. NULL: it is open to no other run.
    Column("plan", String(64)),
    # Re-sends so far that may have cost money, and the most of them that all its runs together may make.
    Column("resends", Integer, nullable=False, server_default="0"),
    Column("retry_quota", Integer),
    # What the pieces of its films are encoded with: those of another build cannot be joined with them.
    Column("encoder", Text),
    # Why it is to stop: the state that its runs end in, and words; NULL as long as nothing stops it.
    Column("stop_state", String(32)),
    Column("stop_reason", Text),
    Column("stopped_by", String(64)),
)

# The takes that a group has given up: none of its runs tries them again.
given_up = Table(
    "given_up",
    metadata,
    Column("group_id", String(64), primary_key=True),
    Column("request_key", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("reason", Text, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False),
    Column("storyboard", String(255), nullable=False),
    Column("frame", Integer, nullable=False),
    Column("scene", String(255), nullable=False),
    Column("shot", String(255), nullable=False),
    Column("take", Integer, nullable=False),
    Column("try", Integer, nullable=False),
    Column("request_key", String(64), nullable=False),
    Column("endpoint", String(2048), nullable=False),
    Column("model", String(255), nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("aspect_ratio", String(8), nullable=False),
    # NULL while the attempt is open: sent, or billed and its body not yet kept.
    Column("status", String(16)),
    Column("http_status", Integer),
    Column("error", Text),
    Column("reserved_usd", Usd, nullable=False),
    # NULL: not known. The attempt stays charged at what was reserved.
    Column("cost_usd", Usd),
    # How the cost is known: see `CostBasis`. NULL with it.
    Column("cost_basis", String(16)),
    # As the answer states them, like the cost; they may be others than were asked for.
    Column("neurons", Neurons),
    Column("tiles", Integer),
    Column("stated_steps", Integer),
    # Of the picture that came.
    Column("width", Integer),
    Column("height", Integer),
    # When it may be sent, as the gate granted it; when its bill came; when it was closed.
    Column("sent_at", Microseconds, nullable=False),
    Column("billed_at", Microseconds),
    Column("finished_at", Microseconds),
    # Of a kept take, relative to the storyboard's folder. NULL again once the file is found to be gone.
    Column("file", String(255)),
    Column("bytes", BigInteger),
    Column("sha256", String(64)),
    # As they came, before a text was put into the file; endpoints that repeat themselves are known by it.
    Column("body_sha256", String(64)),
    # Remarks about a kept take, as JSON: [["flat", "is one flat colour (#000000)"], ...].
    Column("remarks", Text),
    # Where the file of a kept take lies: the id of an output folder. NULL: not known, of an older version.
    Column("place", String(2048)),
    Column("lane", String(LANE_CHARS), nullable=False, server_default=""),
    # The group that its run belongs to, whose budget it counts in. NULL in old rows: its run alone.
    Column("group_id", String(64)),
    Index("attempts_by_storyboard", "storyboard", "attempt_id"),
    Index("attempts_by_request", "request_key", "status"),
    Index("attempts_by_status", "status"),
    Index("attempts_by_body", "body_sha256"),
    # No number is ever given twice: an attempt's number is the fencing token of its lease.
    sqlite_autoincrement=True,
)

# The sums that budgets are held against: what attempts cost, or may cost while that is not known; see budgets.py.
spending = Table(
    "spending",
    metadata,
    Column("scope", String(320), primary_key=True),
    Column("committed_usd", Usd, nullable=False),
)

# The run that is generating a take right now, or that will in a moment; gone once it is kept or given up. Pieces of
# films are leased in the same way, under the hash that names them.
leases = Table(
    "leases",
    metadata,
    Column("request_key", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
    # The fencing token: the attempt that the lease was last claimed for.
    Column("attempt_id", Integer, nullable=False, server_default="0"),
)

# What was found out later about attempts that got no answer. Rows are only added: the last one of an attempt counts.
corrections = Table(
    "corrections",
    metadata,
    Column("correction_id", Integer, primary_key=True, autoincrement=True),
    Column("attempt_id", Integer, nullable=False),
    # NULL: it cannot be found out; the attempt stays charged at what was reserved.
    Column("cost_usd", Usd),
    Column("corrected_by", String(255), nullable=False),
    Column("corrected_at", Microseconds, nullable=False),
    Column("reason", Text, nullable=False),
    Index("corrections_by_attempt", "attempt_id"),
)

# Takes that were requested besides frames' first ones. A frame is identified by the request key of its first take.
takes = Table(
    "takes",
    metadata,
    Column("storyboard", String(255), primary_key=True),
    Column("frame_key", String(64), primary_key=True),
    Column("take", Integer, primary_key=True),
    Column("request_key", String(64), nullable=False),
    # A re-roll's own prompt; NULL for the frame's.
    Column("prompt", Text),
    # The run that holds this number until the take is kept.
    Column("run_id", String(64), nullable=False),
)

# The storyboard file that each folder of takes and films belongs to; see takes/ownership.py.
folders = Table(
    "folders",
    metadata,
    Column("folder", FilePath, primary_key=True),
    Column("file", FilePath, nullable=False),
)

# The takes that were picked. A frame without a pick shows the first of its takes.
picks = Table(
    "picks",
    metadata,
    Column("storyboard", String(255), primary_key=True),
    Column("frame_key", String(64), primary_key=True),
    Column("take", Integer, nullable=False),
    Column("picked_at", Microseconds, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Upsert:
    """An INSERT ... ON CONFLICT, built once for each kind of database: SQLAlchemy has no INSERT that does both."""

    on_sqlite: Executable
    on_postgres: Executable

    @classmethod
    def of(cls, table: Table, build: Callable[[sqlite.Insert | postgresql.Insert], Executable]) -> "Upsert":
        """Build the statement from each database's INSERT into `table`."""
        return cls(build(sqlite.insert(table)), build(postgresql.insert(table)))

    def for_use_on(self, connection: Connection) -> Executable:
        """Return the statement for the database at the other end."""
        return self.on_sqlite if connection.dialect.name == "sqlite" else self.on_postgres
