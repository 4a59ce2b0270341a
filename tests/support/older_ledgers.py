"""Ledgers as older versions of storyreel made them: today's schema with its changes undone."""

from sqlalchemy import inspect

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import SCHEMA_VERSION

_COUNTERS = (
    "stage", "frames", "reused", "to_buy", "bought", "failed", "pieces", "pieces_done", "rate_limit", "quote_usd",
)  # fmt: skip
# By the version that they go back to, from the next one.
_UNDOING = {
    5: tuple(f"ALTER TABLE runs DROP COLUMN {name}" for name in ("address", "dialect", "model_id")),
    4: (
        "DROP INDEX attempts_by_body",
        "ALTER TABLE attempts DROP COLUMN body_sha256",
        "ALTER TABLE attempts DROP COLUMN cost_basis",
        "ALTER TABLE attempts DROP COLUMN stated_steps",
        "ALTER TABLE attempts DROP COLUMN remarks",
        "ALTER TABLE attempts DROP COLUMN place",
        "ALTER TABLE runs DROP COLUMN seconds_left",
        "ALTER TABLE runs DROP COLUMN megapixels_per_s",
        "DROP TABLE folders",
        "DROP TABLE groups",
        "DROP TABLE given_up",
        "DROP INDEX runs_by_group",
        *(f"ALTER TABLE attempts DROP COLUMN {name}" for name in ("lane", "group_id")),
        *(f"ALTER TABLE runs DROP COLUMN {name}" for name in ("lane", "place", "group_id")),
        # A column of a key cannot be dropped on SQLite.
        "ALTER TABLE gates RENAME TO gates_of_lanes",
        "CREATE TABLE gates AS SELECT endpoint, tat, cool_until, booked_at, pace, slowed_at FROM gates_of_lanes",
        "DROP TABLE gates_of_lanes",
    ),
    3: (*(f"ALTER TABLE runs DROP COLUMN {name}" for name in _COUNTERS), "DROP TABLE takes", "DROP TABLE picks"),
    2: (
        "ALTER TABLE gates DROP COLUMN pace",
        "ALTER TABLE gates DROP COLUMN slowed_at",
        "ALTER TABLE leases DROP COLUMN attempt_id",
        "ALTER TABLE runs ADD COLUMN committed_usd BIGINT NOT NULL DEFAULT 0",
        "DROP TABLE spending",
        "DROP TABLE corrections",
        "DROP INDEX attempts_by_status",
    ),
    1: ("ALTER TABLE gates DROP COLUMN booked_at",),
}
OLDER_VERSIONS = range(1, SCHEMA_VERSION)


def statements_back_to(version: int) -> list[str]:
    """Return the SQL that takes a ledger of today back to an older version of the schema, on either database."""
    undoing = [statement for step in reversed(range(version, SCHEMA_VERSION)) for statement in _UNDOING[step]]
    return [*undoing, f"UPDATE storyreel SET schema_version = {version}"]


def schema_of(ledger: Ledger) -> dict[str, tuple[set[str], set[str | None]]]:
    """Return the columns and the indexes of every table that a ledger has."""
    with ledger.database.reading() as connection:
        inspector = inspect(connection)
        return {
            table: (
                {column["name"] for column in inspector.get_columns(table)},
                {index["name"] for index in inspector.get_indexes(table)},
            )
            for table in inspector.get_table_names()
        }
