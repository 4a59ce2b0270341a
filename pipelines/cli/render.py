"""Rendering from the command line: a Prefect API for its time, a display on stderr, a result for each storyboard."""

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.cli.display import display_for, summary_lines
from pipelines.cli.opener import open_for_user
from pipelines.common.errors import EndpointError, InterruptedRunError, StoryreelError, UsageError
from pipelines.common.settings import load_settings
from pipelines.flows.local_api import drain_prefect, is_first_start, prefect_api
from pipelines.run.result import RunObserver, RunResult, watch
from pipelines.storyboard.loader import load_storyboards


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The end of one storyboard's render.

    Attributes:
        board: its file, as it was named on the command line.
        summary: None where the run ended before there was one.
        error: why it is not complete; None if it is.
    """

    board: Path
    summary: RunResult | None
    error: StoryreelError | None

    def as_json(self) -> dict[str, object]:
        """Return the summary as plain JSON values, and `error` where there is one."""
        values: dict[str, object] = self.summary.as_json() if self.summary else {"storyboard": str(self.board)}
        return {**values, "error": str(self.error)} if self.error else values


def render_boards(paths: Sequence[Path], options: Mapping[str, Any]) -> list[RenderResult]:
    """Render storyboards one after another, and return how each ended.

    An endpoint that is of no use, or an interruption, ends them all: the rest are not started, and have no result.

    Raises:
        UsageError: a storyboard or an option is wrong; nothing was started.
    """
    # All of them before the first, which may take hours; and Prefect takes seconds to start.
    load_settings(options)
    _require_distinct(paths)
    console = Console(stderr=True)
    results: list[RenderResult] = []
    starting = RunObserver()
    first_start = ", for the first time: about half a minute" if is_first_start() else ""
    starting.progress.stage = f"starting Prefect{first_start}"
    with prefect_api() as wait_until_up:
        with display_for(starting.progress, console):
            # Here and not above: Prefect reads its settings as it is imported.
            from pipelines.flows.render_storyboard import render_storyboard

            wait_until_up()
        try:
            for path in paths:
                results.append(_render(render_storyboard, path, options, console))
                if isinstance(results[-1].error, EndpointError | InterruptedRunError):
                    break
        finally:
            # Its log and events are sent in the background; the API ends with this block.
            drain_prefect()
    return results


def open_results(results: Sequence[RenderResult]) -> None:
    """Open the report of each film that was made, or the film itself; print the path of what no program opens."""
    console = Console(stderr=True)
    for summary in (result.summary for result in results):
        if summary is None or summary.video is None:
            continue
        made = summary.report or summary.video
        if not open_for_user(made):
            message = f"{made}: no program on this machine opens it; open it yourself"
            console.print(message, highlight=False, markup=False, soft_wrap=True)


def _render(flow: Any, path: Path, options: Mapping[str, Any], console: Console) -> RenderResult:
    from prefect.exceptions import CancelledRun

    observer = RunObserver()
    token = watch.set(observer)
    error: StoryreelError | None = None
    try:
        with display_for(observer.progress, console):
            asyncio.run(flow(storyboard=str(path), **_flow_parameters(options)))
    except StoryreelError as exc:
        error = exc
    except CancelledRun as exc:
        error = InterruptedRunError(str(exc))
    finally:
        watch.reset(token)
    if observer.summary:
        lines = summary_lines(observer.summary)
        if observer.summary.video:
            lines.append(f"  review  {_own_command()} review {path}: look, generate other takes, pick")
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return RenderResult(path, observer.summary, error)


def _own_command() -> str:
    """Return a command that runs storyreel from here: its name if it is on PATH, else its path beside this Python."""
    if shutil.which("storyreel"):
        return "storyreel"
    path = Path(sys.executable).with_name("storyreel")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _flow_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as plain values: a flow's parameters must be JSON."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def _require_distinct(paths: Sequence[Path]) -> None:
    """Refuse to start with a wrong storyboard, or with two of the same id: they would share a folder.

    Raises:
        UsageError: as above; of wrong storyboards, every problem of each.
    """
    ids: dict[str, Path] = {}
    for path, board in zip(paths, load_storyboards(paths), strict=True):
        if board.id in ids:
            raise UsageError(f"{path}: has the same id as {ids[board.id]}, {board.id!r}; give one of them another id")
        ids[board.id] = path
