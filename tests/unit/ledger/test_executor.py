"""The desk: one thing after another, to its end, whoever stops waiting for it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from pipelines.common.errors import StorageError
from pipelines.ledger.executor import LedgerExecutor
from pipelines.ledger.ledger import Ledger

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def desk(ledger: Ledger) -> Iterator[LedgerExecutor]:
    with closing(LedgerExecutor(ledger)) as desk:
        yield desk


async def test_writes_are_done_in_one_thread_in_the_order_they_were_asked(desk: LedgerExecutor) -> None:
    """Never two at a time, and never in the event loop's thread."""
    done: list[tuple[int, int]] = []

    def write(n: int, *, twice: bool) -> int:
        done.append((n, threading.get_ident()))
        return n * (1 + twice)

    results = await asyncio.gather(*(desk(write, n, twice=True) for n in range(20)))

    assert results == [2 * n for n in range(20)]
    assert [n for n, _ in done] == list(range(20))
    assert len({thread for _, thread in done} | {threading.get_ident()}) == 2


async def test_an_error_reaches_the_one_who_asked(desk: LedgerExecutor) -> None:
    """And nobody else: the next write is done."""

    def fail() -> None:
        raise StorageError("disk full")

    with pytest.raises(StorageError, match="disk full"):
        await desk(fail)

    assert await desk(lambda: "next") == "next"


async def test_a_write_is_finished_though_nobody_waits_for_it(desk: LedgerExecutor) -> None:
    """Neither one that has begun nor one that stands in line: what was asked is done."""
    started, go_on, ended = threading.Event(), threading.Event(), list[str]()

    def write() -> None:
        started.set()
        go_on.wait()
        ended.append("written")

    callers = [asyncio.create_task(desk(write)), asyncio.create_task(desk(ended.append, "written in its turn"))]
    await asyncio.to_thread(started.wait)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    go_on.set()
    await desk(ended.append, "next")

    assert [caller.cancelled() for caller in callers] == [True, True]
    assert ended == ["written", "written in its turn", "next"]


async def test_an_error_that_nobody_waits_for_is_not_shouted_about(desk: LedgerExecutor) -> None:
    """The loop complains of no exception that was never retrieved."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    started, go_on = threading.Event(), threading.Event()

    def fail() -> None:
        started.set()
        go_on.wait()
        raise StorageError("disk full")

    caller = asyncio.create_task(desk(fail))
    await asyncio.to_thread(started.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await desk(lambda: None)
    del caller

    assert complaints == []


async def test_closing_waits_for_what_was_asked(ledger: Ledger) -> None:
    """Whatever stands in line is written before the ledger are closed."""
    desk, done = LedgerExecutor(ledger), list[int]()
    asked = [asyncio.create_task(desk(done.append, n)) for n in range(10)]
    await asyncio.sleep(0)

    await asyncio.to_thread(desk.close)

    assert done == list(range(10))
    await asyncio.gather(*asked)
