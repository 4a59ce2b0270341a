"""The asynchronous ledger: one call after another, each to its end, and no way to drift from the blocking one."""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines.common.errors import CommitUnknownError, DatabaseAwayError, StorageError
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.executor import AsyncGate, AsyncLedger, LedgerExecutor
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Billed, Outcome, RunState
from pipelines.ledger.schema import attempts, groups, leases, runs, takes
from tests.support.builders import frame_spec, run, take_spec
from tests.support.ledger import Clock, admit, attempt_request, committed_usd, gate_of, new_take, table_rows, url_of
from tests.support.patience import WAIT_S
from tests.support.pictures import PRICE_USD

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def executor() -> Iterator[LedgerExecutor]:
    with closing(LedgerExecutor()) as executor:
        yield executor


async def no_pause(_: float) -> None:
    """Wait for nothing."""


# One thread, in order, to the end


async def test_calls_are_made_in_one_thread_in_the_order_of_asking(executor: LedgerExecutor) -> None:
    """Never two at a time, and never in the event loop's thread."""
    done: list[tuple[int, int]] = []

    def write(n: int) -> int:
        done.append((n, threading.get_ident()))
        return n * 2

    results = await asyncio.gather(*(executor.run(partial(write, n)) for n in range(20)))

    assert results == [2 * n for n in range(20)]
    assert [n for n, _ in done] == list(range(20))
    assert len({thread for _, thread in done} | {threading.get_ident()}) == 2


