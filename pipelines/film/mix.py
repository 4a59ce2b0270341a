"""The mix of a film: the voice and the rest, each at its level, summed chunk by chunk."""

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.film.ducking import Passage, ducking, passages_of
from pipelines.film.envelopes import Envelope
from pipelines.film.loudness import BLOCK, LEAD, REACH, SILENT_LUFS, Blocks, energies, integrated_lufs, peaks
from pipelines.film.mastering import Levels
from pipelines.film.resampling import Samples
from pipelines.film.sound_files import RATE_HZ
from pipelines.film.stems import CHUNK, Clip, Stem
from pipelines.storyboard.timeline import Timeline

# What streaming services ask for (AES TD1008): speech at -18 LUFS. Music between phrases is 8 LU below it, and so 20 LU
# under it with the usual ducking, as WCAG 2.2 wants of speech that all are to understand (1.4.7).
_SPEECH_LUFS = -18.0
_MUSIC_LUFS = -26.0
# More would bring up little but noise.
_MAX_GAIN_DB = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class RestClip:
    """A sound other than the voice.

    Attributes:
        clip: the sound.
        is_music: it is brought to the level of music where something is spoken.
    """

    clip: Clip
    is_music: bool


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """All that is heard in a film.

    Attributes:
        length: of the film, in samples.
        rest: everything but the voice.
        speech: the voice.
        ducking: how the rest goes down; None where nothing is spoken.
    """

    length: int
    rest: Stem
    speech: Stem
    ducking: Envelope | None = None

    def read(self, start: int, end: int) -> Samples:
        """Return the samples from `start` up to `end`."""
        mixed = self.rest.read(start, end)
        if self.ducking:
            mixed *= self.ducking.over(start, end)
            mixed += self.speech.read(start, end)
        return mixed

    async def levels(self, *, least_peak: float, with_loudness: bool) -> Levels:
        """Measure it.

        Args:
            least_peak: peaks that are lower may come out somewhat too low.
            with_loudness: measure how loud it is, too.
        """

        def peaks_at(start: int) -> Samples:
            return peaks(self.read(start - REACH, start + CHUNK + REACH), least=least_peak)

        found = np.concatenate([await asyncio.to_thread(peaks_at, start) for start in self._chunks()])
        return Levels(found, await block_energies(self.read, self.length) if with_loudness else None)

    def mastered(self, envelope: Envelope | None) -> Iterator[memoryview]:
        """Yield its samples as bytes, with these gains."""
        for start in self._chunks():
            end = min(start + CHUNK, self.length)
            samples = self.read(start, end)
            if envelope:
                samples *= envelope.over(start, end)
            yield samples.data.cast("B")

    def _chunks(self) -> range:
        return range(0, self.length, CHUNK)


async def block_energies(
    read: Callable[[int, int], Samples], length: int, *, measured: Container[int] | None = None
) -> Blocks:
    """Return the energy of each block of a sound; the last chunk is filled up with silence.

    Args:
        read: returns its samples from one up to another.
        length: in samples.
        measured: the numbers of the chunks that matter, if not all do; the others count as silence.
    """

    def energies_at(start: int) -> Blocks:
        if measured is not None and start // CHUNK not in measured:
            return np.zeros(CHUNK // BLOCK)
        return energies(read(start - LEAD, start + CHUNK))

    # One step of a thread for each chunk: whoever waits for it can be cancelled in between.
    return np.concatenate([await asyncio.to_thread(energies_at, start) for start in range(0, length, CHUNK)])


async def narrated(length: int, rest: Sequence[RestClip], speech: Sequence[Clip], timeline: Timeline) -> Mix:
    """Return the mix of a film that speaks: the voice and the music at their levels, the rest ducking under the voice.

    Args:
        length: of the film, in samples.
        rest: everything but the voice.
        speech: each narration.
        timeline: when words are spoken, and how far the rest goes down.
    """
    stem = Stem([await _music_at_level(one.clip) if one.is_music else one.clip for one in rest])
    voice = await block_energies(Stem(speech, sides=1).read, length)
    gains = [_gain(_SPEECH_LUFS, voice[clip.start // BLOCK : clip.end // BLOCK]) for clip in speech]
    for clip, gain in zip(speech, gains, strict=True):
        voice[clip.start // BLOCK : clip.end // BLOCK] *= gain * gain
    levelled = Stem((replace(clip, gain=gain) for clip, gain in zip(speech, gains, strict=True)), sides=1)
    passages = passages_of(timeline)
    others = await block_energies(stem.read, length, measured=_chunks_of(passages))
    envelope = ducking(passages, voice, others, duck_db=float(timeline.sound.duck_db))
    return Mix(length, stem, levelled, envelope)


def _chunks_of(passages: Iterable[Passage]) -> frozenset[int]:
    """Return the numbers of the chunks in which something is spoken."""
    chunk_s = CHUNK / RATE_HZ
    ends = ((int(passage.start_s / chunk_s), int(passage.end_s / chunk_s)) for passage in passages)
    return frozenset(number for first, last in ends for number in range(first, last + 1))


async def _music_at_level(clip: Clip) -> Clip:
    """Return music at its level, on top of which comes its own gain."""
    # What repeats is measured once, and no fade makes it quieter.
    length = min(clip.length, clip.samples.length - (0 if clip.loops else clip.offset))
    if length <= 0:
        return clip
    plain = Stem([replace(clip, start=0, length=length, gain=1.0, fades=())])
    return replace(clip, gain=clip.gain * _gain(_MUSIC_LUFS, await block_energies(plain.read, length)))


def _gain(target_lufs: float, blocks: Blocks) -> float:
    """Return the gain, as a factor, that brings a sound to a loudness; 1 for silence."""
    loudness_lufs = integrated_lufs(blocks)
    if loudness_lufs <= SILENT_LUFS:
        return 1.0
    return float(10 ** (min(target_lufs - loudness_lufs, _MAX_GAIN_DB) / 20))
