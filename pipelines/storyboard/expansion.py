"""The storyboard as written -> the storyboard resolved: cascade, matrices, keyframes and templates worked out. Pure."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio, Fit
from pipelines.endpoints.requests import DEFAULT_STEPS
from pipelines.storyboard.endpoint import board_endpoint
from pipelines.storyboard.film_parts import (
    FrameRates,
    check_film_length,
    check_film_names,
    check_transitions,
    film_parts,
    resolve_outputs,
)
from pipelines.storyboard.format.schema import BudgetModel, StoryboardModel
from pipelines.storyboard.frame_places import frame_places
from pipelines.storyboard.frame_texts import FrameTexts
from pipelines.storyboard.ids import complaint_about
from pipelines.storyboard.issues import Issue, IssueLog
from pipelines.storyboard.letter_notes import letter_notes
from pipelines.storyboard.model import BoardFrame, Place, Storyboard
from pipelines.storyboard.narrations import NarrationReader, narrator_of
from pipelines.storyboard.prompts import fallback_prompts
from pipelines.storyboard.shots import Shot, frames_of, list_shots
from pipelines.storyboard.sounds import Locate, SoundReader, nowhere

# `prompt_issue` too: the prompt of a reroll is checked as a storyboard's is.
_DEFAULT_ASPECT = AspectRatio.LANDSCAPE
_DEFAULT_FIT = Fit.COVER
_DEFAULT_TAKES = 1


class ExpansionError(ValueError):
    """The storyboard cannot be resolved; `issues` holds every reason."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(f"{len(issues)} issues")
        self.issues = tuple(issues)


def expand(board: StoryboardModel, *, path: Path, default_id: str, locate: Locate = nowhere) -> Storyboard:
    """Resolve a storyboard as it is written.

    Args:
        board: the storyboard.
        path: the file that it comes from; sound files are named from its folder.
        default_id: its id if it names none.
        locate: returns the place of a path in the file.

    Raises:
        ExpansionError: names are missing or taken twice, prompts are too long, holds too short, frames too many.
    """
    board_id = board.id or default_id
    title = board.title or board_id
    issues = IssueLog()
    if complaint := complaint_about(board_id):
        issues.add(("id",), complaint)
    shots = list_shots(board, title=title, issues=issues)
    texts = FrameTexts(board.styles, issues)
    texts.check_styles()
    frames = tuple(_frames(board, shots, texts, issues))
    reader = NarrationReader(board.narration, board.vars, texts, path.parent, locate, issues)
    narrations = tuple(reader.read(shots))
    check_film_length(frames, issues)
    outputs = resolve_outputs(board, first_aspect=frames[0].aspect, issues=issues) if frames else ()
    check_transitions(shots, frames, outputs, issues)
    check_film_names(board_id, outputs, issues)
    sounds = SoundReader(shots, path.parent, FrameRates.of(board.output).first, locate, issues)
    sound = sounds.read(board.audio, frames)
    # Where there are no frames there is an issue, so from here on there is a first output.
    if issues:
        raise ExpansionError(list(issues))
    return Storyboard(
        id=board_id,
        title=title,
        path=path,
        outputs=outputs,
        budgets=_budgets(board.budget),
        scenes=tuple(dict.fromkeys(shot.scene for shot in shots)),
        frames=frames,
        captions=tuple(output.caption_style(board.captions, language=board.language) for output in board.output),
        caption_places=tuple(_caption_places(shots, locate)),
        frame_places=tuple(frame_places(shots, locate)),
        narrator=narrator_of(board.narration, language=board.language, fps=outputs[0].fps, locate=locate),
        narrations=narrations,
        endpoint=board_endpoint(board.endpoint, locate),
        notes=tuple(letter_notes(board, path, locate)),
        sound=sound,
    )


def _caption_places(shots: Sequence[Shot], locate: Locate) -> Iterator[Place]:
    for shot in shots:
        place = locate(shot.path_of("caption") if shot.settings.caption else shot.path)
        yield from itertools.repeat(place, shot.frame_count)


def _budgets(budget: BudgetModel | None) -> Budgets:
    return Budgets(budget.usd, budget.total_usd, on_exceed=budget.on_exceed) if budget else Budgets()


def _frames(board: StoryboardModel, shots: Sequence[Shot], texts: FrameTexts, issues: IssueLog) -> Iterator[BoardFrame]:
    rates = FrameRates.of(board.output)
    for shot in shots:
        yield from _shot_frames(board, shot, texts, rates, issues)


def _shot_frames(
    board: StoryboardModel, shot: Shot, texts: FrameTexts, rates: FrameRates, issues: IssueLog
) -> Iterator[BoardFrame]:
    settings, parts = shot.settings, film_parts(shot, rates, issues)
    style = texts.style_of(shot)
    fallbacks = fallback_prompts(shot.model, shot.path)
    for index, (source, variables) in enumerate(frames_of(shot, board.vars)):
        # Smooth puts in-betweens after every frame but the last: no transition has room there.
        in_betweens = parts.smooth is not None and index < shot.frame_count - 1
        yield BoardFrame(
            scene=shot.scene.id,
            shot=shot.id,
            prompt=texts.prompt(source, style=style, variables=variables),
            fallback_prompts=tuple(texts.prompt(fallback, style=style, variables=variables) for fallback in fallbacks),
            steps=settings.steps or DEFAULT_STEPS,
            aspect=settings.aspect or _DEFAULT_ASPECT,
            hold_s=parts.hold_s,
            fit=settings.fit or _DEFAULT_FIT,
            transition=None if in_betweens else parts.transition,
            motion=None if parts.smooth else parts.motion,
            caption=texts.caption(shot, variables),
            smooth=parts.smooth,
            takes=settings.takes or _DEFAULT_TAKES,
        )
