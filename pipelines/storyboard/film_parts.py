"""Film parts of a storyboard: holds, transitions, motion, looks of captions, outputs, and whether they fit together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipelines.common.geometry import AspectRatio
from pipelines.storyboard.format.film_schema import (
    MotionModel,
    OutputModel,
    SmoothModel,
    TransitionModel,
)
from pipelines.storyboard.format.parsers import AUTO, Duration
from pipelines.storyboard.format.schema import StoryboardModel
from pipelines.storyboard.ids import ANIMATIC_NAME, MAX_FILE_NAME_BYTES
from pipelines.storyboard.issues import IssueLog
from pipelines.storyboard.model import BoardFrame, Motion, MotionType, Output, Smooth, Transition
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.shots import Shot
from pipelines.storyboard.timing import cut_points, half_transition
from pipelines.storyboard.transitions import CUT

MAX_FILM_S = 24 * 3600
_DEFAULT_HOLD = Duration(Fraction(4))


@dataclass(frozen=True, slots=True)
class FrameRates:
    """Frame rates of a storyboard's outputs, in video frames a second.

    Attributes:
        first: the first output's; times that are written in video frames (`96f`) are counted in it.
        slowest: the lowest of all; its video frames are the longest, and no hold may be shorter than one.
    """

    first: Fraction
    slowest: Fraction

    @classmethod
    def of(cls, outputs: Sequence[OutputModel]) -> "FrameRates":
        """Return the rates of these outputs; there is at least one."""
        rates = [output.rate for output in outputs]
        return cls(rates[0], min(rates))


@dataclass(frozen=True, slots=True)
class FilmParts:
    """Time and movement of a shot's frames.

    Attributes:
        hold_s: exact seconds on screen of each frame; None for a share of the length of what is spoken over it.
        transition: from each frame to the next; None for a cut.
        motion: over each frame; None for a still one.
        smooth: in-betweens from frame to frame; None without any, and for a shot of one frame.
    """

    hold_s: Fraction | None
    transition: Transition | None
    motion: Motion | None
    smooth: Smooth | None


def film_parts(shot: Shot, rates: FrameRates, issues: IssueLog) -> FilmParts:
    """Return the film parts of a shot."""
    settings = shot.settings
    smooth = _smooth(shot.model.smooth) if shot.frame_count > 1 else None
    motion = _motion(settings.motion)
    # A motion that is inherited just does not apply; one of the shot's own contradicts its smooth.
    if smooth and shot.model.motion and motion:
        issues.add((*shot.path, "motion"), "cannot stand beside smooth, which moves the picture; remove one")
    return FilmParts(
        hold_s=_hold_s(shot, rates, issues),
        transition=_transition(settings.transition, rates.first),
        motion=motion,
        smooth=smooth,
    )


def resolve_outputs(board: StoryboardModel, *, first_aspect: AspectRatio, issues: IssueLog) -> tuple[Output, ...]:
    """Return the films to make: each key as the output sets it, else as its preset does, else the usual value.

    Args:
        board: the storyboard as it is written.
        first_aspect: the first frame's aspect ratio; the film's, where neither an output nor the defaults set one.
        issues: receives the names that are there twice: they end the films' file names.
    """
    size = (board.defaults.aspect or first_aspect).size
    names = [
        output.name or output.preset or output.codec_name if index else "" for index, output in enumerate(board.output)
    ]
    for index, name in enumerate(names):
        if name in names[:index]:
            issues.add(("output", index), f"is the second one called {name!r}; give it a name of its own")
    return tuple(output.resolved(size=size, name=name) for output, name in zip(board.output, names, strict=True))


def check_film_names(board_id: str, outputs: Sequence[Output], issues: IssueLog) -> None:
    """Require that no film's file is the animatic's, and that file systems allow its name."""
    for index, output in enumerate(outputs):
        if output.name == ANIMATIC_NAME:
            issues.add(
                ("output", index), f"{ANIMATIC_NAME!r} ends the name of the animatic's own file; name it otherwise"
            )
        name_bytes = len(f"{board_id}-{output.name}.{encoding_of(output.codec).extension}".encode())
        if output.name and name_bytes > MAX_FILE_NAME_BYTES:
            message = (
                f"its film's name would be {name_bytes} bytes long, more than the {MAX_FILE_NAME_BYTES} that file "
                "systems allow; give the storyboard a shorter `id:`"
            )
            issues.add(("output", index), message)


def check_film_length(frames: Sequence[BoardFrame], issues: IssueLog) -> None:
    """Require that the film is not longer than `MAX_FILM_S` seconds."""
    # What narration takes is not known yet.
    length_s = sum((frame.hold_s or 0 for frame in frames), Fraction(0))
    if length_s > MAX_FILM_S:
        issues.add((), f"the film would be {float(length_s) / 3600:.1f} hours long, more than 24")


def check_transitions(
    shots: Sequence[Shot], frames: Sequence[BoardFrame], outputs: Sequence[Output], issues: IssueLog
) -> None:
    """Require that transitions fit into the holds on both sides, in every output."""
    shot_of = [shot for shot in shots for _ in range(shot.frame_count)]
    for output in outputs:
        for number, message in _crowded(frames, output.fps):
            issues.add(shot_of[number].path_of("transition"), message)


def _crowded(frames: Sequence[BoardFrame], fps: Fraction) -> Iterator[tuple[int, str]]:
    """Yield each frame whose transition would be longer than a hold beside it, by number, with the message."""
    # In whole video frames, as in the timeline: once rounded, a hold may be one video frame too short.
    cuts = cut_points((frame.hold_s or Fraction(0) for frame in frames), fps)
    halves = [half_transition(frame.transition.duration_s, fps) if frame.transition else 0 for frame in frames]
    # The last frame's transition has no frame to lead to and is not shown.
    halves[-1:] = [0]
    for number, frame in enumerate(frames):
        before, after = (halves[number - 1] if number else 0), halves[number]
        # Each transition may take half of the hold, so that the two beside one hold never overlap. A hold that is as
        # long as its narration is made long enough.
        if frame.hold_s is None or 2 * max(before, after) <= cuts[number + 1] - cuts[number]:
            continue
        blamed = number if after >= before else number - 1
        transition = frames[blamed].transition
        assert transition is not None
        yield (
            blamed,
            f"a {transition.type} of {float(transition.duration_s):g} s does not fit: {frame.scene}/{frame.shot} is "
            f"held for {float(frame.hold_s):g} s only; shorten it, hold the frame longer, or write "
            "transition: cut",
        )


def _hold_s(shot: Shot, rates: FrameRates, issues: IssueLog) -> Fraction | None:
    hold = shot.settings.hold or _DEFAULT_HOLD
    if hold == AUTO:
        if shot.is_spoken_over:
            return None
        # One that is inherited just does not apply to what is silent.
        if shot.model.hold == AUTO:
            issues.add((*shot.path, "hold"), "auto is as long as the narration, and there is none; add it, or a time")
        hold = _DEFAULT_HOLD
    hold_s = hold.seconds(rates.first)
    if hold_s * rates.slowest < 1:
        frame_ms = float(1000 / rates.slowest)
        message = f"is shorter than one video frame, which is {frame_ms:.4g} ms here; write 1f or more"
        issues.add(shot.path_of("hold"), message)
    return hold_s


def _transition(transition: TransitionModel | None, fps: Fraction) -> Transition | None:
    if transition is None or transition.type == CUT:
        return None
    return Transition(transition.type, transition.duration.seconds(fps))


def _motion(motion: MotionModel | None) -> Motion | None:
    # `none` is a value of its own: with it a shot turns off the motion that it would inherit.
    if motion is None or motion.type is MotionType.NONE:
        return None
    return Motion(motion.type, Fraction(motion.amount), motion.ease)


def _smooth(smooth: SmoothModel | None) -> Smooth | None:
    return Smooth(smooth.fps, smooth.method) if smooth else None
