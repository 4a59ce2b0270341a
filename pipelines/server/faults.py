"""Which request goes wrong, and what damage does to an image."""

import io
import random
from collections.abc import Sequence

from PIL import Image

from pipelines.common.geometry import Size
from pipelines.server.config import Fault, FaultKind

_WRONG_SIZES = (Size(1024, 1024), Size(768, 768))


class FaultDraw:
    """Draws a fault, or none, for one request after another; the same seed draws the same."""

    def __init__(self, faults: Sequence[Fault], rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng

    def draw(self) -> FaultKind | None:
        """Return the fault of the next request."""
        point = self._rng.random()
        for fault in self._faults:
            if point < fault.rate:
                return fault.kind
            point -= fault.rate
        return None


def wrong_size(asked: Size) -> Size:
    """Return a size that the model likes better than the one it was asked for."""
    return next(size for size in _WRONG_SIZES if size != asked)


def corrupt(png: bytes) -> bytes:
    """Flip bits in the middle of an image, as a bad line does."""
    damaged = bytearray(png)
    middle = len(damaged) // 2
    for index in range(middle, min(middle + 16, len(damaged))):
        damaged[index] ^= 0x55
    return bytes(damaged)


def as_jpeg(png: bytes) -> bytes:
    """Return the same picture as a JPEG."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()
