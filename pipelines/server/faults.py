"""Faults drawn at their rates, and the damage that they do to an image."""

import io
import random
from collections.abc import Sequence

from PIL import Image

from pipelines.common.geometry import Size
from pipelines.server.config import Fault, FaultKind

# The model often answers with a square, whatever size was requested.
_WRONG_SIZES = (Size(1024, 1024), Size(768, 768))


class FaultDraw:
    """A source of faults for one request after another; the same seed yields the same faults."""

    def __init__(self, faults: Sequence[Fault], rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng

    def draw(self) -> FaultKind | None:
        """Return the fault of the next request, or None."""
        # One draw a request: its point lies in the share of one fault, or beyond them all.
        point = self._rng.random()
        for fault in self._faults:
            if point < fault.rate:
                return fault.kind
            point -= fault.rate
        return None


def wrong_size(requested: Size) -> Size:
    """Return a size that is not the requested one."""
    return next(size for size in _WRONG_SIZES if size != requested)


def corrupt(png: bytes) -> bytes:
    """Return the image with bits flipped in 16 bytes of its middle, as a bad connection does."""
    damaged = bytearray(png)
    middle = len(damaged) // 2
    for index in range(middle, min(middle + 16, len(damaged))):
        damaged[index] ^= 0x55
    return bytes(damaged)


def as_jpeg(png: bytes) -> bytes:
    """Return the same picture encoded as a JPEG."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()
