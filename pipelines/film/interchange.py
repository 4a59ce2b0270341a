"""The timeline as OpenTimelineIO, for an editor: every frame a clip, transitions, sounds, chapters and captions."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange
from opentimelineio.schema import Clip, ExternalReference, Gap, Marker, Stack, Track, TransitionTypes
from opentimelineio.schema import Timeline as OtioTimeline
from opentimelineio.schema import Transition as OtioTransition

from pipelines.storyboard.model import Sound
from pipelines.storyboard.timeline import Hold, Timeline
from pipelines.storyboard.transitions import DISSOLVE

# OpenTimelineIO keeps what it has no words for under a name of the program that wrote it.
_NAMESPACE = "storyreel"


def otio_text(timeline: Timeline, frames: Sequence[Path], *, folder: Path) -> str:
    """Return the film as OpenTimelineIO JSON.

    A transition takes as many video frames of one hold as of the next: those are its offsets, and clips keep their
    length. Moves and captions, which OpenTimelineIO has no words for, are in the clips' metadata.

    Args:
        timeline: the film.
        frames: `frames[n]` is the picture of frame number n.
        folder: where the file will be; pictures below it are named from there.
    """
    clock = _Clock(timeline.output.fps)
    film = OtioTimeline(timeline.title, metadata={_NAMESPACE: {"fps": str(timeline.output.fps)}})
    stack: Stack = film.tracks
    stack.append(_pictures(timeline, frames, clock, folder))
    stack.extend(_sounds(timeline, clock, folder))
    for chapter in timeline.chapters:
        stack.markers.append(Marker(chapter.title, clock.range(chapter.start, chapter.end - chapter.start)))
    return str(otio.adapters.write_to_string(film, "otio_json"))


class _Clock:
    """Times in video frames, as OpenTimelineIO has them."""

    def __init__(self, fps: Fraction) -> None:
        # OpenTimelineIO has no rational rates; the exact one is in the film's metadata.
        self._rate = float(fps)

    def time(self, video_frames: float) -> RationalTime:
        return RationalTime(video_frames, self._rate)

    def range(self, start: float, length: float) -> TimeRange:
        return TimeRange(self.time(start), self.time(length))


def _pictures(timeline: Timeline, frames: Sequence[Path], clock: _Clock, folder: Path) -> Track:
    track = Track("frames", kind=otio.schema.TrackKind.Video)
    before = 0
    for hold in timeline.holds:
        # A still can be shown for any time; an editor gets as much before and after it as its transitions take.
        available = clock.range(-before, before + hold.length + hold.half)
        picture = ExternalReference(_url(frames[hold.frame], folder), available)
        track.append(
            Clip(f"frame_{hold.frame:04d}", picture, clock.range(0, hold.length), metadata=_clip_metadata(hold))
        )
        if hold.transition:
            track.append(_transition(hold, clock))
        before = hold.half
    return track


def _transition(hold: Hold, clock: _Clock) -> OtioTransition:
    kind = TransitionTypes.SMPTE_Dissolve if hold.transition == DISSOLVE else TransitionTypes.Custom
    # Its name is kept in the metadata: OpenTimelineIO itself knows dissolves only.
    half = clock.time(hold.half)
    return OtioTransition(
        hold.transition,
        transition_type=kind,
        in_offset=half,
        out_offset=half,
        metadata={_NAMESPACE: {"type": hold.transition}},
    )


def _clip_metadata(hold: Hold) -> dict[str, object]:
    motion = hold.motion
    moves = {"type": motion.type.value, "amount": str(motion.amount), "ease": motion.ease.value} if motion else None
    values = {"motion": moves, "caption": hold.caption}
    return {_NAMESPACE: {key: value for key, value in values.items() if value is not None}}


def _sounds(timeline: Timeline, clock: _Clock, folder: Path) -> Iterator[Track]:
    for sound in timeline.sound.sounds:
        start = timeline.holds[sound.frame].start
        track = Track(sound.file.name, kind=otio.schema.TrackKind.Audio)
        # A track has no other way to begin later.
        if start:
            track.append(Gap(source_range=clock.range(0, start)))
        track.append(_sound_clip(sound, timeline.video_frames - start, timeline.output.fps, clock, folder))
        yield track


def _sound_clip(sound: Sound, length: int, fps: Fraction, clock: _Clock, folder: Path) -> Clip:
    values = {"volume": str(sound.volume), "fade_in_s": str(sound.fade_in_s), "fade_out_s": str(sound.fade_out_s)}
    return Clip(
        sound.file.name,
        ExternalReference(_url(sound.file, folder)),
        clock.range(float(sound.offset_s * fps), length),
        metadata={_NAMESPACE: values},
    )


def _url(file: Path, folder: Path) -> str:
    # Relative where it can be: the folder may then be moved as a whole.
    path = file.absolute()
    return quote(str(path.relative_to(folder.absolute()))) if path.is_relative_to(folder.absolute()) else path.as_uri()
