"""Migrations: from one version of the ledger's schema to the next, without loss."""

from sqlalchemy import Connection, select

from pipelines.ledger.budgets import add_up
from pipelines.ledger.schema import FULL_PACE, attempts


def migrate(connection: Connection, version: int) -> None:
    """Bring a ledger of an older version up to date; tables that are new have been made already."""
    for newer, step in _STEPS.items():
        if version < newer:
            step(connection)


def _to_2(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE gates ADD COLUMN booked_at BIGINT NOT NULL DEFAULT 0")


def _to_3(connection: Connection) -> None:
    connection.exec_driver_sql(f"ALTER TABLE gates ADD COLUMN pace INTEGER NOT NULL DEFAULT {FULL_PACE}")
    connection.exec_driver_sql("ALTER TABLE gates ADD COLUMN slowed_at BIGINT NOT NULL DEFAULT 0")
    connection.exec_driver_sql("ALTER TABLE leases ADD COLUMN attempt_id INTEGER NOT NULL DEFAULT 0")
    connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN committed_usd")
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS attempts_by_status ON attempts (status)")
    add_up(connection, connection.execute(select(attempts)).mappings().all())


def _to_4(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN stage VARCHAR(64)")
    counts = ("frames", "reused", "to_buy", "bought", "failed", "pieces", "pieces_done", "rate_limit")
    for count in counts:
        connection.exec_driver_sql(f"ALTER TABLE runs ADD COLUMN {count} INTEGER")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN quote_usd BIGINT")


_STEPS = {2: _to_2, 3: _to_3, 4: _to_4}
