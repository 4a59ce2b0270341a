"""Storyboard -> Plan: the frames to show, each with its request key, and the timeline in whole video frames."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from pipelines.aspect import AspectRatio, Fit
from pipelines.pricing import PRICE_LIST, Price
from pipelines.storyboard.board import BoardFrame, Output, Storyboard


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """One frame to show: what to ask for, and where it stands.

    Attributes:
        number: place in storyboard order, from 0.
        take: which generation of this request the frame shows, from 1. Frames that ask for the same thing show
            different takes of it, in storyboard order, so that reordering them buys nothing.
        request_key: hex sha-256 of what is asked and the take number; see `request_key`.
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
    """A frame on screen: `length` video frames from video frame `start`."""

    frame: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """A scene on screen, in video frames: from `start` up to, not including, `end`."""

    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The film's time, in whole video frames: holds follow one another without gap or overlap."""

    title: str
    output: Output
    holds: tuple[Hold, ...]
    chapters: tuple[Chapter, ...]

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
    """All that a run has to do, and no more than the storyboard and the model say."""

    storyboard: str
    title: str
    model: str
    frames: tuple[FrameSpec, ...]
    timeline: Timeline


def plan_frames(board: Storyboard, *, model: str) -> Plan:
    """Lay out every frame of `board` for `model`."""
    frames = tuple(_frame_specs(board.frames, model=model))
    return Plan(board.id, board.title, model, frames, lay_timeline(board))


def request_key(*, model: str, prompt: str, steps: int, aspect: AspectRatio, take: int) -> str:
    """Return the hex sha-256 of what is asked, plus the take number.

    Only what the API is asked enters, never timing or the endpoint's address: changing those costs nothing.
    """
    asked = [model, prompt, steps, aspect.value, take]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


def lay_timeline(board: Storyboard) -> Timeline:
    """Round the cut points, not the holds: in any film each stands within half a video frame of its time."""
    cuts = list(_cut_points(board))
    holds = tuple(Hold(number, start, end - start) for number, (start, end) in enumerate(pairwise(cuts)))
    return Timeline(board.title, board.output, holds, tuple(_chapters(board, cuts)))


def _frame_specs(frames: Iterable[BoardFrame], *, model: str) -> Iterator[FrameSpec]:
    seen: Counter[tuple[str, int, AspectRatio]] = Counter()
    for number, frame in enumerate(frames):
        asked = (frame.prompt, frame.steps, frame.aspect)
        seen[asked] += 1
        take = seen[asked]
        key = request_key(model=model, prompt=frame.prompt, steps=frame.steps, aspect=frame.aspect, take=take)
        yield FrameSpec(
            number=number,
            scene=frame.scene,
            shot=frame.shot,
            prompt=frame.prompt,
            fallback_prompts=frame.fallback_prompts,
            steps=frame.steps,
            aspect=frame.aspect,
            fit=frame.fit,
            take=take,
            request_key=key,
        )


def _cut_points(board: Storyboard) -> Iterator[int]:
    elapsed_s = Fraction(0)
    yield 0
    for frame in board.frames:
        elapsed_s += frame.hold_s
        # Half up, not Python's half to even: a hold of one video frame or more then never rounds to none.
        yield int(elapsed_s * board.output.fps + Fraction(1, 2))


def _chapters(board: Storyboard, cuts: list[int]) -> Iterator[Chapter]:
    frames_of = Counter(frame.scene for frame in board.frames)
    first = 0
    for scene in board.scenes:
        last = first + frames_of[scene.id]
        yield Chapter(scene.title, cuts[first], cuts[last])
        first = last
