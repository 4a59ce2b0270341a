"""When tracks of music are heard, and which words make a phrase."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.film.ducking import passages_of
from pipelines.film.tracks import heard_sounds
from pipelines.storyboard.model import Instant, Place, Sound, SoundMix, Span
from pipelines.storyboard.speech import Speech, Word
from pipelines.storyboard.timeline import Spoken
from tests.support.film_samples import timeline_of

# Cuts at 10, 20 and 40 s.
FILM = timeline_of([240, 240, 480, 480])


def at(second: float) -> Instant:
    """Return a time of the film."""
    return Instant(time_s=Fraction(second))


@pytest.mark.parametrize(
    ("spans", "heard"),
    [
        ([Span()], [(0, 60)]),
        ([Span(), Span()], [(0, 31), (29, 60)]),
        ([Span(), Span(), Span(start=Instant(3))], [(0, 21), (19, 41), (39, 60)]),
        ([Span(end=Instant(2)), Span()], [(0, 21), (19, 60)]),
        ([Span(), Span(start=at(15), crossfade_s=Fraction(0))], [(0, 15), (15, 60)]),
        ([Span(end=at(5)), Span(start=at(8))], [(0, 5), (8, 60)]),
        ([Span(end=at(9)), Span(start=at(8))], [(0, 9), (8, 60)]),
        ([Span(end=at(1)), Span(crossfade_s=Fraction(9))], [(0, 1.5), (0.5, 60)]),
        ([Span(start=Instant(1), end=Instant(4))], [(10, 60)]),
        ([Span(start=at(50), end=at(99))], [(50, 60)]),
        ([Span(start=at(70))], [(60, 60)]),
    ],
)
def test_tracks_follow_one_another(spans: list[Span], heard: list[tuple[float, float]]) -> None:
    """Overlapping by their crossfade where they meet, which is no longer than either of them."""
    sounds = tuple(Sound(Path("a.wav"), Place(0, 0, ""), span=span) for span in spans)

    found = heard_sounds(replace(FILM, sound=SoundMix(sounds)))

    assert [(float(one.start_s), float(one.end_s)) for one in found] == heard


def test_a_mix_that_says_nothing_new_is_named_as_it_was() -> None:
    """Its name is a hash of this text."""
    sound = Sound(Path("a.wav"), Place(1, 2, "audio"), span=Span())
    mix = SoundMix((sound,), True)

    assert mix.further == ()
    assert repr(mix) == (
        f"SoundMix(sounds=(Sound(file={Path('a.wav')!r}, place=Place(line=1, column=2, where='audio'), "
        "volume=Fraction(1, 1), fade_in_s=Fraction(0, 1), fade_out_s=Fraction(0, 1), offset_s=Fraction(0, 1), frame=0, "
        "loop=False),), normalize=True)"
    )
    assert replace(mix, sounds=(sound, sound)).further
    assert replace(mix, duck_db=Fraction(3)).further
    assert replace(mix, loudness_lufs=Fraction(-23)).further


def spoken(start: int, end: int, *words: tuple[float, float], are_estimated: bool = False) -> Spoken:
    """Return a narration with words at these times of its own."""
    timed = tuple(Word("word", 0, Fraction(first), Fraction(last)) for first, last in words)
    return Spoken(Speech("key", Path("a.wav"), Fraction(words[-1][1]), timed, are_estimated), start, end)


def test_a_phrase_goes_on_over_short_pauses() -> None:
    """From one narration into the next, too; what comes after its end is not spoken."""
    first = spoken(24, 96, (0, 0.5), (1.25, 1.5), (2.5, 3.5), (4, 5))
    second = spoken(96, 480, (0.5, 1), (3, 4))

    phrases = passages_of(replace(FILM, spoken=(first, second)))

    assert [phrase.words for phrase in phrases] == [((1, 1.5), (2.25, 2.5)), ((3.5, 4), (4.5, 5)), ((7, 8),)]


def test_of_estimated_words_no_pause_is_known() -> None:
    """The music stays down as long as the speech lasts."""
    narration = spoken(24, 480, (0, 0.5), (3, 4), are_estimated=True)

    (phrase,) = passages_of(replace(FILM, spoken=(narration,)))

    assert (phrase.start_s, phrase.end_s) == (1, 5)
