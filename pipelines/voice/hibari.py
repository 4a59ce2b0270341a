"""The built-in voice: hibari, an English one that runs here, and tells how long it takes for each sound."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from threading import Event

import numpy as np
import onnxruntime
from hibari import dsp
from hibari.g2p import ASSETS
from hibari.voices import voice_path

from pipelines.storyboard.speech import Word
from pipelines.voice.english import English, SpokenWord, sentences
from pipelines.voice.errors import VoiceError, VoiceStoppedError
from pipelines.voice.sayings import Sayings
from pipelines.voice.sound import STEPS_A_SECOND, cut_after, heard_steps
from pipelines.voice.timing import TimedText, share_out, timed_words, words_in
from pipelines.voice.unspeakable import require_speakable
from pipelines.voice.voices import Samples, SpokenText

_VOICE = "heart"
# The node of its network that holds how long each phoneme lasts, in steps of 25 ms. It is no output of the network
# as it comes: the tests see to it that it is there, and right, in the version that is pinned.
_DURATIONS = b"/Clip_output_0"
_STEP = 2 * dsp.HOP
# A phoneme is heard so much earlier than its duration says: pocketsphinx found 248 words of its speech, at half to one
# and a half times its speed, 0.04 s (+-0.02 s) before.
_AHEAD = dsp.SR // 25
# Kept of the silence before a sentence.
_LEAD_STEPS = 2
# As hibari itself does, it speaks longer sentences in pieces.
_MAX_PHONEMES = 400
_PAUSES = ';:,.!?—…"“”() '
_CLAUSE_END = (",", ";", ":", "—")
# After a short question it would hardly take a breath.
_LEAST_PAUSE_S = 0.35
_SEED = 0


class HibariVoice:
    """Speaks English; see `Voice`. The same text gives the same samples."""

    def __init__(self, *, speed: Fraction, sayings: Sayings, stop: Event | None = None) -> None:
        """Load the voice.

        Args:
            speed: 1 as it speaks by itself, 2 twice as fast.
            sayings: what is spoken in the place of some words.
            stop: once it is set, it speaks no further sentence.
        """
        self._stop = stop or Event()
        self._speed = float(speed)
        self._sayings = sayings
        self._english = English()
        self._numbers = json.loads(Path(ASSETS, "vocab.json").read_text(encoding="utf-8"))
        self._network = _network_with_durations(Path(voice_path(_VOICE)))

    def speak(self, text: str) -> SpokenText:
        """Speak a text; see `Voice.speak`."""
        require_speakable(self._sayings.spoken(text))
        samples, words = [np.zeros(0, np.float32)], list[Word]()
        for at, sentence in sentences(text):
            if self._stop.is_set():
                raise VoiceStoppedError("was stopped")
            start_s = Fraction(sum(map(len, samples)), dsp.SR)
            spoken = [
                TimedText(part.text, part.start_s + start_s, part.end_s + start_s)
                for part in self._speak_sentence(sentence, samples)
            ]
            written = [replace(word, at=word.at + at) for word in words_in(sentence)]
            words += timed_words(written, spoken) if spoken else share_out(written, start_s, start_s)
            samples.append(self._rest(words, sum(map(len, samples))))
        if not any(word.end_s > word.start_s for word in words):
            raise VoiceError("holds nothing that the voice can speak; write words")
        sound = cut_after(np.concatenate(samples), dsp.SR, words[-1].end_s)
        return SpokenText(sound, dsp.SR, tuple(words))

    def _rest(self, words: Sequence[Word], passed: int) -> Samples:
        """Return the silence that is missing between two sentences, `passed` samples after the beginning."""
        end_s = float(words[-1].end_s) if words else 0.0
        missing = int((end_s + _LEAST_PAUSE_S / self._speed) * dsp.SR) - passed
        return np.zeros(max(0, missing), np.float32)

    def _speak_sentence(self, sentence: str, samples: list[Samples]) -> Iterator[TimedText]:
        """Speak a sentence, add its samples, and yield its words as they are spoken, from where the samples began."""
        passed = 0
        for piece in _pieces(self._english.words(self._sayings.spoken(sentence))):
            sound, ends = self._synthesize(" ".join(word.phonemes for word in piece))
            samples.append(sound)
            for word, (start, end) in zip(piece, _spans(piece, sound, ends), strict=True):
                yield TimedText(word.text, Fraction(passed + start, dsp.SR), Fraction(passed + end, dsp.SR))
            passed += len(sound)

    def _synthesize(self, phonemes: str) -> tuple[Samples, list[int]]:
        """Return phonemes as sound, and where each of them ends in it, in samples; the silence before them is first."""
        ids = [0, *(self._numbers[sound] for sound in phonemes), 0]
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([self._speed], np.float32)}
        *spectrum, steps = self._network.run(None, inputs)
        ends = list(accumulate(int(step) * _STEP for step in steps))
        sound = dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(_SEED))
        skipped = max(0, ends[0] - _LEAD_STEPS * _STEP)
        return sound[skipped:], [max(0, end - skipped - _AHEAD) for end in ends]


@dataclass(frozen=True, slots=True)
class _Sounding:
    """Where a sound is heard, in steps."""

    steps: Sequence[bool]

    def last_heard(self, start: int, end: int) -> int:
        """Return the end of what is heard between two places, in samples; `end` where nothing is."""
        length = dsp.SR // STEPS_A_SECOND
        heard = [step for step in range(start // length, end // length) if self.steps[step]]
        return min(end, (heard[-1] + 1) * length) if heard else end


def _spans(piece: Sequence[SpokenWord], sound: Samples, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where each word of a piece begins and ends in its sound, in samples."""
    sounding = _Sounding(heard_steps(sound, dsp.SR).tolist())
    # Of the phonemes, number 0 is the silence before the first; one more stands between two words.
    places = accumulate((len(word.phonemes) + 1 for word in piece), initial=1)
    flows_on, end = False, 0
    for word, (place, _) in zip(piece, pairwise(places), strict=True):
        letters = len(word.phonemes.rstrip(_PAUSES))
        # Where nothing pauses, the sounds of two words meet.
        start = end if flows_on else ends[place - 1]
        flows_on = letters == len(word.phonemes)
        end = max(start, ends[place - 1 + letters])
        if not flows_on:
            # The last sound before a pause is said to last for some of that, too.
            end = sounding.last_heard(start, end)
        yield start, end


