"""The sketch engine: a storyboard card for every request, painted from the words of its prompt."""

import hashlib
import io
import random

from PIL import Image

from pipelines.common.geometry import Size
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.engines.canvas import add_vignette_and_grain, new_canvas
from pipelines.server.engines.lettering import letter_card
from pipelines.server.engines.scene import Scene, read_scene
from pipelines.server.engines.scenery import draw_lamp, draw_place
from pipelines.server.engines.subjects import draw_subjects
from pipelines.server.engines.weather import draw_weather

# What answers of this engine carry as their model.
SKETCH_MODEL = "sketch"

# Shapes are drawn at this fraction of the size and scaled up: quick, and soft at the edges.
_SCALE = 2


class SketchEngine:
    """A painter of cards. The same seed, request, size and count give the same bytes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def paint(self, request: ImageRequest, size: Size, count: int) -> bytes:
        """Return a card as a PNG.

        Args:
            request: the prompt to show, and the steps and aspect ratio to name.
            size: of the card, in pixels.
            count: how many such requests there have been, this one included: no two get the same card.
        """
        key = f"{self._seed}\n{count}\n{request.steps}\n{request.aspect}\n{request.prompt}"
        rng = random.Random(hashlib.sha256(key.encode(errors="surrogatepass")).digest())  # noqa: S311
        scene = read_scene(request.prompt)
        sketch = _paint_scene(scene, Size(size.width // _SCALE, size.height // _SCALE), rng)
        card = sketch.resize((size.width, size.height), Image.Resampling.BILINEAR)
        letter_card(card, request, count)
        out = io.BytesIO()
        # Fast beats small here: the bytes go over loopback. Type 3 is zlib's Z_RLE strategy.
        card.save(out, "PNG", compress_level=1, compress_type=3)
        return out.getvalue()


def _paint_scene(scene: Scene, size: Size, rng: random.Random) -> Image.Image:
    """Return the scene as an RGB picture, painted from the back to the front."""
    canvas = new_canvas(scene, size, rng)
    draw_lamp(canvas)
    draw_place(canvas)
    draw_subjects(canvas)
    draw_weather(canvas)
    return add_vignette_and_grain(canvas)
