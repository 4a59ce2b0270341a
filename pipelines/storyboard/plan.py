"""Storyboard -> Plan: the frames, each with its request key, and a timeline for each output."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pipelines.common.geometry import AspectRatio, Fit
from pipelines.common.settings import Settings
from pipelines.endpoints.amounts import Price
from pipelines.endpoints.choice import chosen_model
from pipelines.endpoints.dialects.registry import DEFAULT_DIALECT
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.requests import ImageRequest
from pipelines.storyboard.model import BoardFrame, Storyboard
from pipelines.storyboard.narrated import PlannedNarration, planned_narrations
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import Timeline, build_timeline


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """One picture of the film's material: its place, and what the storyboard asks for it.

    Attributes:
        number: the frame's place in storyboard order, from 0.
        scene, shot: their ids.
        prompt: rendered, as the endpoint is asked.
        fallback_prompts: tried in order where the endpoint refuses the prompt.
        steps: generation steps, 1 to 8.
        aspect: the aspect ratio; the size in pixels follows from it.
        fit: what becomes of an image of another size.
        request_key: of its first take; identifies the frame, wherever in the storyboard it is. See `request_key`.
        model: the one that is asked for it.
        copy: its number, from 1, among the frames that ask for the same: each gets pictures of its own, in storyboard
            order, so that reordering them costs nothing.
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
    model: ImageModel = field(repr=False, compare=False)
    copy: int = 1
    takes: int = 1

    @property
    def name(self) -> str:
        """The frame's name, and its file's without the suffix: `frame_0007`, with more digits past 9,999."""
        return f"frame_{self.number:04d}"

    @property
    def label(self) -> str:
        """The frame's name and place: `frame_0007 arrival/wide`."""
        return f"{self.name} {self.scene}/{self.shot}"

    @property
    def price(self) -> Price:
        """The list price of one attempt for this frame.

        Raises:
            UsageError: nothing says what the model costs.
        """
        return self.model.price_of(self.request_with(self.prompt))

    def request_with(self, prompt: str) -> ImageRequest:
        """Return the request for an image of it, with one of its prompts or another."""
        return ImageRequest(prompt, self.steps, self.aspect)

    @property
    def first_take(self) -> "TakeSpec":
        """The take that every frame asks for; its request key is the frame's."""
        return TakeSpec(self, 1, self.prompt, self.fallback_prompts, self.request_key)


@dataclass(frozen=True, slots=True)
class TakeSpec:
    """One take of one frame, as it is asked for.

    Attributes:
        frame: the frame that it is a take of.
        number: its number among the frame's takes, from 1.
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

    @property
    def most_usd(self) -> Decimal:
        """The most that one attempt for this take can cost by the list, with whichever of its prompts."""
        return max(self.most_usd_with(prompt) for prompt in (self.prompt, *self.fallback_prompts))

    def most_usd_with(self, prompt: str) -> Decimal:
        """Return the most that one attempt with one of its prompts can cost by the list."""
        return self.frame.model.most_usd_of(self.frame.request_with(prompt))


@dataclass(frozen=True, slots=True)
class Plan:
    """The frames and the films of a storyboard, for one model.

    Attributes:
        storyboard: its id, which also names its folder.
        title: the film's.
        model: the one that is asked for the frames.
        frames: in storyboard order; at least one.
        timelines: one for each output; at least one.
        narrations: what is spoken, in storyboard order.
    """

    storyboard: str
    title: str
    model: str
    frames: tuple[FrameSpec, ...]
    timelines: tuple[Timeline, ...]
    narrations: tuple[PlannedNarration, ...] = ()

    @property
    def timeline(self) -> Timeline:
        """The timeline of the first output, often the only one."""
        return self.timelines[0]


def plan_of(board: Storyboard, settings: Settings, *, speeches: Sequence[Speech] = ()) -> Plan:
    """Plan the frames and the films of a storyboard for the model that the settings choose; see `plan_frames`.

    Raises:
        UsageError: the price list is wrong.
    """
    return plan_frames(board, model=chosen_model(settings), speeches=speeches)


def plan_frames(board: Storyboard, *, model: str | ImageModel, speeches: Sequence[Speech] = ()) -> Plan:
    """Plan the frames and the films of a storyboard. Pure: speech is an argument, no file is read.

    Args:
        board: the storyboard.
        model: the one that is asked for the frames; its name is part of every request key. A name alone is priced as
            the FLUX API prices it.
        speeches: that of each of the storyboard's narrations, in their order.

    Raises:
        ValueError: there are not as many speeches as narrations.
    """
    asked = price_list(DEFAULT_DIALECT).model(model) if isinstance(model, str) else model
    frames = tuple(_frame_specs(board.frames, model=asked))
    timelines = tuple(build_timeline(board, output, speeches=speeches) for output in board.outputs)
    narrations = tuple(planned_narrations(board, speeches))
    return Plan(board.id, board.title, asked.name, frames, timelines, narrations)


def take_of(frame: FrameSpec, number: int, *, model: str, prompt: str | None = None) -> TakeSpec:
    """Return the spec of a frame's take of this number; a `prompt` of its own has no fallbacks."""
    # A re-roll's prompt is exactly what is wanted: the frame's fallbacks would generate something else.
    own = frame.prompt if prompt is None else prompt
    key = request_key(model=model, prompt=own, steps=frame.steps, aspect=frame.aspect, take=number, copy=frame.copy)
    return TakeSpec(frame, number, own, frame.fallback_prompts if prompt is None else (), key)


def request_key(*, model: str, prompt: str, steps: int, aspect: AspectRatio, take: int, copy: int = 1) -> str:
    """Return the hex sha-256 of what is asked, plus the take's number.

    Only what the API is asked enters, never timing or the endpoint's address: changing those costs nothing. Of the
    frames that ask for the same, each has a `copy` number, so that each has takes of its own.
    """
    # Frozen: with another order, type or spelling every key would change, and every take be generated and paid again.
    # A first take adds no number, as keys had none before frames had several takes.
    asked = [model, prompt, steps, aspect.value, copy, *([take] if take > 1 else [])]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


def _frame_specs(frames: Iterable[BoardFrame], *, model: ImageModel) -> Iterator[FrameSpec]:
    # Counted by what is asked, not by place: a frame that is moved keeps its key.
    seen: Counter[ImageRequest] = Counter()
    for number, frame in enumerate(frames):
        asked = ImageRequest(frame.prompt, frame.steps, frame.aspect)
        seen[asked] += 1
        copy = seen[asked]
        key = request_key(
            model=model.name, prompt=frame.prompt, steps=frame.steps, aspect=frame.aspect, take=1, copy=copy
        )
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
            model=model,
            copy=copy,
            takes=frame.takes,
        )
