"""Sound: the track and the shots' sounds mixed into one stream, exactly as long as the film."""

import asyncio
import hashlib
import re
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pipelines.common.errors import FilmError, Note, Problem, StoryboardError
from pipelines.common.files import atomic_path
from pipelines.film.ffmpeg import file_url, running_ffmpeg
from pipelines.film.identity import frame_identity
from pipelines.storyboard.model import Sound, Storyboard
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

_RATE_HZ = 48_000
# A single channel (FC) is heard on both sides as loud as it came: left to itself, ffmpeg takes 3 dB off it.
_FORMAT = (
    "aformat=channel_layouts=mono|stereo,pan=stereo|FL=FL+FC|FR=FR+FC,"
    f"aformat=sample_rates={_RATE_HZ}:channel_layouts=stereo:sample_fmts=fltp"
)
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
# Only the samples' number counts: at a low rate there are fewer to read.
_PROBE_HZ = 8000
_PROBE_TIMEOUT_S = 300
_SOUNDLESS = "holds no sound"
# By ffmpeg's words for it.
_FAULTS = {"matches no streams": _SOUNDLESS, "Decode error rate": "is damaged"}


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
        timeline = self.timeline
        lengths_s = {file: await measure_sound(file) for file in {sound.file for sound in timeline.sound.sounds}}
        graph = mixing_graph(timeline, lengths_s)
        normalizing = await self._normalizing(graph) if timeline.sound.normalize else ""
        whole = f"{graph}{normalizing}[film]"
        with atomic_path(self.path) as temporary:
            coded = [*(encoding_of(timeline.output.codec).audio or ()), "-ar", str(_RATE_HZ)]
            arguments = [*self._inputs, "-filter_complex", whole, "-map", "[film]", *coded, file_url(temporary)]
            async with running_ffmpeg(arguments, folder=Path.cwd()):
                pass

    async def _normalizing(self, graph: str) -> str:
        """Return the filters that bring the mix to its loudness; an empty text for silence."""
        filters, gain_db = "", 0.0
        for _ in range(_MAX_LEVELLINGS):
            loudness_lufs = await self._measure_loudness(graph + filters)
            if loudness_lufs <= _SILENT_LUFS:
                return ""
            if abs(_LOUDNESS_LUFS - loudness_lufs) < _LEVEL_TOLERANCE_LU:
                break
            gain_db += _LOUDNESS_LUFS - loudness_lufs
            # Without level=false, the limiter would raise everything to the limit; latency makes up for its look-ahead.
            filters = f",volume={gain_db:.2f}dB,alimiter=limit={_PEAK}:level=false:latency=true"
        return filters

    async def _measure_loudness(self, graph: str) -> float:
        meter_filter = f"ebur128=metadata=1,ametadata=mode=print:key={_LOUDNESS_KEY}:file=-"
        measured = ["-filter_complex", f"{graph},{meter_filter}[film]", "-map", "[film]"]
        loudness_lufs = _SILENT_LUFS
        arguments = [*self._inputs, *measured, "-f", "null", "-"]
        async with running_ffmpeg(arguments, folder=Path.cwd(), stdout=PIPE) as meter:
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
            for sound in self.timeline.sound.sounds
            for argument in (*(("-stream_loop", "-1") if sound.loop else ()), "-i", file_url(sound.file))
        ]


class SoundMixer:
    """Mixes one film's sound. Calls at the same time mix it once: the later one waits, and finds it done."""

    def __init__(self, timeline: Timeline, folder: Path) -> None:
        self._timeline = timeline
        self._folder = folder
        self._lock = asyncio.Lock()

    def find(self) -> MixedSound | None:
        """Return the sound as its files are now; see `mixed_sound`."""
        return mixed_sound(self._timeline, self._folder)

    async def mix(self, sound: MixedSound) -> None:
        """Mix a sound, if its file is not there; see `MixedSound.mix`."""
        async with self._lock:
            await sound.mix()


def mixed_sound(timeline: Timeline, folder: Path) -> MixedSound | None:
    """Return a film's sound, kept in `folder`; None where nothing is heard, or the film's format has no sound.

    Raises:
        FilmError: a sound file is gone.
    """
    encoding = encoding_of(timeline.output.codec)
    if not timeline.sound.sounds or not encoding.audio:
        return None
    # By name and time, not by folder: the sounds may move with the storyboard.
    files = [_identity(sound) for sound in timeline.sound.sounds]
    starts_s = [_start_s(sound, timeline) for sound in timeline.sound.sounds]
    # The line of the storyboard that names a sound does not count either.
    placeless = [replace(sound, place=None) for sound in timeline.sound.sounds]  # type: ignore[arg-type]
    ingredients = (files, starts_s, placeless, timeline.sound.normalize, timeline.duration_s, encoding.audio)
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
    # Summed as they are: amix would make each sound quieter for every other, and louder again as others end.
    mix = f"{''.join(names)}amix=inputs={len(names)}:normalize=0:duration=longest"
    return ";".join([*chains, f"{mix},apad,atrim=end_sample={_samples(end_s)}"])


