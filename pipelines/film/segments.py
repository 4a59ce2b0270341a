"""A timeline cut into segments: pieces of film that are encoded on their own, each known by all that goes into it.

A transition is a segment, and so are the in-betweens of a shot; holds that are shorter than two seconds share one, so
that a film of flickering frames does not start an encoder for each.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.film.captions import ScreenText
from pipelines.film.spoken_captions import CaptionRun, CaptionTrack
from pipelines.storyboard.model import Motion, Smooth
from pipelines.storyboard.presets import PieceKind
from pipelines.storyboard.timeline import Hold, Timeline

# Goes into every key: raise it when pieces of the same key come out otherwise than before.
_VERSION = 2
# An encoder takes as long to start as to encode half a dozen pictures: with this much in a group, it does not show.
_GROUP_S = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame on screen, at a place in its move.

    Attributes:
        frame: its number.
        motion: the move; None where the frame stands still.
        age: the video frames of the move that are past.
        span: the video frames that the move takes in all, transitions included.
    """

    frame: int
    motion: Motion | None = None
    age: int = 0
    span: int = 1

    def progress(self, video_frame: int) -> float:
        """Return how far its move is, from 0 to 1, in the middle of a video frame.

        Video frames are counted from where this part of the film begins.
        """
        return (2 * (self.age + video_frame) + 1) / (2 * self.span)


