"""The first Ctrl-C or SIGTERM stops a run in order, the second at once."""

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.common.errors import InterruptedRunError
from pipelines.run.observer import RunObserver
from pipelines.run.signals import stopping_on_signals
from tests.support.patience import WAIT_S


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a signal has been handled, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_stops_the_run(number: signal.Signals) -> None:
    """What is in flight is awaited for the grace period, and no longer."""
    observer = RunObserver()
    stop_signal = observer.stop_signal

    with stopping_on_signals(observer, grace_period_s=0.01):
        signal.raise_signal(number)
        await until(lambda: stop_signal.stopped)
        await asyncio.wait_for(stop_signal.grace_period_over(), timeout=WAIT_S)

    assert (observer.progress.stopping is not None, stop_signal.given_up) == (True, False)
    assert isinstance(stop_signal.error, InterruptedRunError)
    assert str(stop_signal.error) == "interrupted: what was paid for is kept; run again to complete"


async def test_the_second_signal_cancels_the_run() -> None:
    """Whatever it is waiting for."""
    observer = RunObserver()
    stop_signal = observer.stop_signal

    async def run() -> None:
        with stopping_on_signals(observer, grace_period_s=60):
            signal.raise_signal(signal.SIGINT)
            await until(lambda: stop_signal.stopped)
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.create_task(run()), timeout=WAIT_S)


async def test_the_handlers_of_before_come_back() -> None:
    """Those of the command, or of a server."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    with stopping_on_signals(RunObserver(), grace_period_s=1):
        during = signal.getsignal(signal.SIGTERM)

    assert during != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    """They cannot be handled there, and that is no error."""
    before = signal.getsignal(signal.SIGTERM)
    during: list[Any] = []

    async def run() -> None:
        with stopping_on_signals(RunObserver(), grace_period_s=1):
            during.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join(10)

    assert during == [before]
