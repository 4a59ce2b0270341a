"""What a long ledger takes in memory: nothing more than a short one."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert, select

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import attempts, corrections
from tests.support.builders import run
from tests.support.ledger import admit, attempt_request, gate_of, new_take

SHORT, LONG = 2_000, 20_000


def lengthen(ledger: Ledger, count: int) -> None:
    """Enter the first attempt again until there are as many; every tenth was settled by hand."""
    with ledger.database.transaction() as connection:
        first = dict(connection.execute(select(attempts)).mappings().first() or {})
        there = len(connection.execute(select(attempts.c.attempt_id)).all())
        del first["attempt_id"]
        new = range(there + 1, count + 1)
        connection.execute(insert(attempts), [{**first, "request_key": f"{n:064}", "frame": n} for n in new])
        by_hand = {"corrected_by": "ada", "corrected_at": 0, "reason": "on the invoice"}
        connection.execute(insert(corrections), [{**by_hand, "attempt_id": n} for n in new if n % 10 == 0])


def peak_bytes(read: Callable[[], object]) -> int:
    """Return the most that is in memory at once while something is read, above what was there before."""
    read()
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth(ledger: Ledger, read: Callable[[], object]) -> float:
    """Return the ratio of a long ledger's peak to that of a short one."""
    admission = admit(gate_of(ledger, run()), attempt_request())
    ledger.keep_take(admission.attempt_id, new_take())
    lengthen(ledger, SHORT)
    short = peak_bytes(read)
    lengthen(ledger, LONG)
    return peak_bytes(read) / short


def test_the_csv_is_written_in_constant_memory(ledger: Ledger, tmp_path: Path) -> None:
    """Its rows go from the database to the file, some hundred at a time."""
    path = tmp_path / "ledger.csv"

    grown = growth(ledger, lambda: ledger.write_csv("harbor", path))

    assert grown < 1.3
    assert path.read_bytes().count(b"\r\n") == LONG + 1


def test_the_status_is_read_in_constant_memory(ledger: Ledger) -> None:
    """The database counts and adds up; no attempt leaves it."""
    grown = growth(ledger, lambda: ledger.current_runs("harbor"))

    assert grown < 1.3
    assert ledger.current_runs("harbor")[0][0].totals.requests == LONG
