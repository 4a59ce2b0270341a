"""A picture is fitted into a frame of another size."""

import pytest
from PIL import Image

from pipelines.common.geometry import Fit, Size
from pipelines.common.imaging import fit_picture


def half_and_half() -> Image.Image:
    """Return a picture twice as wide as high, its left half red, its right half white."""
    picture = Image.new("RGB", (200, 100), "white")
    picture.paste("red", (0, 0, 100, 100))
    return picture


@pytest.mark.parametrize(
    ("fit", "left", "right", "top"),
    [
        (Fit.COVER, (255, 0, 0), (255, 255, 255), (255, 0, 0)),
        (Fit.CONTAIN, (255, 0, 0), (255, 255, 255), (0, 0, 0)),
        (Fit.STRETCH, (255, 0, 0), (255, 255, 255), (255, 0, 0)),
    ],
)
def test_fitting_keeps_the_middle(fit: Fit, left: object, right: object, top: object) -> None:
    """Into a square, both halves stay to be seen around the middle."""
    fitted = fit_picture(half_and_half(), Size(50, 50), fit)

    assert (fitted.size, fitted.getpixel((5, 25)), fitted.getpixel((45, 25)), fitted.getpixel((5, 2))) == (
        (50, 50),
        left,
        right,
        top,
    )


@pytest.mark.parametrize("fit", list(Fit))
def test_a_picture_of_the_right_size_is_not_touched(fit: Fit) -> None:
    """Fitting it is returning it."""
    picture = half_and_half()

    assert fit_picture(picture, Size(200, 100), fit) is picture
