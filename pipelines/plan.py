"""Storyboard -> Plan: the frames to show, each with its request key, and the timeline in whole video frames."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from pipelines.aspect import AspectRatio, Fit
from pipelines.pricing import PRICE_LIST, Price
from pipelines.storyboard.board import BoardFrame, CaptionStyle, Motion, Output, Place, Smooth, SoundMix, Storyboard
from pipelines.storyboard.timing import cut_points, half_transition


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """One take of one frame: what to ask for, and where it stands.

    Attributes:
        number: the frame's place in storyboard order, from 0.
        take: which generation of the frame, from 1.
        request_key: hex sha-256 of what is asked and the take's number; see `request_key`.
        copy: which of the frames that ask for the very same thing, from 1: each gets pictures of its own, in
            storyboard order, so that reordering them buys nothing.
        takes: how many takes the storyboard asks for.
    """

    number: int
    scene: str
    shot: str
    prompt: str
    fallback_prompts: tuple[str, ...]
    steps: int
    aspect: AspectRatio
    fit: Fit
    take: int
    request_key: str
    copy: int = 1
    takes: int = 1

    @property
    def name(self) -> str:
        """The frame's name: `frame_0007`, more digits past 9,999."""
        return f"frame_{self.number:04d}"

    @property
    def label(self) -> str:
        """The frame's name and place: `frame_0007 arrival/wide`."""
        return f"{self.name} {self.scene}/{self.shot}"

    @property
    def price(self) -> Price:
        """The list price of one attempt for this frame."""
        return PRICE_LIST.image(self.aspect.size, steps=self.steps)


@dataclass(frozen=True, slots=True)
class Hold:
    """A frame on screen: `length` video frames from video frame `start`.

    Attributes:
        frame: its number.
        start, length: from the middle of the transition into it to the middle of the one out of it.
        transition: the type of the one out of it; None for a cut.
        half: the video frames that this transition takes of this hold, and as many of the next one.
        motion: over the frame, as long as any of it is on screen.
        caption: shown from `start` to the next hold's.
        smooth: in-betweens lead from the middle of this hold to the middle of the next.
    """

    frame: int
    start: int
    length: int
    transition: str | None = None
    half: int = 0
    motion: Motion | None = None
    caption: str | None = None
    smooth: Smooth | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """A scene on screen, in video frames: from `start` up to, not including, `end`."""

    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The film's time, in whole video frames: holds follow one another without gap or overlap.

    Attributes:
        title: the film's.
        output: what to make.
        holds, chapters: what is on screen.
        captions: how captions look.
        sound: what is heard.
        digest: hex sha-256 of the whole storyboard, resolved; where the file is does not count.
    """

    title: str
    output: Output
    holds: tuple[Hold, ...]
    chapters: tuple[Chapter, ...]
    captions: CaptionStyle = field(default_factory=CaptionStyle)
    sound: SoundMix = field(default_factory=SoundMix)
    digest: str = ""

    @property
    def video_frames(self) -> int:
        """Video frames in the whole film."""
        last = self.holds[-1]
        return last.start + last.length

    @property
    def duration_s(self) -> Fraction:
        """Exact length of the film in seconds."""
        return self.video_frames / self.output.fps


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run has to do, and no more than the storyboard and the model say; one timeline for each output.

    Attributes:
        frames: the first take of each frame; its request key tells the frame from all others, wherever it stands.
    """

    storyboard: str
    title: str
    model: str
    frames: tuple[FrameSpec, ...]
    timelines: tuple[Timeline, ...]

    @property
    def timeline(self) -> Timeline:
        """The first output's, and often the only one."""
        return self.timelines[0]


def plan_frames(board: Storyboard, *, model: str) -> Plan:
    """Lay out every frame of `board` for `model`."""
    frames = tuple(_frame_specs(board.frames, model=model))
    return Plan(board.id, board.title, model, frames, tuple(lay_timeline(board, output) for output in board.outputs))


def another_take(frame: FrameSpec, take: int, *, model: str, prompt: str | None = None) -> FrameSpec:
    """Return the spec of a frame's take of this number; with a prompt of its own, which then has no fallbacks."""
    own = frame.prompt if prompt is None else prompt
    key = request_key(model=model, prompt=own, steps=frame.steps, aspect=frame.aspect, take=take, copy=frame.copy)
    fallbacks = frame.fallback_prompts if prompt is None else ()
    return replace(frame, take=take, prompt=own, fallback_prompts=fallbacks, request_key=key)


def request_key(*, model: str, prompt: str, steps: int, aspect: AspectRatio, take: int, copy: int = 1) -> str:
    """Return the hex sha-256 of what is asked, plus the take's number.

    Only what the API is asked enters, never timing or the endpoint's address: changing those costs nothing. Of the
    frames that ask for the very same thing each has a `copy` number, so that each has takes of its own.
    """
    asked = [model, prompt, steps, aspect.value, copy, *([take] if take > 1 else [])]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


def lay_timeline(board: Storyboard, output: Output | None = None) -> Timeline:
    """Lay out the film that `output`, by default the first, asks for."""
    output = output or board.output
    cuts = cut_points((frame.hold_s for frame in board.frames), output.fps)
    holds = tuple(_holds(board.frames, cuts, output.fps))
    return Timeline(
        board.title, output, holds, tuple(_chapters(board, cuts)), board.captions, board.sound, _digest(board)
    )


def _digest(board: Storyboard) -> str:
    sounds = [replace(sound, file=Path(sound.file.name), place=Place(0, 0, "")) for sound in board.sound.sounds]
    told = replace(board, path=Path(), sound=replace(board.sound, sounds=tuple(sounds)))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _frame_specs(frames: Iterable[BoardFrame], *, model: str) -> Iterator[FrameSpec]:
    seen: Counter[tuple[str, int, AspectRatio]] = Counter()
    for number, frame in enumerate(frames):
        asked = (frame.prompt, frame.steps, frame.aspect)
        seen[asked] += 1
        copy = seen[asked]
        key = request_key(model=model, prompt=frame.prompt, steps=frame.steps, aspect=frame.aspect, take=1, copy=copy)
        yield FrameSpec(
            number=number,
            scene=frame.scene,
            shot=frame.shot,
            prompt=frame.prompt,
            fallback_prompts=frame.fallback_prompts,
            steps=frame.steps,
            aspect=frame.aspect,
            fit=frame.fit,
            take=1,
            request_key=key,
            copy=copy,
            takes=frame.takes,
        )


def _holds(frames: Sequence[BoardFrame], cuts: Sequence[int], fps: Fraction) -> Iterator[Hold]:
    for number, (frame, (start, end)) in enumerate(zip(frames, pairwise(cuts), strict=True)):
        following = frames[number + 1] if number + 1 < len(frames) else None
        transition = frame.transition if following else None
        goes_on = following is not None and (frame.scene, frame.shot) == (following.scene, following.shot)
        yield Hold(
            frame=number,
            start=start,
            length=end - start,
            transition=transition.type if transition else None,
            half=half_transition(transition.duration_s, fps) if transition else 0,
            motion=frame.motion,
            caption=frame.caption,
            smooth=frame.smooth if goes_on else None,
        )


def _chapters(board: Storyboard, cuts: list[int]) -> Iterator[Chapter]:
    frames_of = Counter(frame.scene for frame in board.frames)
    first = 0
    for scene in board.scenes:
        last = first + frames_of[scene.id]
        yield Chapter(scene.title, cuts[first], cuts[last])
        first = last
