"""Rendering from the command line: under Prefect where anything is generated, a display, a result for each board."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.cli import prefect_run
from pipelines.cli.checking import check_boards
from pipelines.cli.direct_run import needs_prefect, run_directly
from pipelines.cli.display import display_for, print_lines, summary_lines
from pipelines.cli.following import follows_another_run
from pipelines.cli.hints import next_command, options_to_repeat, own_program
from pipelines.cli.logs import is_quiet
from pipelines.cli.opener import open_for_user
from pipelines.cli.options import print_endpoint_notice
from pipelines.cli.waiting import waiting_since
from pipelines.common.addresses import without_secrets
from pipelines.common.errors import (
    EndpointError,
    InterruptedRunError,
    Note,
    PrefectUnavailableError,
    StoryreelError,
    UsageError,
)
from pipelines.common.printable import printable_name
from pipelines.common.quality import Quality
from pipelines.common.settings import Settings, load_settings
from pipelines.flows.handover import Handover, RunFlow
from pipelines.run.observer import RunObserver
from pipelines.run.progress import Progress
from pipelines.run.result import RunResult, interrupted_error
from pipelines.storyboard.endpoint import settings_of_boards
from pipelines.storyboard.loader import load_storyboards
from pipelines.storyboard.model import Storyboard
from pipelines.takes.ownership import require_own_folder

# What the command itself has done by then.
_NOT_PARAMETERS = ("strict",)


@dataclass(frozen=True, slots=True)
class FlowCall:
    """One flow to be run.

    Attributes:
        flow: its name, `render_storyboard` or `reroll_takes`.
        run_flow: runs it, under Prefect or without.
        path: the storyboard's file, as it was named on the command line.
        board: what is in it, read once.
        settings: from the options, the environment and .env.
        parameters: the flow's, besides the storyboard: plain values.
        notes: on the storyboard, where they were told already; None before it was checked.
    """

    flow: str
    run_flow: RunFlow
    path: Path
    board: Storyboard
    settings: Settings
    parameters: Mapping[str, Any]
    notes: tuple[Note, ...] | None = None


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The end of one storyboard's render.

    Attributes:
        board: its file, as it was named on the command line.
        result: None where the run ended before there was one.
        error: why it is not complete; None if it is.
    """

    board: Path
    result: RunResult | None
    error: StoryreelError | None

    def as_json(self) -> dict[str, object]:
        """Return the result as plain JSON values, and `error` where there is one."""
        values: dict[str, object] = self.result.as_json() if self.result else {"storyboard": str(self.board)}
        return {**values, "error": str(self.error)} if self.error else values


def render_boards(paths: Sequence[Path], options: Mapping[str, Any]) -> list[RenderResult]:
    """Render storyboards one after another, and return how each ended.

    Raises:
        UsageError: a storyboard or an option is wrong, a storyboard's folder is another file's, takes of one lie in
            another output folder, notes are errors, or no Prefect is there to start lanes; nothing was sent.
    """
    prefect_run.require_api_for_lanes(options.get("lanes", 1))
    # All of them before the first, which may take hours.
    given = load_settings(options)
    boards = _load_distinct(paths)
    settings = settings_of_boards(boards, given)
    for board in boards:
        require_own_folder(board, given)
    print_endpoint_notice(*settings)
    parameters = _flow_parameters(options)
    with contextlib.ExitStack() as stack:
        generates = [needs_prefect(board, of_board) for board, of_board in zip(boards, settings, strict=True)]
        by_prefect = stack.enter_context(prefect_run.prefect_flows()) if any(generates) else run_directly
        # While Prefect's API starts: sounds are read to their end.
        checked = check_boards(boards, settings)
        runs = [by_prefect if generate else run_directly for generate in generates]
        return _run_flows(
            FlowCall("render_storyboard", run_flow, path, board, of_board, parameters, notes)
            for run_flow, path, board, of_board, notes in zip(runs, paths, boards, settings, checked, strict=True)
        )


def reroll_board(
    path: Path, board: Storyboard, settings: Settings, frames: str, options: Mapping[str, Any]
) -> RenderResult:
    """Generate more takes of some frames of a storyboard that has been read, and return how that ended.

    Raises:
        UsageError: Prefect's API cannot be started, or a secret would be sent in clear; nothing was sent.
    """
    print_endpoint_notice(settings)
    parameters = {"frames": frames, **_flow_parameters(options)}
    with prefect_run.prefect_flows() as by_prefect:
        [result] = _run_flows([FlowCall("reroll_takes", by_prefect, path, board, settings, parameters)])
    return result


