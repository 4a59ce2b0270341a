"""The built-in voice: hibari, an English one that runs here, and tells how long it takes for each sound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import hibari
import numpy as np
import onnxruntime
from hibari import dsp
from hibari.g2p.normalize import normalize

from pipelines.storyboard.speech import Word
from pipelines.voice.timing import TimedText, share_out, timed_words, words_in
from pipelines.voice.voices import Samples, SpokenText, VoiceError

# The node of its network that holds how long each phoneme lasts, in steps of 25 ms. It is no output of the network
# as it comes: the tests see to it that it is there, and right, in the version that is pinned.
_DURATIONS = b"/Clip_output_0"
_STEP = 2 * dsp.HOP
# Kept of the silence before a sentence, for its first sound may begin a little before its phoneme does.
_LEAD_STEPS = 2
# Longer sentences are spoken in pieces, as hibari itself does.
_MAX_PHONEMES = 400
_PAUSES = ';:,.!?—…"“” '
# Around words that `say` changes.
_CLINGING = "\"'“”\u2018\u2019.,;:!?…()[]—-"
_SEED = 0


class HibariVoice:
    """Speaks English; see `Voice`. The same text gives the same samples."""

    def __init__(self, *, speed: Fraction, say: Mapping[str, str]) -> None:
        """Load the voice.

        Args:
            speed: 1 as it speaks by itself, 2 twice as fast.
            say: words, and what is spoken in their place.
        """
        self._speed = float(speed)
        self._say = {word.casefold(): spoken for word, spoken in say.items()}
        self._hibari = hibari.Hibari()
        self._network = _network_with_durations(Path(self._hibari.model_path))

    def speak(self, text: str) -> SpokenText:
        """Speak a text; see `Voice.speak`."""
        samples, words = [np.zeros(0, np.float32)], list[Word]()
        at = 0
        for sentence in hibari.Hibari.split_sentences(text):
            at = text.index(sentence, at)
            start_s = Fraction(sum(map(len, samples)), dsp.SR)
            spoken = [
                TimedText(part.text, part.start_s + start_s, part.end_s + start_s)
                for part in self._speak_sentence(sentence, samples)
            ]
            written = [replace(word, at=word.at + at) for word in words_in(sentence)]
            words += timed_words(written, spoken) if spoken else share_out(written, start_s, start_s)
            at += len(sentence)
        if not any(word.end_s > word.start_s for word in words):
            raise VoiceError("holds nothing that the voice can speak; write words")
        return SpokenText(np.concatenate(samples), dsp.SR, tuple(words))

    def _speak_sentence(self, sentence: str, samples: list[Samples]) -> Iterator[TimedText]:
        """Speak a sentence, add its samples, and yield its words as they are spoken, from where the samples began."""
        passed = 0
        for piece in _pieces(self._phonemes(sentence)):
            sound, ends = self._synthesize(" ".join(phonemes for _, phonemes in piece))
            samples.append(sound)
            # Of the phonemes, number 0 is the silence before the first.
            place = 1
            for text, phonemes in piece:
                heard = len(phonemes.rstrip(_PAUSES))
                start, end = (passed + ends[place - 1 + letters] for letters in (0, heard))
                yield TimedText(text, Fraction(start, dsp.SR), Fraction(end, dsp.SR))
                place += len(phonemes) + 1
            passed += len(sound)

    def _phonemes(self, sentence: str) -> list[tuple[str, str]]:
        """Return the words of a sentence as they are spoken, each with its phonemes."""
        tokens = self._hibari.g2p.tokenize(normalize(" ".join(map(self._said, sentence.split()))))
        words = [("", "")]
        for token in self._hibari.g2p.phonemize_tokens(tokens):
            text, phonemes = words.pop()
            known = "".join(sound for sound in token.phonemes or "" if sound in self._hibari.vocab)
            words.append((text + token.text, phonemes + known))
            if token.whitespace:
                words.append(("", ""))
        return [(text, phonemes.strip()) for text, phonemes in words if phonemes.strip()]

    def _said(self, word: str) -> str:
        """Return what is spoken in the place of a word, with the punctuation that clings to it."""
        bare = word.strip(_CLINGING)
        spoken = self._say.get(bare.casefold())
        return word.replace(bare, spoken, 1) if bare and spoken else word

    def _synthesize(self, phonemes: str) -> tuple[Samples, list[int]]:
        """Return phonemes as sound, and where each of them ends in it, in samples; the silence before them is first."""
        ids = [0, *(self._hibari.vocab[sound] for sound in phonemes), 0]
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([self._speed], np.float32)}
        *spectrum, steps = self._network.run(None, inputs)
        ends = list(accumulate(int(step) * _STEP for step in steps))
        sound = dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(_SEED))
        skipped = max(0, ends[0] - _LEAD_STEPS * _STEP)
        return sound[skipped:], [end - skipped for end in ends]


def _pieces(words: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield the words of a sentence in pieces that are short enough to be spoken at once."""
    piece: list[tuple[str, str]] = []
    length = 0
    for text, phonemes in words:
        if piece and length + len(phonemes) > _MAX_PHONEMES:
            yield piece
            piece, length = [], 0
        piece.append((text, phonemes))
        length += len(phonemes) + 1
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
