"""The plain engine: two flat colours for each image, one above the other; an eighth of the work of a sketch."""

import hashlib
import io

from PIL import Image

from pipelines.common.geometry import Size
from pipelines.endpoints.requests import ImageRequest


class PlainEngine:
    """A painter of flat colours. The same seed, request and count give the same bytes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def paint(self, request: ImageRequest, size: Size, count: int) -> bytes:
        """Return a picture of two colours as a PNG; see `SketchEngine.paint` for the arguments."""
        key = f"{self._seed}\n{count}\n{request.steps}\n{request.aspect}\n{request.prompt}"
        colours = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
        picture = Image.new("RGB", (size.width, size.height), tuple(colours[:3]))
        # Far from the first: one flat colour would be taken for the answer of a safety filter.
        picture.paste(tuple(255 - part for part in colours[:3]), (0, size.height // 2, size.width, size.height))
        out = io.BytesIO()
        picture.save(out, "PNG", compress_level=1)
        return out.getvalue()
