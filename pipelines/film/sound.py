"""Sound: music, the shots' sounds and the voice mixed into one stream, exactly as long as the film."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pipelines.common.errors import FilmError, StoryreelError
from pipelines.common.ffmpeg import fed_ffmpeg, ffmpeg_build, file_url
from pipelines.common.files import atomic_path, scratch_path, storage_errors
from pipelines.film.encoded_peak import encoded_peak
from pipelines.film.encoding import audio_arguments
from pipelines.film.frame_picture import content_of
from pipelines.film.mastering import master
from pipelines.film.mix import Mix, RestClip, narrated
from pipelines.film.sound_clips import samples_in, sound_clip, speech_clips
from pipelines.film.sound_files import RATE_HZ, SAMPLES, decode_sound, side_by_side
from pipelines.film.stems import SIDES, Stem, StoredSamples
from pipelines.film.tracks import heard_sounds
from pipelines.storyboard.model import Sound
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

# What streaming services ask for of what they play (AES TD1008, EBU R 128): peaks below -1 dB, on meters of tenths.
_HIGHEST_PEAK = 10 ** (-1.1 / 20)
# Encoders add to peaks, each time otherwise: where they must be lowered, they are by half a decibel more at first, then
# by what was added and some more with each attempt.
_CEILING = 10 ** (-1.6 / 20)
_HEADROOM = 0.97
_MAX_ATTEMPTS = 6
# Counts in the names of mixes whose parts are brought to levels.
_LEVELS_VERSION = 1
# No encoder makes so much of what is lower.
_HARMLESS_PEAK = 0.5


@dataclass(frozen=True, slots=True)
class MixedSound:
    """A film's sound.

    Attributes:
        timeline: the film.
        path: where the mixed sound is kept, under a hash of all that goes into it.
    """

    timeline: Timeline
    path: Path

    async def mix(self) -> None:
        """Mix it, if its file is not there.

        Raises:
            FilmError: a sound cannot be read, or ffmpeg failed.
            StorageError: it could not be written.
        """
        if self.path.is_file():
            return
        files = {sound.file for sound in self.timeline.sound.sounds}
        with storage_errors(self.path), contextlib.ExitStack() as stack:
            samples = {file: stack.enter_context(scratch_path(self.path.with_suffix(".pcm"))) for file in files}
            speech = stack.enter_context(scratch_path(self.path.with_suffix(".pcm")))
            mix = await _mix(self.timeline, samples, speech)
            with atomic_path(self.path) as temporary:
                await self._encode(mix, temporary)

    async def _encode(self, mix: Mix, target: Path) -> None:
        """Encode a mix, with its peaks as low as they must be to come out of it below the highest."""
        sound = self.timeline.sound
        least_peak = 0.0 if sound.normalize else _HARMLESS_PEAK
        levels = await mix.levels(least_peak=least_peak, with_loudness=sound.normalize)
        loudness_lufs = float(sound.loudness_lufs) if sound.normalize else None
        highest, ceiling = _HIGHEST_PEAK, _CEILING
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            envelope = master(levels, highest=highest, ceiling=ceiling, loudness_lufs=loudness_lufs)
            await self._write(mix.mastered(envelope), target)
            if not envelope and levels.peaks.max() <= _HARMLESS_PEAK:
                return
            peak = await encoded_peak(target, least=_HIGHEST_PEAK)
            if peak <= _HIGHEST_PEAK:
                return
            highest = ceiling = ceiling * _HEADROOM**attempt * _HIGHEST_PEAK / peak

    async def _write(self, chunks: Iterator[memoryview], target: Path) -> None:
        coded = [*audio_arguments(self.timeline.output), "-ar", str(RATE_HZ)]
        async with fed_ffmpeg([*SAMPLES, "-i", "pipe:0", *coded, file_url(target)], chunks, folder=Path.cwd()):
            pass


async def _mix(timeline: Timeline, samples: Mapping[Path, Path], speech: Path) -> Mix:
    """Return the mix of a film, once its sounds are decoded.

    Args:
        timeline: the film.
        samples: for each sound file, a file for its samples.
        speech: a file for those of the voice.
    """
    # Decoded first: files may change their rate or their channels midway, and repeat to the sample.
    await _decode(timeline, samples)
    heard = heard_sounds(timeline)
    decoded = {file: StoredSamples(path, SIDES) for file, path in samples.items()}
    rest = [
        RestClip(
            sound_clip(one, decoded[one.sound.file], film_s=timeline.duration_s), is_music=one.sound.span is not None
        )
        for one in heard
    ]
    length = samples_in(timeline.duration_s)
    if timeline.spoken:
        return await narrated(length, rest, await asyncio.to_thread(speech_clips, timeline, speech), timeline)
    return Mix(length, Stem(one.clip for one in rest), Stem(()))


async def _decode(timeline: Timeline, samples: Mapping[Path, Path]) -> None:
    """Decode every sound of a film into its file of samples, as far as it is heard."""
    needed_s: dict[Path, Fraction] = {}
    for heard in heard_sounds(timeline):
        # Music that begins after the film's end is not heard.
        if heard.length_s:
            file, end_s = heard.sound.file, heard.sound.offset_s + heard.length_s
            needed_s[file] = max(needed_s.get(file, end_s), end_s)

    async def decode(file: Path) -> Fraction:
        return await decode_sound(file, samples[file], limit_s=needed_s[file])

    for length_s in (await side_by_side(decode, needed_s)).values():
        if isinstance(length_s, StoryreelError):
            raise length_s


class SoundMixer:
    """Mixes one film's sound. Calls at the same time mix it once: the later one waits, and finds it done."""

    def __init__(self, timeline: Timeline, folder: Path) -> None:
        self._timeline = timeline
        self._folder = folder
        self._lock = asyncio.Lock()

    async def find(self) -> MixedSound | None:
        """Return the sound as its files are now; see `mixed_sound`."""
        return await asyncio.to_thread(mixed_sound, self._timeline, self._folder)

    async def mix(self, sound: MixedSound) -> None:
        """Mix a sound, if its file is not there; see `MixedSound.mix`."""
        async with self._lock:
            await sound.mix()


