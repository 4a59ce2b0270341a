"""What is heard: the track under the film and the sounds of shots, in one list."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.film_schema import AudioModel, SoundModel
from pipelines.storyboard.format.schema import ShotModel
from pipelines.storyboard.model import Place, Sound, SoundMix

# Tells where in the file something stands.
Locate = Callable[[YamlPath], Place]


def nowhere(_: YamlPath) -> Place:
    """Place everything nowhere: for storyboards that stand in no file."""
    return Place(0, 0, "")


def sound_mix(
    audio: AudioModel,
    shots: Iterable[tuple[YamlPath, ShotModel, int]],
    *,
    folder: Path,
    fps: Fraction,
    locate: Locate,
) -> SoundMix:
    """Return all sounds of a storyboard.

    Args:
        audio: what plays under the whole film.
        shots: each shot with its path and its number of frames.
        folder: the storyboard's own; files are named from there.
        fps: what a time in video frames is counted in.
        locate: tells where in the file something stands.
    """

    def sound(noun: AudioModel | SoundModel, file: str, path: YamlPath, frame: int = 0) -> Sound:
        return Sound(
            file=folder / file,
            place=locate(path),
            volume=Fraction(noun.volume),
            fade_in_s=noun.fade_in.seconds(fps),
            fade_out_s=noun.fade_out.seconds(fps),
            offset_s=noun.offset.seconds(fps),
            frame=frame,
            loop=isinstance(noun, AudioModel) and noun.loop,
        )

    def sounds() -> Iterator[Sound]:
        if audio.track is not None:
            yield sound(audio, audio.track, ("audio", "track"))
        frame = 0
        for path, shot, frames in shots:
            if shot.sound is not None:
                yield sound(shot.sound, shot.sound.file, (*path, "sound"), frame)
            frame += frames

    return SoundMix(tuple(sounds()), audio.normalize)
