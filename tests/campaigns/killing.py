"""Runs the storyreel command in this process, which dies as by `kill -9` at the N-th passing of a boundary.

    python -m tests.campaigns.killing BOUNDARY N render board.yaml ...

Functions are wrapped where they are defined, before anything imports them by name; a wrapping that went past its
function shows as a process that was not killed.
"""

import functools
import inspect
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, event

from pipelines.film import assembler, encoding_pool, finishing
from pipelines.ledger.batches import Batch
from pipelines.ledger.gate import Gate
from pipelines.ledger.groups import GroupRegistry
from pipelines.ledger.runs import RunRegistry
from pipelines.ledger.settlement import Settlement
from pipelines.run.group import RunGroup
from pipelines.takes.frame_folder import FrameFolder
from pipelines.takes.store import TakeStore

_CLIENT = "storyreel"


def die(*_: object) -> None:
    """End this process as the kernel does when memory runs out: nothing is closed, nothing is printed."""
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Counts passings, from any thread."""

    def __init__(self, passings: int) -> None:
        self.passings = passings
        self._lock = threading.Lock()
        self._passed = 0

    def over(self) -> bool:
        """Count one passing; return whether it is the last."""
        with self._lock:
            self._passed += 1
            return self._passed == self.passings

    async def die_if_over(self, *_: object) -> None:
        """Count one passing; the last one kills."""
        if self.over():
            die()


Boundary = Callable[[Countdown], None]


def before(owner: Any, name: str) -> Boundary:
    """Die as the function is called."""
    return functools.partial(_wrap, owner, name, at_call=die)


def before_commit(owner: Any, name: str) -> Boundary:
    """Die when all that the function writes in the ledger is written, and nothing of it is committed."""
    return functools.partial(_wrap, owner, name, at_call=_die_at_commit)


def after(owner: Any, name: str) -> Boundary:
    """Die as the function returns."""
    return functools.partial(_wrap, owner, name, at_return=die)


def _die_at_commit() -> None:
    """Die at the next commit of this process, whoever sends it."""
    event.listen(Engine, "commit", die)
    send = Batch.send

    def die_or_send(batch: Batch, *, commit: bool = False) -> None:
        # On Postgres it travels with the transaction's last batch, and SQLAlchemy's comes after that.
        if commit and batch.connection.dialect.driver == "psycopg":
            die()
        send(batch, commit=commit)

    Batch.send = die_or_send  # type: ignore[method-assign, assignment]


def _nothing() -> None:
    pass


def _wrap(
    owner: Any,
    name: str,
    countdown: Countdown,
    *,
    at_call: Callable[[], None] = _nothing,
    at_return: Callable[[], None] = _nothing,
) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        last = countdown.over()
        if last:
            at_call()
        result = original(*args, **kwargs)
        if last:
            at_return()
        return result

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        await countdown.die_if_over()
        return result

    setattr(owner, name, call_async if inspect.iscoroutinefunction(original) and at_return is die else call)


def when_sent(countdown: Countdown) -> None:
    """Die when the last byte of a request has left, its answer still to come."""
    send = httpx.AsyncClient.send

    async def trace(name: str, _: object) -> None:
        if name == "http11.send_request_body.complete":
            await countdown.die_if_over()

    async def send_traced(client: httpx.AsyncClient, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        # Prefect talks over httpx too.
        if request.headers["User-Agent"] == _CLIENT:
            request.extensions["trace"] = trace
        return await send(client, request, **kwargs)

    httpx.AsyncClient.send = send_traced  # type: ignore[method-assign, assignment]


def while_arriving(countdown: Countdown) -> None:
    """Die when the first bytes of a body are written."""
    read = httpx.Response.aiter_raw

    async def read_some(response: httpx.Response, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        async for chunk in read(response, chunk_size):
            half = len(chunk) // 2
            yield chunk[:half]
            if response.request.headers["User-Agent"] == _CLIENT:
                await countdown.die_if_over()
            yield chunk[half:]

    httpx.Response.aiter_raw = read_some  # type: ignore[method-assign, assignment]


def while_publishing(countdown: Countdown) -> None:
    """Die before one of the renames that put new frames in the place of old ones."""
    rename = Path.rename

    def rename_unless_over(path: Path, target: Path) -> Path:
        if "frames" in path.name and countdown.over():
            die()
        return rename(path, target)

    Path.rename = rename_unless_over  # type: ignore[method-assign, assignment]


def at_moment(countdown: Countdown) -> None:
    """Die so many milliseconds after the run's first step, wherever it is."""
    timer = threading.Timer(countdown.passings / 1000, die)
    timer.daemon = True
    _wrap(TakeStore, "prepare", Countdown(1), at_call=timer.start)


def not_at_all(_: Countdown) -> None:
    """Live."""


# In the order of a run. Before and after a commit differ in what the ledger says.
BOUNDARIES: dict[str, Boundary] = {
    "admitting": before_commit(Gate, "admit"),
    "admitted": after(Gate, "admit"),
    "sent": when_sent,
    "billing": before_commit(Settlement, "settle_bill"),
    "billed": after(Settlement, "settle_bill"),
    "arriving": while_arriving,
    "body": before(TakeStore, "store"),
    "named": after(TakeStore, "store"),
    "keeping": before_commit(Settlement, "keep_take"),
    "kept": after(Settlement, "keep_take"),
    "encoding": before(encoding_pool, "encode_batch"),
    "publishing": while_publishing,
    "published": after(FrameFolder, "publish"),
    "cutting": before(finishing, "read_film"),
    "cut": after(assembler.FilmAssembler, "cut"),
    "finishing": before_commit(RunRegistry, "finish_run"),
    "finished": after(RunRegistry, "finish_run"),
}
# Where lanes work side by side. The conductor's are "published", "cutting", "cut" and "finishing" above.
LANE_BOUNDARIES: dict[str, Boundary] = {
    "claimed": after(Gate, "claim"),
    "piece claimed": after(GroupRegistry, "claim_pieces"),
    "waiting for the film": before(RunGroup, "conductor_ended"),
}
MOMENT = "moment"
NEVER = "never"


def main(boundary: str, passings: str, *command: str) -> int:
    """Arm the boundary and run the command; returns only if it was never passed so often."""
    arming: dict[str, Boundary] = {**BOUNDARIES, **LANE_BOUNDARIES, MOMENT: at_moment, NEVER: not_at_all}
    arming[boundary](Countdown(int(passings)))
    # Not before: it imports by name what has just been wrapped.
    from pipelines.cli import main as cli

    return cli.run(command)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