def _filters(sound: Sound, heard_s: Fraction, start_s: Fraction) -> list[str]:
    offset = _samples(sound.offset_s)
    # Counted in samples, and timed by their number: where a file repeats, its own times have gaps.
    filters = [_FORMAT, f"atrim=start_sample={offset}:end_sample={offset + _samples(heard_s)}", "asetpts=N/SR/TB"]
    filters.append(f"volume={_decimal(sound.volume)}")
    if sound.fade_in_s:
        filters.append(f"afade=t=in:d={_decimal(sound.fade_in_s)}")
    if sound.fade_out_s:
        begin_s = max(heard_s - sound.fade_out_s, Fraction(0))
        filters.append(f"afade=t=out:st={_decimal(begin_s)}:d={_decimal(min(sound.fade_out_s, heard_s))}")
    if start_s:
        filters.append(f"adelay=delays={_samples(start_s)}S:all=1")
    return filters


def _start_s(sound: Sound, timeline: Timeline) -> Fraction:
    return timeline.holds[sound.frame].start / timeline.output.fps


def _samples(time_s: Fraction) -> int:
    return round(time_s * _RATE_HZ)


def _decimal(value: Fraction) -> str:
    return f"{float(value):.6f}"


def _identity(sound: Sound) -> str:
    try:
        return frame_identity(sound.file)
    except FilmError as exc:
        raise FilmError(f"{sound.file}: is gone; put it back and render again") from exc


async def measure_sound(file: Path) -> Fraction:
    """Decode a sound file to its end; return its length in seconds.

    Raises:
        FilmError: it cannot be read, or holds no sound.
    """
    # Not -xerror, which refuses a WAV that was written to a pipe, where its header cannot tell its length.
    strict = ["-max_error_rate", "0"]
    # One channel of one byte a sample: bytes are samples.
    arguments = [*strict, "-i", file_url(file), "-map", "0:a:0", "-ac", "1", "-ar", str(_PROBE_HZ), "-f", "u8", "-"]
    samples = 0
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            async with running_ffmpeg(arguments, folder=Path.cwd(), stdout=PIPE) as decoder:
                assert decoder.stdout is not None
                while chunk := await decoder.stdout.read(1 << 18):
                    samples += len(chunk)
    except TimeoutError as exc:
        raise FilmError(f"{file}: not read to its end after {_PROBE_TIMEOUT_S} s") from exc
    except FilmError as exc:
        raise FilmError(f"{file}: {_reason(str(exc))}") from exc
    if not samples:
        raise FilmError(f"{file}: {_SOUNDLESS}")
    return Fraction(samples, _PROBE_HZ)


def _reason(complaint: str) -> str:
    """Return what is wrong with a file, given what ffmpeg says of it."""
    for words, fault in _FAULTS.items():
        if words in complaint:
            return fault
    # Its last line is the plainest; in front of it stands the part of ffmpeg that writes it.
    last = re.sub(r"^(\[[^]]*\] *)+", "", complaint.strip().splitlines()[-1])
    return f"is no sound that ffmpeg reads: {last}"


async def require_sounds(board: Storyboard) -> list[Note]:
    """Check that every sound file of a storyboard can be read; return the notes on them.

    Raises:
        StoryboardError: some cannot; each is named with its place in the storyboard.
    """
    lengths_s: dict[Path, Fraction | FilmError] = {}
    # Each file once, though many shots may have it.
    for file in {sound.file for sound in board.sound.sounds}:
        try:
            lengths_s[file] = await measure_sound(file)
        except FilmError as exc:
            lengths_s[file] = exc
    wrong = [(sound.place, _wrong(sound, lengths_s[sound.file])) for sound in board.sound.sounds]
    problems = [
        Problem(str(board.path), place.line, place.column, place.where, message) for place, message in wrong if message
    ]
    if problems:
        raise StoryboardError(problems)
    return []


def _wrong(sound: Sound, length_s: Fraction | FilmError) -> str:
    """Return what is wrong with a sound, and the cure; an empty text where nothing is."""
    if isinstance(length_s, FilmError):
        return f"{length_s}; use WAV, MP3, FLAC, OGG or M4A"
    if length_s <= sound.offset_s:
        return f"its offset of {float(sound.offset_s):g} s is beyond the file's end at {float(length_s):g} s"
    return ""
