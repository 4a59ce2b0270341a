"""Sketch cards: what a prompt's words are read as, and that the same request gets the same card."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.engines.lettering import letter_card
from pipelines.server.engines.palette import FURS, LIGHTS
from pipelines.server.engines.scene import Place, Scene, Subject, Weather, read_scene
from pipelines.server.engines.sketch import SketchEngine
from tests.support.letters import words


def test_a_prompt_is_read_by_its_keywords() -> None:
    """Light, place, weather and subjects come from the words; each has its own default."""
    scene = read_scene("A lighthouse and two boats at DUSK, in the fog")

    assert scene == Scene(LIGHTS["dusk"], Place.SEA, Weather.MIST, (Subject.LIGHTHOUSE, Subject.BOAT))
    assert read_scene("nothing that it knows") == Scene(LIGHTS["noon"], Place.HILLS, Weather.CLEAR, ())


def test_a_cat_has_the_fur_that_its_prompt_names() -> None:
    """So that it is one cat through a whole film; without a word for it, its fur is drawn by lot."""
    assert read_scene("a grey cat asleep in a garden").fur == FURS["grey"]
    assert read_scene("a cat asleep in a garden").fur is None


def test_a_color_tints_the_horizon_and_the_distance() -> None:
    """The first color that a prompt names mixes into two of the light's colors; the others stay."""
    light = read_scene("a black hill, then a red one").light

    noon = LIGHTS["noon"]
    assert (light.horizon, light.far) == ((139, 153, 161), (96, 123, 119))
    assert (light.top, light.near, light.lamp) == (noon.top, noon.near, noon.lamp)


def test_sketches_are_the_same_for_the_same_and_different_for_different() -> None:
    """By prompt, steps, count and seed; nothing else."""
    engine, size = SketchEngine(0), Size(256, 144)
    request = ImageRequest("a cat in a garden", 4, AspectRatio.LANDSCAPE)
    cards = [
        engine.paint(request, size, 1),
        engine.paint(request, size, 2),
        engine.paint(ImageRequest("a dog in a garden", 4, AspectRatio.LANDSCAPE), size, 1),
        engine.paint(ImageRequest("a cat in a garden", 5, AspectRatio.LANDSCAPE), size, 1),
        SketchEngine(1).paint(request, size, 1),
    ]

    assert SketchEngine(0).paint(request, size, 1) == cards[0]
    assert len(set(cards)) == len(cards)


@pytest.mark.parametrize(
    "prompt",
    [
        "a harbor", "a storm at sea, lightning", "city at night",
        "pine forest under snow", "desert dunes", "mountains, a dragon",
        "an apple tree, a cat, a house, a lighthouse, boats and birds in mist and rain",
        "夜明けの港、霧の中", "x" * 2048,
        "مرفأ هادئ عند الفجر", "\n\t", "🙂 " * 600,
    ],
)  # fmt: skip
def test_every_prompt_gets_a_card(prompt: str) -> None:
    """Of any place, weather, script and length."""
    for size in (Size(1344, 768), Size(768, 1344)):
        png = SketchEngine(0).paint(ImageRequest(prompt), size, 1)
        with Image.open(io.BytesIO(png)) as card:
            assert card.size == (size.width, size.height)


# --- letters


def lettered(prompt: str, size: tuple[int, int] = (336, 192)) -> Image.Image:
    """Return an empty card with its lettering."""
    card = Image.new("RGB", size, "#4a6a8a")
    letter_card(card, ImageRequest(prompt), 1)
    return card


@given(prompt=st.text(st.characters(), max_size=2048))
def test_any_prompt_is_lettered(prompt: str) -> None:
    """Whatever characters it is of; the foot of the card is left to the film's captions."""
    card = np.asarray(lettered(prompt))

    assert (card[110:] == (0x4A, 0x6A, 0x8A)).all()


@given(first=words(), second=words())
def test_prompts_that_differ_are_lettered_differently(first: str, second: str) -> None:
    """In every script: no box stands for a letter."""
    assert (lettered(first).tobytes() == lettered(second).tobytes()) == (first == second)


def test_hebrew_stands_at_the_right_of_its_card() -> None:
    """The heading, which is English, stays at the left."""
    size = (1344, 768)
    latin, hebrew = (
        np.asarray(lettered(prompt, size)).max(axis=2) > 200 for prompt in ("harbor", "\u05e0\u05de\u05dc")
    )

    heading, prompt = slice(40, 72), slice(74, 110)
    assert np.array_equal(latin[heading], hebrew[heading])
    assert latin[prompt, :200].any()
    assert not hebrew[prompt, :200].any()
    assert hebrew[prompt, -200:].any()


def test_a_prompt_that_does_not_fit_is_cut_short() -> None:
    """What is behind the cut makes no difference; the band leaves more than half of the card."""
    cards = [np.asarray(lettered("W" * count, (768, 768))) for count in (300, 2047, 2048)]

    assert all((card[340:] == (0x4A, 0x6A, 0x8A)).all() for card in cards)
    assert np.array_equal(cards[1], cards[2])
    assert not np.array_equal(cards[0], cards[2])
