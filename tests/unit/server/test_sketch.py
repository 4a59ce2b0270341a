"""Sketch cards: what a prompt's words are read as, and that the same request gets the same card."""

import io

import pytest
from PIL import Image

from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.dialects.flux import ImageRequest
from pipelines.server.engines.palette import LIGHTS
from pipelines.server.engines.scene import Place, Scene, Subject, Weather, read_scene
from pipelines.server.engines.sketch import SketchEngine


def test_a_prompt_is_read_by_its_keywords() -> None:
    """Light, place, weather and subjects come from the words; each has its own default."""
    scene = read_scene("A lighthouse and two boats at DUSK, in the fog")

    assert scene == Scene(LIGHTS["dusk"], Place.SEA, Weather.MIST, (Subject.LIGHTHOUSE, Subject.BOAT))
    assert read_scene("nothing that it knows") == Scene(LIGHTS["noon"], Place.HILLS, Weather.CLEAR, ())


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
