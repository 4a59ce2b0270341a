"""Clips of a film: decoded sounds, and the voice at the film's rate, at their places with their fades."""

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipelines.common.errors import FilmError
from pipelines.film.resampling import Samples, resampled
from pipelines.film.sound_files import RATE_HZ
from pipelines.film.stems import Clip, Fade, StoredSamples
from pipelines.film.tracks import Heard
from pipelines.storyboard.timeline import Spoken, Timeline

# Of sound that would go on, where it is cut off within the film.
_CUT_OFF_S = Fraction(1, 20)
_FULL_SCALE = 32768
_SAMPLE_BYTES = 4


def samples_in(second: Fraction) -> int:
    """Return a time in samples of the film's sound."""
    return round(second * RATE_HZ)


def sound_clip(heard: Heard, samples: StoredSamples, *, film_s: Fraction) -> Clip:
    """Return a sound as the film has it.

    Args:
        heard: the sound, and when it is heard.
        samples: of its file.
        film_s: the length of the film.
    """
    sound = heard.sound
    left_s = heard.length_s if sound.loop else Fraction(samples.length, RATE_HZ) - sound.offset_s
    # Fades end where the sound does: with its file, with its span, or with the film.
    heard_s = max(min(left_s, heard.length_s), Fraction(0))
    goes_on = left_s > heard_s or sound.loop
    fades = list(_fades(heard, heard_s))
    if goes_on and heard.end_s < film_s and not heard.goes_s:
        fades.append(_fade_out(_CUT_OFF_S, heard_s))
    return Clip(
        samples,
        start=samples_in(heard.start_s),
        length=samples_in(heard_s),
        offset=samples_in(sound.offset_s),
        loops=sound.loop,
        gain=float(sound.volume),
        fades=tuple(fades),
    )


def _fades(heard: Heard, heard_s: Fraction) -> Iterator[Fade]:
    sound = heard.sound
    if sound.fade_in_s:
        yield Fade(0, samples_in(sound.fade_in_s))
    if sound.fade_out_s and heard_s:
        yield _fade_out(sound.fade_out_s, heard_s)
    if heard.comes_s:
        yield Fade(0, samples_in(heard.comes_s), even=True)
    if heard.goes_s:
        # With its span, though its file may end before.
        yield Fade(samples_in(heard.length_s - heard.goes_s), samples_in(heard.goes_s), out=True, even=True)


def _fade_out(fade_s: Fraction, heard_s: Fraction) -> Fade:
    fade_s = min(fade_s, heard_s)
    return Fade(samples_in(heard_s - fade_s), samples_in(fade_s), out=True)


def speech_clips(timeline: Timeline, target: Path) -> list[Clip]:
    """Return each narration of a film, once all of them are written to a file. Blocking.

    Args:
        timeline: the film.
        target: is replaced by their samples at the film's rate, on one channel.

    Raises:
        FilmError: a recording is gone, or is none that a voice has kept.
        OSError: the file could not be written.
    """
    voice, clips, first = StoredSamples(target, 1), [], 0
    with target.open("wb") as file:
        for spoken in timeline.spoken:
            length = sum(file.write(samples.tobytes()) for samples in _voice(spoken, timeline)) // _SAMPLE_BYTES
            clips.append(_speech_clip(spoken, voice, (first, length), timeline))
            first += length
    return clips


def _speech_clip(spoken: Spoken, voice: StoredSamples, place: tuple[int, int], timeline: Timeline) -> Clip:
    """Return a narration as the film has it, given where it begins in the voice's samples and how many it has."""
    offset, spoken_length = place
    start, end = (samples_in(frame / timeline.output.fps) for frame in (spoken.start, spoken.end))
    length = min(spoken_length, end - start)
    cut_off = min(samples_in(_CUT_OFF_S), length)
    fades = (Fade(length - cut_off, cut_off, out=True),) if length < spoken_length else ()
    return Clip(voice, start, length, offset, fades=fades)


def _voice(spoken: Spoken, timeline: Timeline) -> Iterator[Samples]:
    """Yield the samples of a narration, as far as there is time for it and a little longer."""
    path = spoken.speech.file
    try:
        with wave.open(str(path), "rb") as file:
            rate_hz, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            heard_s = (spoken.end - spoken.start) / timeline.output.fps + _CUT_OFF_S
            raw = file.readframes(int(heard_s * rate_hz))
    except FileNotFoundError as exc:
        raise FilmError(f"{path}: is gone; render again, and it is spoken anew") from exc
    except (wave.Error, EOFError) as exc:
        raise FilmError(f"{path}: is no recording of a voice: {exc}; remove it, and it is spoken anew") from exc
    if (width, channels) != (2, 1):
        raise FilmError(
            f"{path}: is no recording of a voice, which has one channel of 16 bits; remove it, and it is spoken anew"
        )
    yield from (piece / np.float32(_FULL_SCALE) for piece in resampled(np.frombuffer(raw, "<i2"), rate_hz, RATE_HZ))
