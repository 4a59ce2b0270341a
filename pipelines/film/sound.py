"""Sound: the track, the shots' sounds and the voice mixed into one stream, exactly as long as the film."""

import asyncio
import contextlib
import hashlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pipelines.common.errors import FilmError, StoryreelError
from pipelines.common.ffmpeg import ffmpeg_build, file_url, running_ffmpeg
from pipelines.common.files import atomic_path, scratch_path, storage_errors
from pipelines.film.frame_picture import content_of
from pipelines.film.sound_files import RATE_HZ, SAMPLES, decode_sound, side_by_side
from pipelines.storyboard.model import Sound
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Spoken, Timeline

# What streaming services ask for (AES TD1008), with peaks half a decibel below its -1 dB, as a factor.
_LOUDNESS_LUFS = -16.0
_PEAK = 0.841
# The first sets the gain, the others make good what the limiter takes off the peaks.
_MAX_LEVELLINGS = 3
_LEVEL_TOLERANCE_LU = 0.1
# The loudness so far, gated (EBU R 128); its last figure is the whole mix's.
_LOUDNESS_KEY = "lavfi.r128.I"
# The absolute gate of EBU R 128: below it is silence.
_SILENT_LUFS = -70.0
# Of speech that would go on into the next narration.
_CUT_OFF_S = Fraction(1, 20)


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
        files = set(_files(self.timeline))
        with storage_errors(self.path), contextlib.ExitStack() as stack:
            # Decoded first: where a file changes its rate or its channels midway, the filters would begin anew.
            samples = {file: stack.enter_context(scratch_path(self.path.with_suffix(".pcm"))) for file in files}
            mix = await _decoded_mix(self.timeline, samples)
            normalizing = await mix.normalizing() if self.timeline.sound.normalize else ""
            with atomic_path(self.path) as temporary:
                coded = [*(encoding_of(self.timeline.output.codec).audio or ()), "-ar", str(RATE_HZ)]
                async with mix.running(normalizing, [*coded, file_url(temporary)]):
                    pass


@dataclass(frozen=True, slots=True)
class _Mix:
    """A mix of sounds that are decoded.

    Attributes:
        timeline: the film.
        samples: of each sound file, as `decode_sound` writes them.
        graph: the ffmpeg graph that mixes them.
    """

    timeline: Timeline
    samples: Mapping[Path, Path]
    graph: str

    def running(
        self, filters: str, output: Sequence[str], *, stdout: int = DEVNULL
    ) -> AbstractAsyncContextManager[Process]:
        """Run ffmpeg on the mix, with filters after it; see `running_ffmpeg`."""
        graph = ["-filter_complex", f"{self.graph}{filters}[film]", "-map", "[film]"]
        return running_ffmpeg([*self._inputs, *graph, *output], folder=Path.cwd(), stdout=stdout)

    async def normalizing(self) -> str:
        """Return the filters that bring the mix to its loudness; an empty text for silence."""
        filters, gain_db = "", 0.0
        for _ in range(_MAX_LEVELLINGS):
            loudness_lufs = await self._measure_loudness(filters)
            if loudness_lufs <= _SILENT_LUFS:
                return ""
            if abs(_LOUDNESS_LUFS - loudness_lufs) < _LEVEL_TOLERANCE_LU:
                break
            gain_db += _LOUDNESS_LUFS - loudness_lufs
            # Without level=false, the limiter would raise everything to the limit; latency makes up for its look-ahead.
            filters = f",volume={gain_db:.2f}dB,alimiter=limit={_PEAK}:level=false:latency=true"
        return filters

    async def _measure_loudness(self, filters: str) -> float:
        meter_filter = f"ebur128=metadata=1,ametadata=mode=print:key={_LOUDNESS_KEY}:file=-"
        loudness_lufs = _SILENT_LUFS
        async with self.running(f"{filters},{meter_filter}", ["-f", "null", "-"], stdout=PIPE) as meter:
            assert meter.stdout is not None
            # A line for every tenth of a second; only the last one counts.
            async for line in meter.stdout:
                if line.startswith(f"{_LOUDNESS_KEY}=".encode()):
                    loudness_lufs = float(line.split(b"=")[1])
        return loudness_lufs

    @property
    def _inputs(self) -> list[str]:
        return [
            argument
            for file, loops in (
                *((sound.file, sound.loop) for sound in self.timeline.sound.sounds),
                *((spoken.speech.file, False) for spoken in self.timeline.spoken),
            )
            for argument in (
                *(("-stream_loop", "-1") if loops else ()),
                *(*SAMPLES, "-i", file_url(self.samples[file])),
            )
        ]


def _files(timeline: Timeline) -> list[Path]:
    """Return the file of each thing that is heard."""
    return [*(sound.file for sound in timeline.sound.sounds), *(spoken.speech.file for spoken in timeline.spoken)]


