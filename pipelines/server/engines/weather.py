"""The weather of a sketch, drawn over everything else in it."""

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

from pipelines.server.engines.canvas import Canvas, draw_disc
from pipelines.server.engines.palette import mix
from pipelines.server.engines.scene import Weather

_DROPS = 420
_FLAKES = 420


def draw_weather(canvas: Canvas) -> None:
    """Draw what falls from the sky or hangs in it."""
    for draw in _WEATHERS[canvas.scene.weather]:
        draw(canvas)


def _draw_rain(canvas: Canvas) -> None:
    rng = canvas.rng
    slant = rng.uniform(4, 12)
    for _ in range(_DROPS):
        x, y, length = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), rng.uniform(8, 20)
        color = mix(canvas.light.horizon, (235, 240, 248), rng.uniform(0.1, 0.6))
        canvas.draw.line((x, y, x - slant * length / 20, y + length), fill=color)


def _draw_snow(canvas: Canvas) -> None:
    rng = canvas.rng
    for _ in range(_FLAKES):
        x, y, radius = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), rng.uniform(0.6, 2.2)
        draw_disc(canvas, x, y, radius, (246, 248, 252))


def _draw_mist(canvas: Canvas) -> None:
    rng = canvas.rng
    # Nothing in it is sharp: an eighth of the size is enough.
    veil = Image.new("L", (canvas.width // 8, canvas.height // 8))
    draw = ImageDraw.Draw(veil)
    for _ in range(14):
        y, height = rng.uniform(0.3, 0.9) * veil.height, rng.uniform(2, 7)
        x, width = rng.uniform(-0.3, 0.8) * veil.width, rng.uniform(0.4, 1.1) * veil.width
        draw.ellipse((x, y, x + width, y + height), fill=rng.randint(90, 190))
    size = (canvas.width, canvas.height)
    veil = veil.filter(ImageFilter.GaussianBlur(3)).resize(size, Image.Resampling.BILINEAR)
    canvas.image.paste(mix(canvas.light.horizon, (240, 240, 240), 0.4), (0, 0), veil)


def _draw_lightning(canvas: Canvas) -> None:
    rng = canvas.rng
    x, y = canvas.width * rng.uniform(0.2, 0.8), 0.0
    points = [(x, y)]
    while y < canvas.horizon:
        x, y = x + rng.uniform(-22, 22), y + rng.uniform(14, 34)
        points.append((x, y))
    canvas.draw.line(points, fill=(250, 250, 226), width=2, joint="curve")


_WEATHERS: dict[Weather, tuple[Callable[[Canvas], None], ...]] = {
    Weather.CLEAR: (),
    Weather.RAIN: (_draw_rain,),
    Weather.SNOW: (_draw_snow,),
    Weather.MIST: (_draw_mist,),
    Weather.STORM: (_draw_rain, _draw_lightning),
}
