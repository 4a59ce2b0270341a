"""Sounds of a storyboard: the music under the film and the sounds of shots, in one list."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.film_schema import AudioModel, SoundModel, TrackModel
from pipelines.storyboard.format.parsers import Duration, parse_time
from pipelines.storyboard.issues import IssueLog
from pipelines.storyboard.model import BoardFrame, Instant, Place, Sound, SoundMix, Span
from pipelines.storyboard.shots import Shot

# Returns the place in the file of a path in the storyboard's data.
Locate = Callable[[YamlPath], Place]
_TRACKS: YamlPath = ("audio", "tracks")


def nowhere(_: YamlPath) -> Place:
    """Return line 0 for every path: the place of a storyboard that comes from no file."""
    return Place(0, 0, "")


@dataclass(frozen=True, slots=True)
class SoundReader:
    """Reads the sounds of a storyboard.

    Attributes:
        shots: every shot in storyboard order.
        folder: the storyboard's own; sound files are named from there.
        fps: video frames a second; times that are written in video frames are counted in it.
        locate: returns the place of a path in the file.
        issues: receives what is wrong.
    """

    shots: Sequence[Shot]
    folder: Path
    fps: Fraction
    locate: Locate
    issues: IssueLog

    def read(self, audio: AudioModel, frames: Sequence[BoardFrame]) -> SoundMix:
        """Return all sounds, in the order in which they are written.

        Args:
            audio: the sound under the whole film.
            frames: every frame in storyboard order.
        """
        loudness = {} if isinstance(audio.normalize, bool) else {"loudness_lufs": Fraction(audio.normalize)}
        sounds = (*self._music(audio, frames), *self._of_shots())
        return SoundMix(sounds, bool(audio.normalize), **loudness, duck_db=Fraction(audio.duck))

    def _music(self, audio: AudioModel, frames: Sequence[BoardFrame]) -> Iterator[Sound]:
        if audio.track is not None:
            yield self._sound(audio, audio.track, ("audio", "track"), span=Span(), loop=audio.loop)
        tracks = audio.tracks or []
        places = self._places()
        spans = [self._span(track, number, places) for number, track in enumerate(tracks)]
        self._require_order(spans, _cuts_s(frames))
        for number, (track, span) in enumerate(zip(tracks, spans, strict=True)):
            yield self._sound(track, track.file, (*_TRACKS, number, "file"), span=span, loop=track.loop)

    def _of_shots(self) -> Iterator[Sound]:
        # A shot's sound starts with its first frame, and frames are numbered through the whole storyboard.
        first_frame = 0
        for shot in self.shots:
            if shot.model.sound is not None:
                yield self._sound(shot.model.sound, shot.model.sound.file, (*shot.path, "sound"), frame=first_frame)
            first_frame += shot.frame_count

    def _sound(
        self,
        model: AudioModel | TrackModel | SoundModel,
        file: str,
        path: YamlPath,
        *,
        frame: int = 0,
        loop: bool = False,
        span: Span | None = None,
    ) -> Sound:
        return Sound(
            file=self.folder / file,
            place=self.locate(path),
            volume=Fraction(model.volume),
            fade_in_s=model.fade_in.seconds(self.fps),
            fade_out_s=model.fade_out.seconds(self.fps),
            offset_s=model.offset.seconds(self.fps),
            frame=frame,
            loop=loop,
            span=span,
        )

    def _span(self, track: TrackModel, number: int, places: Mapping[str, tuple[int, int]]) -> Span:
        starts = {name: first for name, (first, _) in places.items()}
        ends = {name: after for name, (_, after) in places.items()}
        return Span(
            self._instant(track.start, (*_TRACKS, number, "from"), starts),
            self._instant(track.end, (*_TRACKS, number, "to"), ends),
            track.crossfade.seconds(self.fps),
        )

    def _instant(self, written: Duration | str | None, path: YamlPath, places: Mapping[str, int]) -> Instant | None:
        """Return the instant that is written; None, and an issue, where it is none.

        Args:
            written: a time, or the name of a scene or a shot.
            path: where it is written.
            places: the frame that each name stands for.
        """
        if written is None or isinstance(written, Duration):
            return Instant(time_s=written.seconds(self.fps)) if written else None
        # Before times: an id may look like one.
        if written in places:
            return Instant(places[written])
        try:
            return Instant(time_s=parse_time(written).seconds(self.fps))
        except ValueError:
            self.issues.add(path, f"there is no scene or shot {written!r}{did_you_mean(written, places)}")
            return None

    def _places(self) -> dict[str, tuple[int, int]]:
        """Return the first frame of each scene and of each shot, and the one after its last, by their names."""
        places: dict[str, tuple[int, int]] = {}
        first = 0
        for shot in self.shots:
            after = first + shot.frame_count
            scene_first, _ = places.get(shot.scene.id, (first, after))
            places[shot.scene.id] = scene_first, after
            places[f"{shot.scene.id}/{shot.id}"] = first, after
            first = after
        return places

    def _require_order(self, spans: Sequence[Span], cuts_s: Sequence[Fraction | None]) -> None:
        """Require that each track ends after it begins, as far as that is known before anything is spoken."""
        for number, (span, following) in enumerate(zip_longest(spans, spans[1:], fillvalue=Span())):
            start_s, end_s = _second(span.start, cuts_s), cuts_s[-1]
            if span.start and start_s is not None and end_s is not None and start_s >= end_s:
                self.issues.add((*_TRACKS, number, "from"), f"is not before the film's end at {float(end_s):g} s")
            elif span.end and _is_before(span.end, span.start, cuts_s):
                self.issues.add((*_TRACKS, number, "to"), "is not after its `from`; write a later one")
            elif not span.end and following.start and _is_before(following.start, span.start, cuts_s):
                message = "is not after that of the track before it; list tracks in the order in which they are heard"
                self.issues.add((*_TRACKS, number + 1, "from"), message)


def _cuts_s(frames: Sequence[BoardFrame]) -> list[Fraction | None]:
    """Return when each frame begins, and the film ends; None after a hold that is as long as its narration."""
    cuts_s: list[Fraction | None] = [Fraction(0)]
    for frame in frames:
        before_s = cuts_s[-1]
        cuts_s.append(None if before_s is None or frame.hold_s is None else before_s + frame.hold_s)
    return cuts_s


def _is_before(instant: Instant, other: Instant | None, cuts_s: Sequence[Fraction | None]) -> bool:
    """Return whether an instant is surely not after another one, by default the film's beginning."""
    other = other or Instant(0)
    if instant.frame is not None and other.frame is not None:
        return instant.frame <= other.frame
    first_s, second_s = _second(instant, cuts_s), _second(other, cuts_s)
    return first_s is not None and second_s is not None and first_s <= second_s


def _second(instant: Instant | None, cuts_s: Sequence[Fraction | None]) -> Fraction | None:
    if instant is None:
        return Fraction(0)
    return instant.time_s if instant.frame is None else cuts_s[instant.frame]
