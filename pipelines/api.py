"""The public API: what the command does, as a few synchronous functions for other programs.

Provisional until version 1.0: it may change between minor versions, with a note in CHANGELOG.md. Everything else in
`pipelines` is internal and may change at any time.

A run is made in this process, without Prefect, and ends with a `RunResult` or with one of the errors that the command
reports. `render`, `reroll` and `pick` may be called from any thread, but not inside a running event loop; there, use
`await asyncio.to_thread(api.render, board)`. In the main thread Ctrl-C and SIGTERM stop a run as they stop the
command's: what is in flight, for it is paid for, is awaited and kept.

Example:
    from pipelines import api

    board = api.load_storyboard("my-film.yaml")
    settings = api.Settings(budget_usd="0.25")
    print(api.quote(board, settings).price.usd)
    print(api.render(board, settings).video)
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from pipelines.common import settings as common_settings
from pipelines.common.errors import (
    AllocationExhaustedError,
    BudgetError,
    CommitUnknownError,
    CredentialsRefusedError,
    CreditExhaustedError,
    DatabaseAwayError,
    EndpointError,
    EndpointUnreachableError,
    FilmError,
    FramesMissingError,
    GroupEndedError,
    IncompleteError,
    InterruptedRunError,
    LedgerError,
    ModelRefusedError,
    Note,
    NoUsableImageError,
    OutdatedLedgerError,
    PrefectUnavailableError,
    Problem,
    StorageError,
    StoryboardError,
    StoryreelError,
    UnreadableFrameError,
    UsageError,
    WrongEndpointError,
)
from pipelines.common.suggestions import did_you_mean
from pipelines.run.local import pick_take, run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.result import RunResult
from pipelines.storyboard import loader
from pipelines.storyboard.endpoint import settings_for, settings_to_look
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.quote import Quote, quote_takes
from pipelines.storyboard.selection import ExtraTakes, select_extra_takes, select_frame
from pipelines.takes.inventory import read_inventory_here
from pipelines.takes.ownership import require_own_folder
from pipelines.voice.planning import plan_spoken

__all__ = [
    "AllocationExhaustedError",
    "BudgetError",
    "CommitUnknownError",
    "CredentialsRefusedError",
    "CreditExhaustedError",
    "DatabaseAwayError",
    "EndpointError",
    "EndpointUnreachableError",
    "FilmError",
    "FramesMissingError",
    "GroupEndedError",
    "IncompleteError",
    "InterruptedRunError",
    "LedgerError",
    "ModelRefusedError",
    "NoUsableImageError",
    "Note",
    "OutdatedLedgerError",
    "Plan",
    "PrefectUnavailableError",
    "Problem",
    "Quote",
    "RunObserver",
    "RunResult",
    "Settings",
    "StorageError",
    "Storyboard",
    "StoryboardError",
    "StoryreelError",
    "UnreadableFrameError",
    "UsageError",
    "WrongEndpointError",
    "load_storyboard",
    "pick",
    "plan",
    "quote",
    "render",
    "reroll",
]


class Settings(common_settings.Settings):
    """The settings of a run: keyword arguments, then STORYREEL_* variables, then .env in the working folder.

    `docs/settings.md` lists them; a keyword is the variable's name in small letters, without the prefix. A keyword
    that is None counts as not given. Settings cannot be changed; make new ones.

    Raises:
        UsageError: a value is wrong, or there is no such setting; the message names each.

    Example:
        settings = api.Settings(endpoint="https://flux.example.workers.dev", output="films", budget_usd="0.25")
    """

    def __init__(self, **values: Any) -> None:
        known = common_settings.Settings.model_fields
        # Elsewhere an unknown key belongs to another program; a misspelt keyword could be a budget that never holds.
        if unknown := [name for name in values if name not in known]:
            raise UsageError(
                "\n".join(f"{name}: there is no such setting{did_you_mean(name, known)}" for name in unknown)
            )
        loaded = common_settings.load_settings(values, name_of=str)
        # Only what is set: a storyboard's rate limit holds where none is.
        super().__init__(**{name: value for name, value in loaded if name in loaded.model_fields_set})


def load_storyboard(path: str | os.PathLike[str]) -> Storyboard:
    """Read and check a storyboard.

    Args:
        path: the YAML file; a relative path is found from STORYREEL_ROOT where that is set, else from the working
            folder.

    Returns:
        The storyboard, for the other functions. A later change of the file does not change it.

    Raises:
        StoryboardError: `problems` holds every mistake in it, each with its place and its cure.
        UsageError: a setting in the environment is wrong.

    Example:
        try:
            board = api.load_storyboard("my-film.yaml")
        except api.StoryboardError as error:
            for problem in error.problems:
                print(problem.line, problem.message)
    """
    return loader.load_storyboard(Settings().locate(Path(path)))


def plan(board: Storyboard, settings: Settings | None = None) -> Plan:
    """Plan the frames and the films of a storyboard. Nothing is sent.

    What it says is spoken where it is not yet, here and in each of the functions below: holds go by the voice. It is
    kept in the output folder; of a long storyboard it takes seconds, once.

    Args:
        board: the storyboard.
        settings: decide on the model, which is part of every frame's request key, on its price, and on the output
            folder; None for those of the environment.

    Returns:
        Its frames in storyboard order, a timeline for each output, and its narrations, each with its speech.

    Raises:
        StoryboardError: a narration cannot be spoken, or its voice is not there; `problems` names each.
        StorageError: speech could not be written.
        UsageError: a setting in the environment or the price list is wrong. A frame's `price` raises it where nothing
            says what the model costs.

    Example:
        for frame in api.plan(board).frames:
            print(frame.number, frame.prompt, frame.price.usd)
    """
    return plan_spoken(board, settings_to_look(board, _effective(settings)))


def quote(
    board: Storyboard,
    settings: Settings | None = None,
    *,
    frames: str | int | None = None,
    takes: int = 1,
    prompt: str | None = None,
) -> Quote:
    """Price what `render` would generate, or with `frames` what `reroll` would. Nothing is sent.

    Args:
        board: the storyboard.
        settings: as for the run; None for those of the environment.
        frames: as for `reroll`; None for a render.
        takes: as for `reroll`.
        prompt: as for `reroll`.

    Returns:
        The price in US dollars, Thai baht and neurons (None where none are billed), the worst case with every re-send,
        and the time. Takes that are there already are counted in `reuse` and cost nothing; those of a re-roll are
        always new.

    Raises:
        StoryboardError: a narration cannot be spoken, or its voice is not there.
        UsageError: there are no such frames, `takes` or the prompt is not allowed, or is given without frames, the
            storyboard's folder is another file's, takes of it lie in another output folder, the ledger cannot be
            opened, or nothing says what the model costs.

    Example:
        quote = api.quote(board)
        print(f"{quote.generate} to generate for {quote.price.usd} USD, at worst {quote.worst_case_usd} USD")
    """
    effective = settings_for(board, _effective(settings))
    require_own_folder(board, effective)
    planned = plan_spoken(board, effective)
    inventory = read_inventory_here(planned, effective)
    if frames is not None:
        extra = select_extra_takes(planned, str(frames), count=takes, prompt=prompt)
        return quote_takes(extra.to_quote, frames=len(planned.frames), settings=effective)
    if takes != 1 or prompt is not None:
        raise UsageError("api.quote: takes and prompt are those of a re-roll; give frames too")
    return inventory.quote(effective)


def render(board: Storyboard, settings: Settings | None = None, *, observer: RunObserver | None = None) -> RunResult:
    """Generate the frames that are missing, cut the film, and write the ledger and the report.

    Args:
        board: the storyboard.
        settings: folders, endpoint, budgets and bounds; None for those of the environment.
        observer: receives the progress, which any thread may read, and the result, also of a run that is not whole.

    Returns:
        The counts, the cost and the files of a run that is whole.

    Raises:
        StoryboardError: a narration cannot be spoken, a sound cannot be read, or notes are errors; nothing was sent.
        UsageError: a setting or the output folder is wrong, the folder of this storyboard's id is another file's,
            takes of it lie in another output folder, or this is called inside a running event loop; nothing was sent.
        BudgetError: the budget refused the run, or stopped it.
        IncompleteError: some frames or a film are missing; render again to complete.
        EndpointError: the endpoint is of no use to this run.
        InterruptedRunError: the run was stopped.
        StoryreelError: all of the above; whichever it is, what was generated is kept.

    Example:
        observer = api.RunObserver()
        try:
            print(api.render(board, observer=observer).video)
        except api.IncompleteError as error:
            print(error, observer.result)
    """
    _require_no_event_loop("render")
    return _run(board, settings_for(board, _effective(settings)), None, observer)


def reroll(
    board: Storyboard,
    frames: str | int,
    *,
    takes: int = 1,
    prompt: str | None = None,
    settings: Settings | None = None,
    observer: RunObserver | None = None,
) -> RunResult:
    """Generate more takes of some frames. Each frame goes on to show the same take until another is picked.

    Args:
        board: the storyboard.
        frames: numbers and ranges (`3,7-9`), shots (`scene/shot`) or scenes, with commas between them; or one number.
        takes: how many more of each frame, 1 to 99.
        prompt: what to ask instead of the frames' own prompts.
        settings: as for `render`.
        observer: as for `render`.

    Returns:
        The result; `new_takes` holds the takes, each with its number and its file. There is a film if every frame has
        a take.

    Raises:
        StoryboardError: as `render`.
        UsageError: there are no such frames, or `takes` or the prompt is not allowed; and as `render`.
        StoryreelError: as `render`.

    Example:
        result = api.reroll(board, "3,7-9", takes=2)
        for take in result.new_takes:
            print(take.frame.number, take.spec.number, take.path)
    """
    _require_no_event_loop("reroll")
    effective = settings_for(board, _effective(settings))
    planned = plan_spoken(board, effective)
    extra = select_extra_takes(planned, str(frames), count=takes, prompt=prompt)
    return _run(board, effective, extra, observer)


def pick(board: Storyboard, frame: str | int, take: int, settings: Settings | None = None) -> RunResult:
    """Choose which take a frame shows from now on, and cut the film again. It costs nothing.

    Args:
        board: the storyboard.
        frame: its number, its name, or its shot if that has no other frame.
        take: the take's number, from 1.
        settings: as for `render`.

    Returns:
        The result; `video` is None as long as a frame has no take.

    Raises:
        StoryboardError: as `render`; nothing was picked.
        UsageError: there is no such frame or no such take; and as `render`.
        StoryreelError: as `render`; the pick holds, and the next run cuts the film.

    Example:
        api.pick(board, "arrival/wide", 2)
    """
    _require_no_event_loop("pick")
    effective = settings_to_look(board, _effective(settings))
    require_own_folder(board, effective)
    planned = plan_spoken(board, effective)
    pick_take(planned, effective, select_frame(planned, str(frame)), take)
    # No extra takes, not None: that would generate what the storyboard still lacks.
    return _run(board, effective, ExtraTakes(), None)


def _effective(settings: Settings | None) -> Settings:
    return Settings() if settings is None else settings


def _require_no_event_loop(function: str) -> None:
    """Require that a run can have an event loop of its own.

    Raises:
        UsageError: one runs in this thread already, as in a notebook or a web server.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        f"api.{function}: called inside a running event loop, which it would block; run it in a thread: "
        f"await asyncio.to_thread(api.{function}, ...)"
    )


def _run(
    board: Storyboard, settings: common_settings.Settings, extra_takes: ExtraTakes | None, observer: RunObserver | None
) -> RunResult:
    try:
        return asyncio.run(run_locally(board, settings, extra_takes, observer=observer))
    except asyncio.CancelledError as exc:
        # From a second Ctrl-C. Callers are synchronous, and would not expect asyncio's exception.
        raise InterruptedRunError() from exc
