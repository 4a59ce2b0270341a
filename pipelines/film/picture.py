"""A picture of the film as video has it: brightness and colour in planes of their own, ready for ffmpeg."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Rows and columns of 8-bit samples.
Plane = npt.NDArray[np.uint8]

_BLACK, _WHITE = 16, 235
# Colours of this value add nothing to the brightness: gray.
_NO_COLOUR = 128


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the film in planar 4:2:0: brightness at full size, two planes of colour at half of it.

    In limited range: black is 16, white 235 (ITU-R BT.709-6, 3.4).
    """

    planes: tuple[Plane, Plane, Plane]

    def chunks(self) -> Iterator[memoryview]:
        """Yield its bytes as ffmpeg's yuv420p."""
        return (np.ascontiguousarray(plane).data.cast("B") for plane in self.planes)

    def combine(self, other: "Picture", mix: Callable[[Plane, Plane], Plane]) -> "Picture":
        """Return the picture that `mix` makes of each plane of this one and the other."""
        first, second, third = (mix(*pair) for pair in zip(self.planes, other.planes, strict=True))
        return Picture((first, second, third))


def flat_picture(like: Picture, *, white: bool) -> Picture:
    """Return a plain black or white picture of the same size."""
    values = (_WHITE if white else _BLACK, _NO_COLOUR, _NO_COLOUR)
    first, second, third = (np.full_like(plane, value) for plane, value in zip(like.planes, values, strict=True))
    return Picture((first, second, third))


def stacked_chunks(above: Picture, below: Picture) -> Iterator[memoryview]:
    """Yield the bytes of two pictures as one of double height, in ffmpeg's yuv420p."""
    for chunks in zip(above.chunks(), below.chunks(), strict=True):
        yield from chunks
