"""Runs the flow for a person at a terminal: a Prefect API to speak to, a display to watch, an answer in the end."""

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
    """How the render of one storyboard ended; `summary` is None if it did not get as far as to have one."""

    board: Path
    summary: RunResult | None
    error: StoryreelError | None

    def as_json(self) -> dict[str, object]:
        """Return the summary as plain JSON values; with `error` if there was one."""
        said: dict[str, object] = self.summary.as_json() if self.summary else {"storyboard": str(self.board)}
        return {**said, "error": str(self.error)} if self.error else said


def render_boards(paths: Sequence[Path], options: Mapping[str, Any]) -> list[RenderResult]:
    """Render storyboards one after another; stop where going on would not help.

    Raises:
        UsageError: a storyboard or an option is wrong; nothing was started.
    """
    load_settings(options)
    _require_distinct(paths)
    console = Console(stderr=True)
    results: list[RenderResult] = []
    seen = RunObserver()
    seen.progress.stage = f"starting Prefect{', for the first time: about half a minute' if is_first_start() else ''}"
    with prefect_api() as wait_until_up:
        with display_for(seen.progress, console):
            # Here and not above: Prefect reads its settings as it is imported.
            from pipelines.flows.render_storyboard import render_storyboard

            wait_until_up()
        try:
            for path in paths:
                results.append(_render(render_storyboard, path, options, console))
                if isinstance(results[-1].error, EndpointError | InterruptedRunError):
                    break
        finally:
            drain_prefect()
    return results


def open_results(results: Sequence[RenderResult]) -> None:
    """Open each film that was made, or the page about it; where nothing can, say where it lies."""
    console = Console(stderr=True)
    for summary in (result.summary for result in results):
        if summary is None or summary.video is None:
            continue
        made = summary.report or summary.video
        if not open_for_user(made):
            told = f"{made}: no program of this machine opens it; open it yourself"
            console.print(told, highlight=False, markup=False, soft_wrap=True)


def _render(flow: Any, path: Path, options: Mapping[str, Any], console: Console) -> RenderResult:
    from prefect.exceptions import CancelledRun

    seen = RunObserver()
    token = watch.set(seen)
    error: StoryreelError | None = None
    try:
        with display_for(seen.progress, console):
            asyncio.run(flow(storyboard=str(path), **_flow_parameters(options)))
    except StoryreelError as exc:
        error = exc
    except CancelledRun as exc:
        error = InterruptedRunError(str(exc))
    finally:
        watch.reset(token)
    if seen.summary:
        lines = summary_lines(seen.summary)
        if seen.summary.video:
            lines.append(f"  review  {_own_command()} review {path}: look, ask for other takes, pick")
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return RenderResult(path, seen.summary, error)


def _own_command() -> str:
    """Return how to call storyreel again from here: by name, or where it lies beside this Python."""
    if shutil.which("storyreel"):
        return "storyreel"
    path = Path(sys.executable).with_name("storyreel")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _flow_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as the plain values that a flow's parameters are."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def _require_distinct(paths: Sequence[Path]) -> None:
    """Refuse to start with a wrong storyboard, or with two of one id: they would share a folder."""
    ids: dict[str, Path] = {}
    for path, board in zip(paths, load_storyboards(paths), strict=True):
        if board.id in ids:
            raise UsageError(f"{path}: has the same id as {ids[board.id]}, {board.id!r}; give one of them another id")
        ids[board.id] = path
