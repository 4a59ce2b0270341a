"""Functions that run at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def in_threads(*work: Callable[[], object]) -> None:
    """Call every function at the same moment, each in a thread of its own; raise what one of them raised."""
    start = threading.Barrier(len(work))

    def go(each: Callable[[], object]) -> None:
        start.wait()
        each()

    with ThreadPoolExecutor(len(work)) as pool:
        started = [pool.submit(go, each) for each in work]
    for each in started:
        each.result()