def _pieces(words: Sequence[SpokenWord]) -> Iterator[list[SpokenWord]]:
    """Yield the words of a sentence in pieces that can be spoken at once, cut at clauses where possible."""
    piece: list[SpokenWord] = []
    length = 0
    for word in words:
        if piece and length + len(word.phonemes) > _MAX_PHONEMES:
            clauses = [count for count, spoken in enumerate(piece, 1) if spoken.phonemes.endswith(_CLAUSE_END)]
            cut = clauses[-1] if clauses else len(piece)
            yield piece[:cut]
            piece = piece[cut:]
            length = sum(len(spoken.phonemes) + 1 for spoken in piece)
        piece.append(word)
        length += len(word.phonemes) + 1
    if piece:
        yield piece


def _network_with_durations(file: Path) -> onnxruntime.InferenceSession:
    """Load a network so that it also returns how long each phoneme lasts."""
    # Messages of one kind that follow one another are merged when they are parsed (Protocol Buffers, "Encoding"):
    # this adds an output to the network's graph. A ModelProto has its graph in field 7, a GraphProto its outputs in
    # field 12, a ValueInfoProto its name in field 1 (onnx.proto3).
    output = _field(7, _field(12, _field(1, _DURATIONS)))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file.read_bytes() + output, options, providers=["CPUExecutionProvider"])


def _field(number: int, content: bytes) -> bytes:
    """Encode a field of a length that is written before it, of less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content
