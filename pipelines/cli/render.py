"""Rendering from the command line: a Prefect API for its time, a display on stderr, a result for each storyboard."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

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
from pipelines.common.errors import EndpointError, InterruptedRunError, Note, StoryreelError, UsageError
from pipelines.common.printable import printable_name
from pipelines.common.settings import Settings, load_settings
from pipelines.flows.handover import Handover
from pipelines.flows.local_api import drain_prefect, is_first_start, prefect_api
from pipelines.run.observer import RunObserver
from pipelines.run.result import RunResult, interrupted_error
from pipelines.storyboard.loader import load_storyboards
from pipelines.storyboard.model import Storyboard
from pipelines.takes.ownership import require_own_folder

# The flow that may have nothing to generate.
_RENDER = "render_storyboard"
# What the command itself has done by then.
_NOT_PARAMETERS = ("strict",)
# Runs a flow to its end; see `flows.running.run_flow`.
RunFlow = Callable[[str, Mapping[str, Any], Handover], None]


@dataclass(frozen=True, slots=True)
class FlowCall:
    """One flow to be run.

    Attributes:
        flow: its name, `render_storyboard` or `reroll_takes`.
        path: the storyboard's file, as it was named on the command line.
        board: what is in it, read once.
        settings: from the options, the environment and .env.
        parameters: the flow's, besides the storyboard: plain values.
        notes: on the storyboard, where they were told already; None before it was checked.
    """

    flow: str
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
        UsageError: a storyboard or an option is wrong, a storyboard's folder is another file's, or notes are errors;
            nothing was started.
    """
    # All of them before the first, which may take hours; and Prefect takes seconds to start.
    settings = load_settings(options)
    boards = _load_distinct(paths)
    for board in boards:
        require_own_folder(board, settings)
    checked = check_boards(boards, strict=settings.strict)
    parameters = _flow_parameters(options)
    calls = [
        FlowCall(_RENDER, path, board, settings, parameters, notes)
        for path, board, notes in zip(paths, boards, checked, strict=True)
    ]
    return _run_flows(calls)


def reroll_board(
    path: Path, board: Storyboard, settings: Settings, frames: str, options: Mapping[str, Any]
) -> RenderResult:
    """Generate more takes of some frames of a storyboard that has been read, and return how that ended."""
    parameters = {"frames": frames, **_flow_parameters(options)}
    [result] = _run_flows([FlowCall("reroll_takes", path, board, settings, parameters)])
    return result


def _run_flows(calls: Sequence[FlowCall]) -> list[RenderResult]:
    """Run flows one after another, and return how each ended.

    An endpoint that is of no use, or an interruption, ends them all: the rest are not started, and have no result.

    Raises:
        UsageError: a secret would be sent in clear; nothing was started.
    """
    # All calls have the settings of one command line.
    print_endpoint_notice(calls[0].settings)
    console = Console(stderr=True, quiet=is_quiet())
    results: list[RenderResult] = []
    began = waiting_since()
    with contextlib.ExitStack() as stack:
        by_prefect: RunFlow | None = None
        for call in calls:
            run_flow: RunFlow = run_directly
            try:
                if call.flow != _RENDER or needs_prefect(call.board, call.settings):
                    run_flow = by_prefect = by_prefect or stack.enter_context(prefect_flows(console))
            except StoryreelError as error:
                results.append(RenderResult(call.path, None, error))
                break
            results.append(_run_flow(run_flow, call, console, began=began))
            if isinstance(results[-1].error, EndpointError | InterruptedRunError):
                break
            began = time.monotonic()
    return results


@contextlib.contextmanager
def prefect_flows(console: Console) -> Iterator[RunFlow]:
    """Yield the function that runs a flow, once Prefect's API is up; in the end, wait until it has all that was logged.

    Raises:
        StoryreelError: the API did not start.
    """
    starting = RunObserver()
    first_start = ", for the first time: about half a minute" if is_first_start() else ""
    starting.progress.stage = f"starting Prefect{first_start}"
    with prefect_api() as wait_until_up:
        with display_for(starting.progress, console):
            # Here and not above: Prefect reads its settings as it is imported.
            from pipelines.flows import running

            wait_until_up()
        try:
            yield running.run_flow
        finally:
            # Its log and events are sent in the background; the API ends with this block.
            drain_prefect()


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


def _run_flow(run_flow: RunFlow, call: FlowCall, console: Console, *, began: float) -> RenderResult:
    observer = RunObserver()
    observer.progress.began = began
    error: StoryreelError | None = None
    review = ""
    try:
        # Before the run, whose end is told even if the ledger is away by then.
        review = _review_command(call)
        with display_for(observer.progress, console):
            run_flow(
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
        print_lines(console, "\n".join(lines))
    return RenderResult(call.path, observer.result, error)


def _review_command(call: FlowCall) -> str:
    """Return the command that shows this run's takes."""
    follows = follows_another_run(call.settings, call.board.id)
    options = options_to_repeat(call.parameters, call.settings, follows=follows)
    return next_command("review", call.path, options, program=own_program())


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