async def test_several_threads_make_calls_side_by_side_and_are_awaited() -> None:
    """A server answers several at once; what is still under way at the end is waited for."""
    both_began, done = threading.Barrier(2, timeout=WAIT_S), []

    def meet(n: int) -> None:
        both_began.wait()
        done.append(n)

    with closing(LedgerExecutor(threads=2)) as executor:
        calls = [asyncio.create_task(executor.run(partial(meet, n))) for n in range(2)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await executor.idle()

    assert sorted(done) == [0, 1]


async def test_an_error_reaches_its_caller(executor: LedgerExecutor) -> None:
    """And no other caller: the next call is made."""

    def fail() -> None:
        raise StorageError("disk full")

    with pytest.raises(StorageError, match="disk full"):
        await executor.run(fail)

    assert await executor.run(lambda: "next") == "next"


async def test_a_call_is_finished_though_its_caller_is_cancelled(executor: LedgerExecutor) -> None:
    """Both one that has begun and one that is queued: what was asked for is done."""
    started, go_on, ended = threading.Event(), threading.Event(), list[str]()

    def write() -> None:
        started.set()
        go_on.wait()
        ended.append("written")

    callers = [
        asyncio.create_task(executor.run(write)),
        asyncio.create_task(executor.run(partial(ended.append, "written in its turn"))),
    ]
    await asyncio.to_thread(started.wait)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    go_on.set()
    await executor.run(partial(ended.append, "next"))

    assert [caller.cancelled() for caller in callers] == [True, True]
    assert ended == ["written", "written in its turn", "next"]


async def test_an_error_after_its_caller_was_cancelled_is_not_logged(executor: LedgerExecutor) -> None:
    """The loop complains of no exception that was never retrieved."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    started, go_on = threading.Event(), threading.Event()

    def fail() -> None:
        started.set()
        go_on.wait()
        raise StorageError("disk full")

    caller = asyncio.create_task(executor.run(fail))
    await asyncio.to_thread(started.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await executor.run(lambda: None)
    del caller

    assert complaints == []


async def test_closing_waits_for_every_call() -> None:
    """Whatever is queued is done before the thread ends."""
    executor, done = LedgerExecutor(), list[int]()
    asked = [asyncio.create_task(executor.run(partial(done.append, n))) for n in range(10)]
    await asyncio.sleep(0)

    await asyncio.to_thread(executor.close)

    assert done == list(range(10))
    await asyncio.gather(*asked)


async def test_a_function_of_the_blocking_ledger_runs_in_one_of_the_ledgers_threads(ledger: Ledger) -> None:
    """With its arguments, and its result comes back."""
    threads: list[str] = []

    def enter(blocking: Ledger, *names: str, simulated: bool) -> int:
        threads.append(threading.current_thread().name)
        for name in names:
            blocking.start_run(run(name, simulated=simulated))
        return len(names)

    with AsyncLedger(ledger) as asynchronous:
        entered = await asynchronous.call(enter, "run-1", "run-2", simulated=True)

    assert (entered, [name.rpartition("_")[0] for name in threads]) == (2, ["ledger"])
    assert table_rows(ledger, runs, "run_id", "simulated") == [("run-1", True), ("run-2", True)]


# A server that goes away


async def test_a_call_is_repeated_while_the_server_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """Half a minute at most, a second between two tries, each with a warning; then the error reaches the caller."""
    pauses: list[float] = []
    away = 2

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def write() -> str:
        if len(pauses) < away:
            raise DatabaseAwayError("gone")
        return "written"

    with closing(LedgerExecutor(pause=pause)) as executor:
        written = await executor.run(write)
        away = 1000
        with pytest.raises(DatabaseAwayError, match="gone"):
            await executor.run(write)

    assert (written, pauses) == ("written", [1.0] * 32)
    assert caplog.messages == ["the ledger's database server is away: trying again in 1 s"] * 32


class UncertainDatabase(LedgerDatabase):
    """A database whose next commits succeed, and are reported as uncertain."""

    uncertain = 0
    commits = 0

    @contextlib.contextmanager
    def transaction(self, *, batched: bool = False) -> Iterator[Connection]:
        """Commit, then raise CommitUnknownError as often as `uncertain` says."""
        with super().transaction(batched=batched) as connection:
            yield connection
        self.commits += 1
        if self.uncertain:
            self.uncertain -= 1
            raise CommitUnknownError("the server went away")


@pytest.fixture
def database_in_doubt(tmp_path: Path, clock: Clock) -> Iterator[UncertainDatabase]:
    with closing(UncertainDatabase(url_of(tmp_path), clock=clock)) as database:
        yield database


MARKED: dict[str, Callable[[AsyncLedger, int], Awaitable[object]]] = {
    "settle_bill": lambda ledger, attempt: ledger.settle_bill(attempt, Billed(PRICE_USD / 2)),
    "keep_take": lambda ledger, attempt: ledger.keep_take(attempt, new_take()),
    "close_attempt": lambda ledger, attempt: ledger.close_attempt(attempt, Outcome(AttemptStatus.UNKNOWN, "no answer")),
    "finish_run": lambda ledger, _: ledger.finish_run("run-1", state=RunState.FAILED),
    "bound_group": lambda ledger, _: ledger.bound_group(run(), retry_quota=7),
    "claim_pieces": lambda ledger, _: ledger.claim_pieces(run(), ["a" * 64]),
    "release_pieces": lambda ledger, _: ledger.release_pieces(run(), ["a" * 64]),
    "stop_group": lambda ledger, _: ledger.stop_group(run(), state=RunState.CANCELLED, reason="interrupted"),
}
UNMARKED: dict[str, Callable[[AsyncLedger, int], Awaitable[object]]] = {
    "start_run": lambda ledger, _: ledger.start_run(run("run-2")),
    "register_takes": lambda ledger, _: ledger.register_takes(run(), [take_spec(take=2)]),
    "request_more_takes": lambda ledger, _: ledger.request_more_takes(
        run(), [frame_spec()], count=1, prompt=None, kept=()
    ),
    "record_heartbeat": lambda ledger, _: ledger.record_heartbeat("run-1"),
    "forget_lost_takes": lambda ledger, attempt: ledger.forget_lost_takes([attempt]),
}


def state_of(ledger: Ledger) -> list[object]:
    """Return all that the marked methods write."""
    attempt = table_rows(ledger, attempts, "status", "http_status", "cost_usd", "file", "error", "finished_at")
    run_ended = table_rows(ledger, runs, "state", "finished_at")
    stops = table_rows(ledger, groups, "stop_state", "stop_reason", "stopped_by", "retry_quota")
    return [attempt, run_ended, stops, table_rows(ledger, leases, "request_key"), committed_usd(ledger)]


@pytest.mark.parametrize("name", MARKED)
async def test_a_marked_method_is_repeated_until_its_commit_is_certain(
    database_in_doubt: UncertainDatabase, name: str
) -> None:
    """And leaves what it leaves when it is called once."""
    with Ledger(database_in_doubt) as blocking, AsyncLedger(blocking, pause=no_pause) as ledger:
        attempt_id = admit(gate_of(blocking, run())).attempt_id
        await MARKED[name](ledger, attempt_id)
        once = state_of(blocking)

        before, database_in_doubt.uncertain = database_in_doubt.commits, 2
        await MARKED[name](ledger, attempt_id)

        assert (database_in_doubt.commits - before, database_in_doubt.uncertain) == (3, 0)
        assert state_of(blocking) == once


@pytest.mark.parametrize("name", UNMARKED)
async def test_a_method_without_the_mark_is_not_repeated(database_in_doubt: UncertainDatabase, name: str) -> None:
    """It was committed once, and the error reaches its caller."""
    with Ledger(database_in_doubt) as blocking, AsyncLedger(blocking, pause=no_pause) as ledger:
        attempt_id = admit(gate_of(blocking, run())).attempt_id
        before, database_in_doubt.uncertain = database_in_doubt.commits, 2

        with pytest.raises(CommitUnknownError, match="the server went away"):
            await UNMARKED[name](ledger, attempt_id)

        assert (database_in_doubt.commits - before, database_in_doubt.uncertain) == (1, 1)


async def test_a_function_and_an_admission_are_not_repeated_either(database_in_doubt: UncertainDatabase) -> None:
    """A second admission would reserve a second time."""
    with Ledger(database_in_doubt) as blocking, AsyncLedger(blocking, pause=no_pause) as ledger:
        blocking.start_run(run())
        gate = ledger.gate(run(), rate_limit=720)
        before, database_in_doubt.uncertain = database_in_doubt.commits, 2

        with pytest.raises(CommitUnknownError):
            await gate.admit(attempt_request())
        with pytest.raises(CommitUnknownError):
            await ledger.call(lambda own: own.register_takes(run(), [take_spec(take=2)]))

        assert database_in_doubt.commits - before == 2
        assert len(table_rows(blocking, attempts, "attempt_id")) == len(table_rows(blocking, takes, "take")) == 1


def test_every_method_with_the_mark_is_tried_here() -> None:
    """A new one is to be added to `MARKED`, and with it the check that calling it twice is as good as once."""
    marked = {name for name, method in vars(AsyncLedger).items() if getattr(method, "repeat_until_committed", False)}

    assert marked == set(MARKED)


# The asynchronous ledger and the blocking one


@pytest.mark.parametrize(
    ("asynchronous", "blocking", "own"),
    [(AsyncLedger, Ledger, {"call", "close", "gate", "idle"}), (AsyncGate, Gate, set())],
    ids=["ledger", "gate"],
)
def test_every_asynchronous_method_is_that_of_the_blocking_class(
    asynchronous: type, blocking: type, own: set[str]
) -> None:
    """Of the same name, with the same parameters; and no other."""
    methods = {name: method for name, method in vars(asynchronous).items() if not name.startswith("_")}
    wrapping = {name: method for name, method in methods.items() if name not in own}

    assert own <= set(methods)
    for name, method in wrapping.items():
        assert inspect.iscoroutinefunction(method), name
        assert inspect.unwrap(method) is getattr(blocking, name), name
        assert inspect.signature(method) == inspect.signature(getattr(blocking, name)), name


def test_both_gates_are_opened_alike() -> None:
    """With the same parameters; one returns the asynchronous gate."""
    asynchronous, blocking = inspect.signature(AsyncLedger.gate), inspect.signature(Ledger.gate)

    assert asynchronous.parameters == blocking.parameters
    assert (asynchronous.return_annotation, blocking.return_annotation) == (AsyncGate, Gate)
