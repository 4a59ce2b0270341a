"""Sizes in pixels, the five aspect ratios of the API, and the ways to fit a picture into a size."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """A picture's width and height in pixels. Sizes are ordered by width, then height."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def share_of(self, other: "Size") -> Fraction:
        """Return the share of a picture of another size that is seen once it is cropped to this one's shape."""
        scale = max(Fraction(self.width, other.width), Fraction(self.height, other.height))
        return self.width * self.height / (scale * scale * other.width * other.height)

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Return the size that a text such as `1344x768` states; each side is 1 to 99,999 pixels.

        Raises:
            ValueError: the text is not two such numbers with an x between.
        """
        # Not \d, which also matches the digits of other scripts.
        match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text.strip())
        if match is None:
            raise ValueError(f"must be a width and a height in pixels, like 1344x768, got {text!r}")
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Margins:
    """The edges of a picture that are kept free, each as a share of its width or height."""

    top: Fraction
    right: Fraction
    bottom: Fraction
    left: Fraction


# Text keeps out of a twentieth of the picture on each side (EBU R 95, "Safe areas": text-safe is 90% of it).
TEXT_SAFE = Margins(*[Fraction(1, 20)] * 4)


class AspectRatio(StrEnum):
    """An aspect ratio as the API spells it."""

    SQUARE = "1:1"
    LANDSCAPE = "16:9"
    PORTRAIT = "9:16"
    CLASSIC_LANDSCAPE = "4:3"
    CLASSIC_PORTRAIT = "3:4"

    @property
    def size(self) -> Size:
        """The size of the image that the API makes for this ratio (flux-api.md, "Aspect Ratio Options")."""
        return _SIZES[self]


_SIZES = {
    AspectRatio.SQUARE: Size(1024, 1024),
    AspectRatio.LANDSCAPE: Size(1344, 768),
    AspectRatio.PORTRAIT: Size(768, 1344),
    AspectRatio.CLASSIC_LANDSCAPE: Size(1024, 768),
    AspectRatio.CLASSIC_PORTRAIT: Size(768, 1024),
}


class Fit(StrEnum):
    """The way to fit a picture into a size that is not its own: crop it, add black, stretch it, or refuse it."""

    # Scaled until it fills the size; what sticks out is cut off.
    COVER = "cover"
    # Scaled until it fits inside; the rest is black.
    CONTAIN = "contain"
    # Scaled in each direction on its own.
    STRETCH = "stretch"
    # Not fitted: a picture of another size is unusable.
    ERROR = "error"
