"""The ledger for asynchronous code: the same methods, run in threads of their own."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from pipelines.common.errors import CommitUnknownError, DatabaseAwayError
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run

_log = logging.getLogger(__name__)

# A restart of a database server takes seconds; half a minute is waited for it.
_RETRY_AFTER_S = 1.0
_MAX_RETRIES = 30
# A take is six round trips: with 15 ms each, four threads keep up with forty takes a second.
_SERVER_THREADS = 4

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class LedgerExecutor:
    """Runs blocking calls in threads; repeats a call while the database server is away.

    Args:
        threads: how many calls are made at once; one keeps them in order.
        pause: sleeps before the next try.
    """

    def __init__(self, *, threads: int = 1, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._pause = pause
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ledger")
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, call: Callable[[], R], *, until_committed: bool = False) -> R:
        """Run `call` to its end, even if the caller is cancelled meanwhile; repeat it while the server is away.

        Args:
            call: a short transaction.
            until_committed: repeat it also where its commit is not known to have succeeded. Only for a call that
                changes nothing more when it is made twice.

        Returns:
            The result of `call`.

        Raises:
            DatabaseAwayError: the server stayed away for about half a minute.
            CommitUnknownError: the server went away during the commit, and the call may not be repeated.
            Exception: any other error of `call`, as it is.
        """
        for _ in range(_MAX_RETRIES):
            try:
                return await self._run_while_away(call)
            except CommitUnknownError:
                if not until_committed:
                    raise
        return await self._run_while_away(call)

    async def _run_while_away(self, call: Callable[[], R]) -> R:
        for _ in range(_MAX_RETRIES):
            try:
                return await self._run_once(call)
            except CommitUnknownError:
                # It is a DatabaseAwayError too, but it may have been committed: only `run` may decide to repeat it.
                raise
            except DatabaseAwayError:
                # Without the error's text: a driver may quote the address, and thus a password.
                _log.warning("the ledger's database server is away: trying again in %.0f s", _RETRY_AFTER_S)
                await self._pause(_RETRY_AFTER_S)
        return await self._run_once(call)

    async def _run_once(self, call: Callable[[], R]) -> R:
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        # A cancelled caller never asks for the error, and asyncio would log it as never retrieved. An attempt that it
        # leaves open is closed by the next run.
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        # `wait` does not cancel what it waits for: cancelling the caller must not cancel a transaction that is queued.
        await asyncio.wait([running])
        return running.result()

    async def idle(self) -> None:
        """Wait until every call that was made has ended, also those whose callers were cancelled meanwhile."""
        while self._running:
            await asyncio.wait(self._running)

    def close(self) -> None:
        """Wait for every call that was made, then end the threads."""
        self._threads.shutdown()


def _in_executor(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Return the asynchronous twin of a method of `Ledger` or `Gate`, with the same arguments and result."""
    until_committed = getattr(method, "repeat_until_committed", False)

    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        # By name, as every call of a method: a subclass may have another one.
        blocking = functools.partial(getattr(self.blocking, method.__name__), *args, **kwargs)
        result: R = await self.executor.run(blocking, until_committed=until_committed)
        return result

    return functools.update_wrapper(call, method)


class AsyncGate:
    """The gate of one run, for asynchronous code; see `Gate` for its methods."""

    def __init__(self, gate: Gate, executor: LedgerExecutor) -> None:
        self.blocking = gate
        self.executor = executor

    claim = _in_executor(Gate.claim)
    admit = _in_executor(Gate.admit)
    slow_down = _in_executor(Gate.slow_down)
    confirm = _in_executor(Gate.confirm)
    withdraw = _in_executor(Gate.withdraw)
    release = _in_executor(Gate.release)
    give_up = _in_executor(Gate.give_up)


class AsyncLedger:
    """The ledger for asynchronous code; see `Ledger` for its methods.

    Attributes:
        blocking: the same ledger, for code in threads of its own; it is safe to use from several at once.
        executor: runs its calls.
    """

    def __init__(self, ledger: Ledger, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Wrap a ledger; closing the wrapper leaves the ledger open.

        Args:
            ledger: an open one.
            pause: sleeps before the next try while the database server is away.
        """
        self.blocking = ledger
        # A server answers several at once, and may be far away. Transactions on SQLite wait for one write lock anyway.
        self.executor = LedgerExecutor(threads=_SERVER_THREADS if ledger.database.on_server else 1, pause=pause)

    def gate(self, run: Run, *, rate_limit: int, places: Collection[str] = ()) -> AsyncGate:
        """Return the gate through which the attempts of `run` pass; see `Ledger.gate`."""
        return AsyncGate(self.blocking.gate(run, rate_limit=rate_limit, places=places), self.executor)

    async def call(self, function: Callable[Concatenate[Ledger, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function of the blocking ledger in one of its threads; it is repeated while the server is away.

        Args:
            function: takes the ledger first. Each repetition starts it from the beginning.
            *args: passed on.
            **kwargs: passed on.

        Raises:
            DatabaseAwayError: the server stayed away for about half a minute.
            CommitUnknownError: the server went away during a commit.
        """
        return await self.executor.run(functools.partial(function, self.blocking, *args, **kwargs))

    def close(self) -> None:
        """Wait for every call that was made, then end the threads; the ledger stays open."""
        self.executor.close()

    async def idle(self) -> None:
        """Wait until every call that was made has ended, also those whose callers were cancelled meanwhile."""
        await self.executor.idle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The run: see ledger/runs.py and ledger/groups.py.
    start_run = _in_executor(Ledger.start_run)
    bound_group = _in_executor(Ledger.bound_group)
    stop_group = _in_executor(Ledger.stop_group)
    group_news = _in_executor(Ledger.group_news)
    group_members = _in_executor(Ledger.group_members)
    claim_pieces = _in_executor(Ledger.claim_pieces)
    release_pieces = _in_executor(Ledger.release_pieces)
    record_heartbeat = _in_executor(Ledger.record_heartbeat)
    finish_run = _in_executor(Ledger.finish_run)
    storyboards_to_recover = _in_executor(Ledger.storyboards_to_recover)
    abandoned_attempts = _in_executor(Ledger.abandoned_attempts)
    # An attempt after it was admitted: see ledger/settlement.py.
    settle_bill = _in_executor(Ledger.settle_bill)
    keep_take = _in_executor(Ledger.keep_take)
    close_attempt = _in_executor(Ledger.close_attempt)
    forget_lost_takes = _in_executor(Ledger.forget_lost_takes)
    # Takes and picks: see ledger/takes.py.
    register_takes = _in_executor(Ledger.register_takes)
    request_more_takes = _in_executor(Ledger.request_more_takes)
    # Sums, budgets and the CSV: see ledger/queries.py.
    run_totals = _in_executor(Ledger.run_totals)
    requests_by_take = _in_executor(Ledger.requests_by_take)
    remaining_budgets = _in_executor(Ledger.remaining_budgets)
    write_csv = _in_executor(Ledger.write_csv)
