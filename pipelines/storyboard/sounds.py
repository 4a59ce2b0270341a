"""Sounds of a storyboard: the track under the film and the sounds of shots, in one list."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.film_schema import AudioModel, SoundModel
from pipelines.storyboard.model import Place, Sound, SoundMix, Span
from pipelines.storyboard.shots import Shot

# Returns the place in the file of a path in the storyboard's data.
Locate = Callable[[YamlPath], Place]


def nowhere(_: YamlPath) -> Place:
    """Return line 0 for every path: the place of a storyboard that comes from no file."""
    return Place(0, 0, "")


def sound_mix(audio: AudioModel, shots: Iterable[Shot], *, folder: Path, fps: Fraction, locate: Locate) -> SoundMix:
    """Return all sounds of a storyboard, in the order in which they are written.

    Args:
        audio: the sound under the whole film.
        shots: every shot in storyboard order.
        folder: the storyboard's own; sound files are named from there.
        fps: video frames a second; times that are written in video frames are counted in it.
        locate: returns the place of a path in the file.
    """

    def sound(model: AudioModel | SoundModel, file: str, path: YamlPath, frame: int = 0) -> Sound:
        return Sound(
            file=folder / file,
            place=locate(path),
            volume=Fraction(model.volume),
            fade_in_s=model.fade_in.seconds(fps),
            fade_out_s=model.fade_out.seconds(fps),
            offset_s=model.offset.seconds(fps),
            frame=frame,
            loop=isinstance(model, AudioModel) and model.loop,
            span=Span() if isinstance(model, AudioModel) else None,
        )

    def sounds() -> Iterator[Sound]:
        if audio.track is not None:
            yield sound(audio, audio.track, ("audio", "track"))
        # A shot's sound starts with its first frame, and frames are numbered through the whole storyboard.
        first_frame = 0
        for shot in shots:
            if shot.model.sound is not None:
                yield sound(shot.model.sound, shot.model.sound.file, (*shot.path, "sound"), first_frame)
            first_frame += shot.frame_count

    return SoundMix(tuple(sounds()), audio.normalize)
