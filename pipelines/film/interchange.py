"""The timeline as OpenTimelineIO, for an editor: frames and transitions, captions, the voice, sounds and chapters."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from textwrap import shorten
from urllib.parse import quote

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange
from opentimelineio.schema import (
    Clip,
    ExternalReference,
    Gap,
    GeneratorReference,
    Marker,
    Stack,
    Track,
    TrackKind,
    TransitionTypes,
)
from opentimelineio.schema import Timeline as OtioTimeline
from opentimelineio.schema import Transition as OtioTransition

from pipelines.film.spoken_captions import cues_of
from pipelines.film.tracks import Heard, heard_sounds
from pipelines.storyboard.timeline import Hold, Spoken, Timeline
from pipelines.storyboard.timing import rounded
from pipelines.storyboard.transitions import DISSOLVE

# OpenTimelineIO keeps what it has no words for under a name of the program that wrote it.
_NAMESPACE = "storyreel"
# What titles are called where editors have such a generator, as Final Cut Pro's XML does.
_TEXT_GENERATOR = "Text"
_NAME_LENGTH = 60


def otio_text(timeline: Timeline, frames: Sequence[Path], *, folder: Path) -> str:
    """Return the film as OpenTimelineIO JSON.

    A transition takes as many video frames of one hold as of the next: those are its offsets, and clips keep their
    length. Moves, which OpenTimelineIO has no words for, are in the clips' metadata; so are the words of the voice,
    with their times.

    Nor has it subtitles: captions are clips of generated text, which lack no file, and which all find that read clips.

    Args:
        timeline: the film.
        frames: `frames[n]` is the picture of frame number n.
        folder: where the file will be; pictures below it are named from there.
    """
    clock = _Clock(timeline.output.fps)
    film = OtioTimeline(timeline.title, metadata={_NAMESPACE: {"fps": str(timeline.output.fps)}})
    stack: Stack = film.tracks
    stack.append(_pictures(timeline, frames, clock, folder))
    # An empty track would be one to wonder about.
    spaced = (_captions(timeline, clock), _voice(timeline, clock, folder))
    stack.extend([track for track in spaced if len(track)])
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
    track = Track("frames", kind=TrackKind.Video)
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


def _captions(timeline: Timeline, clock: _Clock) -> Track:
    fps = timeline.output.fps
    cues = [(rounded(cue.start_s * fps), rounded(cue.end_s * fps), cue.text) for cue in cues_of(timeline)]
    clips = ((start, _caption_clip(text, clock.range(0, end - start))) for start, end, text in cues if start < end)
    return _spaced("captions", TrackKind.Video, clock, clips)


def _caption_clip(text: str, shown: TimeRange) -> Clip:
    generated = GeneratorReference("caption", _TEXT_GENERATOR, shown, parameters={"text": text})
    return Clip(_name(text), generated, shown, metadata={_NAMESPACE: {"caption": text}})


def _voice(timeline: Timeline, clock: _Clock, folder: Path) -> Track:
    fps = timeline.output.fps
    clips = ((spoken.start, _voice_clip(spoken, fps, clock, folder)) for spoken in timeline.spoken)
    return _spaced("voice", TrackKind.Audio, clock, clips)


def _voice_clip(spoken: Spoken, fps: Fraction, clock: _Clock, folder: Path) -> Clip:
    speech, length_s = spoken.speech, min(spoken.speech.length_s, (spoken.end - spoken.start) / fps)
    words = [word for word in speech.words if word.start_s < length_s]
    times = [{"text": word.text, "start_s": float(word.start_s), "end_s": float(word.end_s)} for word in words]
    return Clip(
        _name(" ".join(word.text for word in words)),
        ExternalReference(_url(speech.file, folder), clock.range(0, float(speech.length_s * fps))),
        # Sound is not bound to video frames: a word's end would be cut off, or silence asked for that is not there.
        clock.range(0, float(length_s * fps)),
        metadata={_NAMESPACE: {"words": times}},
    )


def _spaced(name: str, kind: str, clock: _Clock, clips: Iterable[tuple[float, Clip]]) -> Track:
    """Return a track of clips, each after the video frame at which it begins, with gaps between them."""
    track, end = Track(name, kind=kind), 0.0
    for start, clip in clips:
        if start > end:
            track.append(Gap(source_range=clock.range(0, start - end)))
        track.append(clip)
        end = start + clip.duration().value
    return track


def _name(text: str) -> str:
    return shorten(text, _NAME_LENGTH, placeholder=" ...")


def _sounds(timeline: Timeline, clock: _Clock, folder: Path) -> Iterator[Track]:
    fps = timeline.output.fps
    for heard in heard_sounds(timeline):
        # One that is never heard is none for an editor.
        if heard.length_s:
            clip = _sound_clip(heard, fps, clock, folder)
            yield _spaced(heard.sound.file.name, TrackKind.Audio, clock, [(float(heard.start_s * fps), clip)])


def _sound_clip(heard: Heard, fps: Fraction, clock: _Clock, folder: Path) -> Clip:
    sound = heard.sound
    values = {"volume": str(sound.volume), "fade_in_s": str(sound.fade_in_s), "fade_out_s": str(sound.fade_out_s)}
    # Music comes as the track before it goes.
    crossed = {"crossfade_in_s": heard.comes_s, "crossfade_out_s": heard.goes_s}
    values |= {key: str(seconds) for key, seconds in crossed.items() if seconds}
    return Clip(
        sound.file.name,
        ExternalReference(_url(sound.file, folder)),
        clock.range(float(sound.offset_s * fps), float(heard.length_s * fps)),
        metadata={_NAMESPACE: values},
    )


def _url(file: Path, folder: Path) -> str:
    # Relative where it can be: the folder may then be moved as a whole.
    path = file.absolute()
    return quote(str(path.relative_to(folder.absolute()))) if path.is_relative_to(folder.absolute()) else path.as_uri()