@dataclass(frozen=True, slots=True)
class Stay:
    """A frame alone on screen.

    Attributes:
        length: in video frames.
        shown: the frame, and where its move begins.
        caption: its text; None where there is none.
    """

    length: int
    shown: Shown
    caption: ScreenText | None = None

    @property
    def still(self) -> bool:
        """Whether all its pictures are the same."""
        return self.shown.motion is None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A transition from one frame to the next.

    Attributes:
        length: in video frames; always even.
        type: its name in a storyboard, such as `dissolve`.
        leaving, coming: the two frames; both go on with their moves.
        captions: of the two frames; one gives way to the other in the middle.
    """

    length: int
    type: str
    leaving: Shown
    coming: Shown
    captions: tuple[ScreenText | None, ScreenText | None] = (None, None)


@dataclass(frozen=True, slots=True)
class SpokenCrossing(Crossing):
    """A transition while something is spoken, and its captions give way to others anywhere.

    Attributes:
        runs: its captions, in place of the two of other transitions.
    """

    runs: tuple[CaptionRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Morph:
    """In-betweens of a run of frames.

    Attributes:
        length: in video frames.
        smooth: how they are made.
        keys: each frame of the run, and the video frame at which it is shown as it is; the first one at 0.
        captions: for how many video frames, and the text.
    """

    length: int
    smooth: Smooth
    keys: tuple[tuple[int, int], ...]
    captions: tuple[CaptionRun, ...] = ()

    @property
    def shown(self) -> Iterator[Shown]:
        """Its key frames."""
        return (Shown(frame) for frame, _ in self.keys)


Part = Stay | Crossing | Morph


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of film that is encoded on its own.

    Attributes:
        start: its first video frame.
        parts: in order; only holds share a segment with others.
    """

    start: int
    parts: tuple[Part, ...]

    @property
    def length(self) -> int:
        """Its video frames."""
        return _length(self.parts)

    @property
    def still(self) -> bool:
        """Whether nothing in it changes but by cuts."""
        return all(isinstance(part, Stay) and part.still for part in self.parts)

    @property
    def kind(self) -> PieceKind:
        """How it is encoded."""
        if any(isinstance(part, Crossing) for part in self.parts):
            return PieceKind.PASSING
        return PieceKind.STILL if self.still else PieceKind.MOVING

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that it shows, each once, in their order."""
        # A set that keeps its order.
        return tuple(dict.fromkeys(frame for part in self.parts for frame in _frames_of(part)))

    @property
    def captions(self) -> list[CaptionRun]:
        """Its captions in order, None where there is none: for how many video frames, and the text."""
        return [caption for part in self.parts for caption in _captions_of(part)]

    def key(self, identities: Mapping[int, str], settings: object) -> str:
        """Return the hex sha-256 of all that goes into the piece.

        Its place in the film does not count: a frame more at the beginning changes no later piece.

        Args:
            identities: what tells the picture of each frame from any other; it counts, the frame's number does not.
            settings: whatever else counts, by its `repr`.
        """
        places = {frame: place for place, frame in enumerate(self.frames)}
        parts = [_renumbered(part, places) for part in self.parts]
        shown = [identities[frame] for frame in self.frames]
        # By repr: a dataclass or a field of another name would give every piece another key.
        return hashlib.sha256(repr((_VERSION, settings, parts, shown)).encode()).hexdigest()


def cut_segments(timeline: Timeline) -> list[Segment]:
    """Cut a film into segments; together they are as long as the film."""
    groups = _grouped(parts_of(timeline.holds, CaptionTrack(timeline)), few=int(_GROUP_S * timeline.output.fps))
    segments: list[Segment] = []
    start = 0
    for group in groups:
        segments.append(Segment(start, group))
        start += segments[-1].length
    return segments


def parts_of(holds: Sequence[Hold], track: CaptionTrack) -> Iterator[tuple[Part, ...]]:
    """Yield the parts of a film in order: transitions, in-betweens, and frames alone on screen.

    Those of one frame come together: there is one for each of its captions.
    """
    run: list[Hold] = []
    for before, hold, after in zip((None, *holds), holds, (*holds[1:], None), strict=False):
        half_in, middle = (before.half if before else 0), hold.length // 2
        led_in = before is not None and before.smooth is not None
        # A move goes on for as long as any of its frame is on screen, transitions included.
        shown = Shown(hold.frame, hold.motion, 0, hold.length + half_in + hold.half)
        # In-betweens reach into the middle of a hold, transitions as far as their half.
        first = middle if led_in else half_in
        last = middle if hold.smooth else hold.length - hold.half
        if led_in or hold.smooth:
            run.append(hold)
        if led_in and not hold.smooth:
            yield (_morph(run, track),)
            run = []
        if last > first:
            captions = track.between(hold.start + first, last - first)
            yield tuple(_stays(_aged(shown, half_in + first), captions))
        if hold.half and hold.transition and after is not None:
            coming = Shown(after.frame, after.motion, 0, hold.half + after.length + after.half)
            captions = track.between(after.start - hold.half, 2 * hold.half)
            yield (_crossing(hold.transition, _aged(shown, half_in + last), coming, captions),)


def _stays(shown: Shown, captions: Sequence[CaptionRun]) -> Iterator[Stay]:
    for length, caption in captions:
        yield Stay(length, shown, caption)
        shown = _aged(shown, shown.age + length)


def _crossing(kind: str, leaving: Shown, coming: Shown, captions: tuple[CaptionRun, ...]) -> Crossing:
    length = sum(run for run, _ in captions)
    match captions:
        case ((before, first), (after, second)) if before == after:
            return Crossing(length, kind, leaving, coming, (first, second))
        case _:
            return SpokenCrossing(length, kind, leaving, coming, runs=captions)


def _aged(shown: Shown, age: int) -> Shown:
    # A frame without a move has no age: its pieces are the same wherever they begin.
    return replace(shown, age=age) if shown.motion else replace(shown, span=1)


def _morph(run: Sequence[Hold], track: CaptionTrack) -> Morph:
    smooth = run[0].smooth
    assert smooth is not None
    # Each frame is shown as it is in the middle of its hold.
    middles = [hold.start + hold.length // 2 for hold in run]
    length = middles[-1] - middles[0]
    keys = [(hold.frame, middle - middles[0]) for hold, middle in zip(run, middles, strict=True)]
    return Morph(length, smooth, tuple(keys), track.between(middles[0], length))


def _grouped(parts: Iterable[tuple[Part, ...]], *, few: int) -> Iterator[tuple[Part, ...]]:
    """Yield the parts of each segment: neighbouring holds of less than `few` video frames together, others alone."""
    group: list[Part] = []
    for of_hold in parts:
        alone = not isinstance(of_hold[0], Stay) or _length(of_hold) >= few
        # A group that is long enough ends: a change of one of its frames encodes all of it again.
        if group and (alone or _length(group) >= few):
            yield tuple(group)
            group = []
        if alone:
            yield of_hold
        else:
            group += of_hold
    if group:
        yield tuple(group)


def _length(parts: Iterable[Part]) -> int:
    return sum(part.length for part in parts)


def _frames_of(part: Part) -> Iterator[int]:
    match part:
        case Stay(shown=shown):
            yield shown.frame
        case Crossing(leaving=leaving, coming=coming):
            yield from (leaving.frame, coming.frame)
        case Morph(keys=keys):
            yield from (frame for frame, _ in keys)


def _captions_of(part: Part) -> Iterator[CaptionRun]:
    match part:
        case Stay(length, _, caption):
            yield length, caption
        case SpokenCrossing(runs=runs):
            yield from runs
        case Crossing(length=length, captions=captions):
            yield from ((length // 2, caption) for caption in captions)
        case Morph(captions=captions):
            yield from captions


def _renumbered(part: Part, places: Mapping[int, int]) -> Part:
    """Return a part whose frames are numbered by their places in the segment."""

    def renumbered(shown: Shown) -> Shown:
        return replace(shown, frame=places[shown.frame])

    match part:
        case Stay(shown=shown):
            return replace(part, shown=renumbered(shown))
        case Crossing(leaving=leaving, coming=coming):
            return replace(part, leaving=renumbered(leaving), coming=renumbered(coming))
        case Morph(keys=keys):
            return replace(part, keys=tuple((places[frame], at) for frame, at in keys))
