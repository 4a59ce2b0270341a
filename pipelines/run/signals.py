"""Ctrl-C and SIGTERM: the first stops a run in order, the second at once."""

import asyncio
import contextlib
import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from pipelines.common.errors import InterruptedRunError
from pipelines.run.scheduling import StopSignal


@contextlib.contextmanager
def stopping_on_signals(stop_signal: StopSignal, *, grace_period_s: float) -> Iterator[None]:
    """Give the stop signal at the first Ctrl-C or SIGTERM, and cancel the current task at the second.

    A Prefect cancellation comes as SIGTERM too. Outside the main thread signals cannot be handled, and are not.
    """
    # asyncio has no signal handlers on Windows: there Ctrl-C raises KeyboardInterrupt.
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    run = asyncio.current_task()
    interrupted = InterruptedRunError()
    signals = itertools.count(1)

    def stop() -> None:
        if next(signals) == 1:
            stop_signal.stop(interrupted, grace_period_s=grace_period_s)
        elif run is not None:
            run.cancel()

    with contextlib.ExitStack() as restore:
        for number in (signal.SIGINT, signal.SIGTERM):
            restore.enter_context(_handling(number, stop))
        yield


@contextlib.contextmanager
def _handling(number: signal.Signals, handler: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # asyncio does not restore the handler that was there before its own.
    before = signal.getsignal(number)
    loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
        signal.signal(number, before)
