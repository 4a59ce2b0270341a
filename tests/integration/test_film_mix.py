"""The film speaks: narration is heard where the storyboard says, in every film, and nothing covers it."""

from functools import partial
from pathlib import Path

import pytest

from tests.support import sound_samples
from tests.support.sound_samples import SPEECH_HZ, SUFFIXES, FilmWithSounds, heard, level, span_s, spoken_as, tone

# The pictures of all films are encoded once for many tests.
pytestmark = pytest.mark.xdist_group("film_sound")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for what all films share: it is their sounds that differ, not their pictures."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def film_with(tmp_path: Path, kept: Path) -> FilmWithSounds:
    """Return a function that assembles a film with sounds."""
    return partial(sound_samples.film_with, tmp_path, kept=kept)


@pytest.mark.parametrize("codec", ["h264", "vp9", "prores"])
def test_a_narration_begins_at_its_cut(tmp_path: Path, film_with: FilmWithSounds, codec: str) -> None:
    """To within a few milliseconds, in every codec; a film that has no other sound has this one."""
    spoken = spoken_as(tmp_path / "a.wav", tone(0.4, rate_hz=SPEECH_HZ), 31, 48)

    samples = heard(film_with(spoken=[spoken], codec=codec))

    assert span_s(samples) == pytest.approx((31 / 24, 31 / 24 + 0.4), abs=0.004)


def test_a_narration_falls_silent_where_the_next_one_begins(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """Softly, and the last one with the film."""
    long = tone(3, rate_hz=SPEECH_HZ)
    first, second = spoken_as(tmp_path / "a.wav", long, 0, 18), spoken_as(tmp_path / "b.wav", 0 * long, 18, 48)

    samples = heard(film_with(spoken=[first, second]))

    loudness = [level(samples, start_s, start_s + 0.01) for start_s in (0.68, 0.72, 0.735, 0.75)]
    assert loudness == sorted(loudness, reverse=True)
    assert loudness[0] > 0.5
    assert loudness[-1] == 0


def test_a_silent_format_says_nothing(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """A GIF holds no sound, and is made without."""
    spoken = spoken_as(tmp_path / "a.wav", tone(0.4, rate_hz=SPEECH_HZ), 0, 48)

    film = film_with(spoken=[spoken], codec="gif")

    assert film.suffix == f".{SUFFIXES['gif']}"
