"""Migrations: from one version of the ledger's schema to the next, without loss."""

from sqlalchemy import Connection, insert, null, select, update

from pipelines.common.settings import EMBEDDED_ENDPOINT
from pipelines.ledger.budgets import add_up
from pipelines.ledger.models import CostBasis
from pipelines.ledger.schema import FULL_PACE, LANE_CHARS, attempts, corrections, gates, runs


def migrate(connection: Connection, version: int) -> None:
    """Bring a ledger up to date, in the caller's transaction; whole tables that are new have been made already.

    Args:
        connection: in a write transaction; both databases roll back changes of the schema with it.
        version: the schema version that the ledger has.
    """
    for newer, step in _STEPS.items():
        if version < newer:
            step(connection)


def _to_2(connection: Connection) -> None:
    """Add what tells that a clock was set back."""
    connection.exec_driver_sql("ALTER TABLE gates ADD COLUMN booked_at BIGINT NOT NULL DEFAULT 0")


def _to_3(connection: Connection) -> None:
    """Add the pace and the fencing tokens; move what is committed from the runs to the table of sums."""
    connection.exec_driver_sql(f"ALTER TABLE gates ADD COLUMN pace INTEGER NOT NULL DEFAULT {FULL_PACE}")
    connection.exec_driver_sql("ALTER TABLE gates ADD COLUMN slowed_at BIGINT NOT NULL DEFAULT 0")
    connection.exec_driver_sql("ALTER TABLE leases ADD COLUMN attempt_id INTEGER NOT NULL DEFAULT 0")
    connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN committed_usd")
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS attempts_by_status ON attempts (status)")
    # Run by run was all that was summed before; storyboards and days are added up from the attempts.
    names = ("run_id", "storyboard", "simulated", "sent_at", "reserved_usd", "cost_usd")
    # There were no groups: each run was alone.
    charged = select(*(attempts.c[name] for name in names), null().label("group_id"))
    add_up(connection, connection.execute(charged).mappings().all())


def _to_4(connection: Connection) -> None:
    """Add the counters of runs."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN stage VARCHAR(64)")
    # The names that the counters had then; columns keep them.
    counts = ("frames", "reused", "to_buy", "bought", "failed", "pieces", "pieces_done", "rate_limit")
    for count in counts:
        connection.exec_driver_sql(f"ALTER TABLE runs ADD COLUMN {count} INTEGER")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN quote_usd BIGINT")


def _to_5(connection: Connection) -> None:
    """Add how costs are known, what answers and pictures say of themselves, where takes lie, and how fast runs are.

    And lanes: the gates get a second column in their key.
    """
    connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN cost_basis VARCHAR(16)")
    connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN stated_steps INTEGER")
    connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN remarks TEXT")
    connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN place VARCHAR(2048)")
    for figure in ("seconds_left", "megapixels_per_s"):
        connection.exec_driver_sql(f"ALTER TABLE runs ADD COLUMN {figure} DOUBLE PRECISION")
    for table in ("attempts", "runs"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN lane VARCHAR({LANE_CHARS}) NOT NULL DEFAULT ''")
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN group_id VARCHAR(64)")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN place VARCHAR(2048)")
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS runs_by_group ON runs (group_id)")
    _replace_gates(connection)
    # Bytes that came, where they are others than those that were kept.
    connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN body_sha256 VARCHAR(64)")
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS attempts_by_body ON attempts (body_sha256)")
    connection.execute(update(attempts).values(body_sha256=attempts.c.sha256))
    known = attempts.c.cost_usd.is_not(None)
    settled = known & attempts.c.attempt_id.in_(select(corrections.c.attempt_id))
    connection.execute(update(attempts).where(known).values(cost_basis=CostBasis.STATED.value))
    connection.execute(update(attempts).where(settled).values(cost_basis=CostBasis.SETTLED.value))


def _replace_gates(connection: Connection) -> None:
    """Make the table of gates anew: SQLite cannot change a table's key."""
    before = connection.exec_driver_sql("SELECT * FROM gates").mappings().all()
    gates.drop(connection)
    gates.create(connection)
    if before:
        connection.execute(insert(gates), [dict(row) for row in before])


def _to_6(connection: Connection) -> None:
    """Add how endpoints were asked: of one dialect all, and each at the address that it is limited as."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN address VARCHAR(2048)")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN dialect VARCHAR(64)")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN model_id VARCHAR(255)")
    named = runs.c.endpoint != EMBEDDED_ENDPOINT
    connection.execute(update(runs).values(dialect="flux"))
    connection.execute(update(runs).where(named).values(address=runs.c.endpoint))


_STEPS = {2: _to_2, 3: _to_3, 4: _to_4, 5: _to_5, 6: _to_6}