async def _decoded_mix(timeline: Timeline, samples: Mapping[Path, Path]) -> _Mix:
    """Decode every sound of a film into its file of samples, as far as it is heard."""
    heard_s = {file: Fraction(0) for file in samples}
    for sound in timeline.sound.sounds:
        end_s = sound.offset_s + timeline.duration_s - _start_s(sound, timeline)
        heard_s[sound.file] = max(heard_s[sound.file], end_s)
    for spoken in timeline.spoken:
        heard_s[spoken.speech.file] = max(heard_s[spoken.speech.file], _span_s(spoken, timeline))

    async def decode(file: Path) -> Fraction:
        return await decode_sound(file, samples[file], limit_s=heard_s[file])

    lengths_s = {}
    for file, length_s in (await side_by_side(decode, samples)).items():
        if isinstance(length_s, StoryreelError):
            raise length_s
        lengths_s[file] = length_s
    return _Mix(timeline, samples, mixing_graph(timeline, lengths_s))


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
    starts_s = [_start_s(sound, timeline) for sound in timeline.sound.sounds]
    # Neither where a sound lies counts, nor the line of the storyboard that names it.
    placeless = [replace(sound, file=None, place=None) for sound in timeline.sound.sounds]  # type: ignore[arg-type]
    mix = (contents, starts_s, placeless, timeline.sound.normalize, timeline.duration_s)
    # Only where something is spoken: other mixes keep the names that they had before there was narration.
    spoken = [(one.speech.key, one.start, one.end, timeline.output.fps) for one in timeline.spoken]
    ingredients = (mix, encoding.audio, ffmpeg_build().id, *spoken)
    key = hashlib.sha256(repr(ingredients).encode()).hexdigest()
    return MixedSound(timeline, folder / f"{key}.{encoding.extension}")


def mixing_graph(timeline: Timeline, lengths_s: Mapping[Path, Fraction]) -> str:
    """Return the ffmpeg graph that mixes a film's sounds, given the length of each file in seconds."""
    end_s = timeline.duration_s
    chains, names = [], []
    for number, sound in enumerate(timeline.sound.sounds):
        start_s = _start_s(sound, timeline)
        # Fades end where the sound does: with its file, or with the film.
        left_s = end_s - start_s
        heard_s = left_s if sound.loop else min(lengths_s[sound.file] - sound.offset_s, left_s)
        names.append(f"[s{number}]")
        chains.append(f"[{number}:a:0]{','.join(_filters(sound, max(heard_s, Fraction(0)), start_s))}{names[-1]}")
    for number, spoken in enumerate(timeline.spoken, len(names)):
        names.append(f"[s{number}]")
        chains.append(f"[{number}:a:0]{','.join(_speech_filters(spoken, timeline, lengths_s))}{names[-1]}")
    # Summed as they are: amix would make each sound quieter for every other, and louder again as others end.
    mix = f"{''.join(names)}amix=inputs={len(names)}:normalize=0:duration=longest"
    return ";".join([*chains, f"{mix},apad,atrim=end_sample={_samples(end_s)}"])


def _filters(sound: Sound, heard_s: Fraction, start_s: Fraction) -> list[str]:
    offset = _samples(sound.offset_s)
    # Counted in samples, and timed by their number: where a file repeats, its own times have gaps.
    filters = [f"atrim=start_sample={offset}:end_sample={offset + _samples(heard_s)}", "asetpts=N/SR/TB"]
    filters.append(f"volume={_decimal(sound.volume)}")
    if sound.fade_in_s:
        filters.append(f"afade=t=in:d={_decimal(sound.fade_in_s)}")
    if sound.fade_out_s:
        begin_s = max(heard_s - sound.fade_out_s, Fraction(0))
        filters.append(f"afade=t=out:st={_decimal(begin_s)}:d={_decimal(min(sound.fade_out_s, heard_s))}")
    if start_s:
        filters.append(f"adelay=delays={_samples(start_s)}S:all=1")
    return filters


def _speech_filters(spoken: Spoken, timeline: Timeline, lengths_s: Mapping[Path, Fraction]) -> list[str]:
    span_s = _span_s(spoken, timeline)
    filters = [f"atrim=end_sample={_samples(span_s)}", "asetpts=N/SR/TB"]
    if lengths_s[spoken.speech.file] > span_s:
        fade_s = min(_CUT_OFF_S, span_s)
        filters.append(f"afade=t=out:st={_decimal(span_s - fade_s)}:d={_decimal(fade_s)}")
    start_s = spoken.start / timeline.output.fps
    return [*filters, f"adelay=delays={_samples(start_s)}S:all=1"] if start_s else filters


def _span_s(spoken: Spoken, timeline: Timeline) -> Fraction:
    """Return how long there is for a narration, in seconds."""
    return (spoken.end - spoken.start) / timeline.output.fps


def _start_s(sound: Sound, timeline: Timeline) -> Fraction:
    return timeline.holds[sound.frame].start / timeline.output.fps


def _samples(time_s: Fraction) -> int:
    return round(time_s * RATE_HZ)


def _decimal(value: Fraction) -> str:
    return f"{float(value):.6f}"


def _content(sound: Sound) -> str:
    try:
        return content_of(sound.file)
    except OSError as exc:
        raise FilmError(f"{sound.file}: is gone; put it back and render again") from exc
