"""Asynchronous work in a command."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from pipelines.common.errors import InterruptedRunError

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work in this thread; return its result.

    Raises:
        InterruptedRunError: it was cancelled, as a second Ctrl-C does.
    """
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        raise InterruptedRunError from None
