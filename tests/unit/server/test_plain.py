"""The plain engine: flat pictures of the size asked for, no two alike."""

import io

from PIL import Image

from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.engines.plain import PlainEngine

HARBOR = ImageRequest("a harbor", 4, AspectRatio.SQUARE)
SIZE = Size(64, 32)


def test_a_plain_picture_has_the_size_asked_for_and_two_colours() -> None:
    """It is a PNG like a sketch's."""
    picture = Image.open(io.BytesIO(PlainEngine(0).paint(HARBOR, SIZE, 1)))

    assert (picture.format, picture.size, picture.mode) == ("PNG", (64, 32), "RGB")
    assert len(picture.getcolors() or ()) == 2


def test_the_same_seed_request_and_count_give_the_same_bytes() -> None:
    """And any other gives other ones."""
    first = PlainEngine(0).paint(HARBOR, SIZE, 1)

    assert PlainEngine(0).paint(HARBOR, SIZE, 1) == first
    others = [
        PlainEngine(1).paint(HARBOR, SIZE, 1),
        PlainEngine(0).paint(HARBOR, SIZE, 2),
        PlainEngine(0).paint(ImageRequest("a cat", 4, AspectRatio.SQUARE), SIZE, 1),
    ]
    assert first not in others
    assert len(set(others)) == 3
