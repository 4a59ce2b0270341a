"""Ctrl-C and SIGTERM: the first stops a run in order, the second at once."""

import asyncio
import contextlib
import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from pipelines.common.errors import InterruptedRunError
from pipelines.run.observer import RunObserver


@contextlib.contextmanager
def stopping_on_signals(observer: RunObserver, *, grace_period_s: float) -> Iterator[None]:
    """Interrupt the run at the first Ctrl-C or SIGTERM; at the second, give up what it awaits, and cancel this task.

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
            observer.interrupt(interrupted, grace_period_s=grace_period_s)
        elif run is not None:
            observer.stop_signal.give_up()
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