def _run_flows(calls: Iterable[FlowCall]) -> list[RenderResult]:
    """Run flows one after another, and return how each ended.

    An endpoint or a Prefect that is of no use, or an interruption, ends them all: the rest have no result.
    """
    console = Console(stderr=True, quiet=is_quiet())
    results: list[RenderResult] = []
    began = waiting_since()
    for call in calls:
        results.append(_run_flow(call, console, began=began))
        if isinstance(results[-1].error, EndpointError | PrefectUnavailableError | InterruptedRunError):
            break
        began = time.monotonic()
    return results


def open_results(results: Sequence[RenderResult]) -> None:
    """Open the report of each film that was made, or the film itself; print the path of what no program opens."""
    console = Console(stderr=True)
    for made_by in (result.result for result in results):
        if made_by is None or made_by.video is None:
            continue
        made = made_by.report or made_by.video
        if not open_for_user(made):
            message = f"{made}: no program on this machine opens it; open it yourself"
            print_lines(console, message)


def _run_flow(call: FlowCall, console: Console, *, began: float) -> RenderResult:
    # Its first step, whatever that is, is the first news.
    observer = RunObserver(Progress(stage="", storyboard=call.board.id))
    observer.progress.began = began
    error: StoryreelError | None = None
    review = ""
    try:
        # Before the run, whose end is told even if the ledger is away by then.
        review = _review_command(call)
        with display_for(observer.progress, console):
            call.run_flow(
                call.flow,
                {"storyboard": printable_name(str(call.path)), **call.parameters},
                Handover(call.board, call.settings, observer, call.notes, began),
            )
    except StoryreelError as exc:
        error = exc
    except (KeyboardInterrupt, asyncio.CancelledError):
        # Before the run has begun, or after its end: what there is of it is told all the same.
        error = interrupted_error(InterruptedRunError(), observer.result)
    if observer.result:
        lines = summary_lines(observer.result)
        if observer.result.video:
            lines.append(f"  review  {review}: look, generate other takes, pick")
        if observer.result.drafts:
            lines.append(f"  final   {_final_command(call)}: makes the final film")
        print_lines(console, "\n".join(lines))
    return RenderResult(call.path, observer.result, error)


def _review_command(call: FlowCall) -> str:
    """Return the command that shows this run's takes."""
    follows = follows_another_run(call.settings, call.board.id)
    options = options_to_repeat(call.parameters, call.settings, follows=follows)
    return next_command("review", call.path, options, program=own_program())


def _final_command(call: FlowCall) -> str:
    """Return the command that makes the final film of this run's takes."""
    settings = call.settings
    # A render follows no other run, as a re-roll may have done.
    asked = {"endpoint": settings.endpoint, "dialect": settings.dialect, "model": settings.model}
    given = call.parameters if call.flow == "render_storyboard" else {**call.parameters, **asked}
    # Named: the storyboard, or a variable, may ask for drafts.
    options = {**options_to_repeat(given, settings), "quality": Quality.FINAL.value}
    return next_command("render", call.path, options, program=own_program())


def _flow_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as plain values: a flow's parameters must be JSON.

    They stand on Prefect's page, so the endpoint's has no secrets; the flow has its address from the settings.
    """
    given = {name: value for name, value in options.items() if value is not None and name not in _NOT_PARAMETERS}
    if "endpoint" in given:
        given["endpoint"] = without_secrets(given["endpoint"])
    return {name: printable_name(str(value)) if isinstance(value, Path) else value for name, value in given.items()}


def _load_distinct(paths: Sequence[Path]) -> list[Storyboard]:
    """Read storyboards; refuse a wrong one, and two of the same id: they would share a folder.

    Raises:
        UsageError: as above; of wrong storyboards, every problem of each.
    """
    boards = load_storyboards(paths)
    ids: dict[str, Path] = {}
    for path, board in zip(paths, boards, strict=True):
        if board.id in ids:
            raise UsageError(f"{path}: has the same id as {ids[board.id]}, {board.id!r}; give one of them another id")
        ids[board.id] = path
    return boards
