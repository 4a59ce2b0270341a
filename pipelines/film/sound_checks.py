"""The check of a storyboard's sounds: what cannot be used is an error at its place, what was skipped a note."""

from fractions import Fraction

from pipelines.common.errors import FilmError, Note, StorageError, StoryboardError
from pipelines.common.formatting import counted
from pipelines.film.sound_files import MeasuredSound, measure_sound, side_by_side
from pipelines.film.sound_losses import Loss
from pipelines.storyboard.model import Sound, Storyboard

# Of more places the first are named.
_MAX_PLACES = 3


async def require_sounds(board: Storyboard) -> list[Note]:
    """Check that every sound file of a storyboard can be used; return the notes on those of which a part is missing.

    Raises:
        StoryboardError: some cannot; each is named with its place in the storyboard.
    """
    sounds = board.sound.sounds
    # Each file once, though many shots may have it.
    measured = await side_by_side(measure_sound, (sound.file for sound in sounds))
    wrong = [(sound, _wrong(sound, measured[sound.file])) for sound in sounds]
    if problems := [sound.place.problem(board.path, message) for sound, message in wrong if message]:
        raise StoryboardError(problems)
    odd = [(sound, _odd(sound, measured[sound.file])) for sound in sounds]
    return [sound.place.note(board.path, message) for sound, message in odd if message]


def _wrong(sound: Sound, measured: MeasuredSound | FilmError | StorageError) -> str:
    """Return what is wrong with a sound, and the cure; an empty text where nothing is."""
    if not isinstance(measured, MeasuredSound):
        return str(measured)
    length_s, loss = measured.length_s, measured.loss
    if loss.is_too_much(length_s):
        whole = _duration(length_s + loss.length_s)
        return (
            f"{sound.file}: {_duration(loss.length_s)} of its {whole} are damaged or missing, {_places(loss)}; "
            "use a whole copy of it, or save what is left as a new file"
        )
    if length_s <= sound.offset_s:
        return f"its offset of {float(sound.offset_s):g} s is beyond the file's end at {float(length_s):g} s"
    return ""


def _odd(sound: Sound, measured: MeasuredSound | FilmError | StorageError) -> str:
    """Return what a listener would miss, and the cure; an empty text where all is there."""
    if not isinstance(measured, MeasuredSound) or not measured.loss.length_s:
        return ""
    loss = measured.loss
    return (
        f"{sound.file}: {_duration(loss.length_s)} of it are damaged or missing and are skipped, {_places(loss)}; "
        "use a whole copy of it"
    )


def _places(loss: Loss) -> str:
    """Return where sound is missing: `at 1:02, 1:05 and 1:09`."""
    named = [_clock_time(place_s) for place_s in loss.places_s[:_MAX_PLACES]]
    if (more := len(loss.places_s) - _MAX_PLACES) > 0:
        named.append(counted(more, "more place"))
    *first, last = named
    return f"at {', '.join(first)} and {last}" if first else f"at {last}"


def _clock_time(time_s: Fraction) -> str:
    """Return a time of a file as players show it: `1:02`, `1:00:02`."""
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _duration(length_s: Fraction) -> str:
    """Return a length in seconds, as fine as it is of interest: `0.02 s`, `3.4 s`."""
    return f"{float(length_s):.{1 if length_s >= Fraction(1, 10) else 2}f} s"