def mixed_sound(timeline: Timeline, folder: Path) -> MixedSound | None:
    """Return a film's sound, kept in `folder`; None where nothing is heard, or the film's format has no sound.

    Blocking: its files are read, once for as long as they don't change.

    Raises:
        FilmError: a sound file is gone, or ffmpeg is missing or does not run.
    """
    encoding = encoding_of(timeline.output.codec)
    if not (timeline.sound.sounds or timeline.spoken) or not encoding.audio:
        return None
    contents = [_content(sound) for sound in timeline.sound.sounds]
    starts_s = [timeline.holds[sound.frame].start / timeline.output.fps for sound in timeline.sound.sounds]
    # Neither where a sound lies counts, nor the line of the storyboard that names it.
    placeless = [replace(sound, file=None, place=None) for sound in timeline.sound.sounds]  # type: ignore[arg-type]
    mix = (contents, starts_s, placeless, timeline.sound.normalize, timeline.duration_s)
    ingredients = (mix, audio_arguments(timeline.output), ffmpeg_build().id, *_further_ingredients(timeline))
    key = hashlib.sha256(repr(ingredients).encode()).hexdigest()
    return MixedSound(timeline, folder / f"{key}.{encoding.extension}")


def _further_ingredients(timeline: Timeline) -> tuple[object, ...]:
    """Return what else goes into mixes with narration or several tracks; others keep the names that they always had."""
    further = timeline.sound.further
    if not (timeline.spoken or further):
        return ()
    heard = [
        (one.sound.span is not None, one.start_s, one.end_s, one.comes_s, one.goes_s) for one in heard_sounds(timeline)
    ]
    return _LEVELS_VERSION, timeline.spoken, timeline.output.fps, further, heard


def _content(sound: Sound) -> str:
    try:
        return content_of(sound.file)
    except OSError as exc:
        raise FilmError(f"{sound.file}: is gone; put it back and render again") from exc
