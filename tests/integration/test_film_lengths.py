"""Films of random storyboards that speak, really encoded: each is its plan, to the video frame."""

import asyncio
import wave
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from pipelines.film.assembler import cut_film
from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import COLOURS, colour_of, flat_frames, pictures
from tests.support.narrated_boards import SpokenBoard, spoken_boards

pytestmark = pytest.mark.slow

RATE_HZ = 8000


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return more frames than any of the storyboards asks for, none of the colour of the one before it."""
    return flat_frames(tmp_path_factory.mktemp("frames"), list(COLOURS) * 4)


def recorded(speech: Speech, folder: Path) -> Speech:
    """Return a speech with a recording as long as it is."""
    path = folder / f"{speech.key.replace('/', '-')}.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(b"\0\x10\0\xf0" * ceil(speech.length_s * RATE_HZ / 2))
    return replace(speech, file=path)


def expected_colours(timeline: Timeline) -> dict[int, str]:
    """Return the colour of each video frame that belongs to one frame alone."""
    names = list(COLOURS)
    colours: dict[int, str] = {}
    before = 0
    for hold in timeline.holds:
        alone = range(hold.start + before, hold.start + hold.length - hold.half)
        colours |= dict.fromkeys(alone, names[hold.frame % len(names)])
        before = hold.half
    return colours


@settings(max_examples=200, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(spoken=spoken_boards(most_outputs=1))
def test_a_film_is_its_plan_to_the_video_frame(
    spoken: SpokenBoard, frames: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As long as the holds together, and every frame on screen from its cut to the next."""
    folder = tmp_path_factory.mktemp("film")
    speeches = [recorded(speech, folder) for speech in spoken.speeches]
    [timeline] = plan_frames(spoken.board, model="sketch", speeches=speeches).timelines

    film = asyncio.run(cut_film(timeline, frames[: len(timeline.holds)], folder / "film.mp4"))

    shown = pictures(film.path, timeline.output.size)
    assert (len(shown), film.duration_s) == (timeline.video_frames, Fraction(len(shown)) / timeline.output.fps)
    expected = expected_colours(timeline)
    assert {number: colour_of(shown[number]) for number in expected} == expected
