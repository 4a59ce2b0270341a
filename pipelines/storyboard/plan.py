"""Storyboard -> Plan: the frames to show, each with its request key, and the timeline in whole video frames."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.common.geometry import AspectRatio, Fit
from pipelines.endpoints.prices import PRICE_LIST, Price
from pipelines.storyboard.model import BoardFrame, Storyboard
from pipelines.storyboard.timeline import Timeline, build_timeline
from pipelines.storyboard.timing import NO_SPEECH, SpeechLengths


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """One picture of the film's material: where it stands, and what the storyboard asks for it.

    Attributes:
        number: the frame's place in storyboard order, from 0.
        fallback_prompts: tried in order where the endpoint refuses the prompt.
        request_key: of its first take; tells the frame from all others, wherever it stands. See `request_key`.
        copy: which of the frames that ask for the very same thing, from 1: each gets pictures of its own, in
            storyboard order, so that reordering them costs nothing.
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

    @property
    def first_take(self) -> "TakeSpec":
        """The take that every frame has."""
        return TakeSpec(self, 1, self.prompt, self.fallback_prompts, self.request_key)


@dataclass(frozen=True, slots=True)
class TakeSpec:
    """One take of one frame, as it is asked for.

    Attributes:
        frame: whose take it is.
        number: of the frame's takes, from 1.
        prompt: the frame's own, unless a re-roll asked for another.
        fallback_prompts: tried in order where the endpoint refuses the prompt.
        request_key: hex sha-256 of what is asked and the take's number; see `request_key`.
    """

    frame: FrameSpec
    number: int
    prompt: str
    fallback_prompts: tuple[str, ...]
    request_key: str

    @property
    def label(self) -> str:
        """The frame's name and place; with the take's number, except for a first one."""
        return self.frame.label if self.number == 1 else f"{self.frame.label} take {self.number}"

    @property
    def price(self) -> Price:
        """The list price of one attempt for this take."""
        return self.frame.price


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run has to do, and no more than the storyboard and the model say; one timeline for each output.

    Attributes:
        frames: in storyboard order.
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


def plan_frames(board: Storyboard, *, model: str, speech_s: SpeechLengths = NO_SPEECH) -> Plan:
    """Plan the frames and the films of a storyboard. Pure: what it needs to know of sounds is an argument.

    Args:
        board: the storyboard.
        model: the one that is asked for the frames; it is part of every request key.
        speech_s: the length in seconds of the speech over each shot, by the ids of its scene and its own.
    """
    frames = tuple(_frame_specs(board.frames, model=model))
    timelines = tuple(build_timeline(board, output, speech_s) for output in board.outputs)
    return Plan(board.id, board.title, model, frames, timelines)


def take_of(frame: FrameSpec, number: int, *, model: str, prompt: str | None = None) -> TakeSpec:
    """Return the spec of a frame's take of this number; with a prompt of its own, which then has no fallbacks."""
    own = frame.prompt if prompt is None else prompt
    key = request_key(model=model, prompt=own, steps=frame.steps, aspect=frame.aspect, take=number, copy=frame.copy)
    return TakeSpec(frame, number, own, frame.fallback_prompts if prompt is None else (), key)


def request_key(*, model: str, prompt: str, steps: int, aspect: AspectRatio, take: int, copy: int = 1) -> str:
    """Return the hex sha-256 of what is asked, plus the take's number.

    Only what the API is asked enters, never timing or the endpoint's address: changing those costs nothing. Of the
    frames that ask for the very same thing each has a `copy` number, so that each has takes of its own.
    """
    asked = [model, prompt, steps, aspect.value, copy, *([take] if take > 1 else [])]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


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
            request_key=key,
            copy=copy,
            takes=frame.takes,
        )
