"""The plain engine: one flat colour for each image, an eighth of the work of a sketch."""

import hashlib
import io

from PIL import Image

from pipelines.common.geometry import Size
from pipelines.endpoints.dialects.flux import ImageRequest


class PlainEngine:
    """A painter of flat colours. The same seed, request and count give the same bytes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def paint(self, request: ImageRequest, size: Size, count: int) -> bytes:
        """Return a picture of one colour as a PNG; see `SketchEngine.paint` for the arguments."""
        key = f"{self._seed}\n{count}\n{request.steps}\n{request.aspect}\n{request.prompt}"
        red, green, blue = hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:3]
        out = io.BytesIO()
        Image.new("RGB", (size.width, size.height), (red, green, blue)).save(out, "PNG", compress_level=1)
        return out.getvalue()
