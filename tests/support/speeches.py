"""Speech to test with: written words with times of their own, and films in which they are spoken."""

import re
import wave
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipelines.common.geometry import Size
from pipelines.storyboard.model import CaptionStyle
from pipelines.storyboard.speech import Speech, Word
from pipelines.storyboard.timeline import Spoken, Timeline
from tests.support.film_samples import timeline_of

WIDE = Size(1344, 768)
_RATE_HZ = 24_000


def spoken(
    text: str, *, word_s: Fraction = Fraction(1, 4), silence_s: Fraction = Fraction(0), cut: str = r"\S+"
) -> Speech:
    """Return the speech of a text, each word of which takes `word_s`, with a silence behind it; `cut` finds words."""
    words = []
    for number, match in enumerate(re.finditer(cut, text)):
        start_s = number * (word_s + silence_s)
        words.append(Word(match[0], match.start(), start_s, start_s + word_s))
    return Speech("a1", Path("speech.wav"), words[-1].end_s, tuple(words))


def timed(*words: tuple[str, float, float]) -> Speech:
    """Return a speech of words, each with its start and its end in seconds, to the millisecond."""
    at, found = 0, []
    for text, start_s, end_s in words:
        found.append(Word(text, at, Fraction(round(start_s * 1000), 1000), Fraction(round(end_s * 1000), 1000)))
        at += len(text) + 1
    return Speech("a1", Path("speech.wav"), found[-1].end_s, tuple(found))


def audible(timeline: Timeline, folder: Path) -> Timeline:
    """Return a film whose speeches are there to be heard, as a hum that takes as long."""
    folder.mkdir(parents=True, exist_ok=True)
    voices = []
    for number, voice in enumerate(timeline.spoken):
        speech = replace(voice.speech, file=folder / f"speech-{number}.wav")
        times_s = np.arange(int(speech.length_s * _RATE_HZ)) / _RATE_HZ
        hum = (3000 * np.sin(2 * np.pi * 220 * times_s)).astype("<i2")
        with wave.open(str(speech.file), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_RATE_HZ)
            file.writeframes(hum.tobytes())
        voices.append(replace(voice, speech=speech))
    return replace(timeline, spoken=tuple(voices))


def speaking(
    *speeches: Speech,
    lengths: Sequence[int],
    style: CaptionStyle | None = None,
    fps: Fraction = Fraction(24),
    size: Size = WIDE,
    captions: Sequence[str | None] = (),
) -> Timeline:
    """Return a film in which each speech begins with the hold of its number, and ends where the next one begins.

    Args:
        speeches: what is spoken.
        lengths: of the holds, in video frames.
        style: the captions' looks.
        fps: video frames a second.
        size: of the film.
        captions: of the holds' own.
    """
    timeline = timeline_of(lengths, fps=fps, size=size)
    holds = [
        replace(hold, caption=caption)
        for hold, caption in zip(timeline.holds, [*captions, *[None] * (len(lengths) - len(captions))], strict=True)
    ]
    starts = [hold.start for hold in holds[: len(speeches)]]
    ends = [*starts[1:], timeline.video_frames]
    voices = tuple(Spoken(*parts) for parts in zip(speeches, starts, ends, strict=True))
    return replace(timeline, holds=tuple(holds), captions=style or CaptionStyle(), spoken=voices)
