"""The canvas of a sketch, and the shapes that several of its parts are made of."""

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageOps

from pipelines.common.geometry import Size
from pipelines.server.engines.palette import Color, Light, mix
from pipelines.server.engines.scene import Scene


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture while it is painted, from the back to the front. Coordinates are pixels from its top left corner.

    Attributes:
        scene: the scene that it shows.
        image: the picture itself, painted in place.
        draw: Pillow's drawing context on `image`.
        rng: the source of every variation. The order of its draws is part of a sketch: a new one moves all after it.
        horizon: the horizon's distance from the top.
    """

    scene: Scene
    image: Image.Image
    draw: ImageDraw.ImageDraw
    rng: random.Random
    horizon: int

    @property
    def width(self) -> int:
        """The picture's width."""
        return self.image.width

    @property
    def height(self) -> int:
        """The picture's height."""
        return self.image.height

    @property
    def light(self) -> Light:
        """The scene's colors."""
        return self.scene.light


def new_canvas(scene: Scene, size: Size, rng: random.Random) -> Canvas:
    """Return a canvas of `size` pixels that shows the scene's empty sky."""
    horizon = int(size.height * rng.uniform(0.5, 0.62))
    ramp = Image.linear_gradient("L").resize((size.width, size.height))
    sky = ImageOps.colorize(ramp, scene.light.top, scene.light.horizon, mid=None)
    return Canvas(scene, sky, ImageDraw.Draw(sky), rng, horizon)


def draw_disc(canvas: Canvas, x: float, y: float, radius: float, color: Color) -> None:
    """Draw a filled circle around a point."""
    canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def draw_triangle(canvas: Canvas, x: float, *, half_width: float, base: float, tip: float, color: Color) -> None:
    """Draw an upright triangle with its tip at (`x`, `tip`) and its base at the height `base`."""
    canvas.draw.polygon([(x - half_width, base), (x, tip), (x + half_width, base)], fill=color)


def draw_column(
    canvas: Canvas, x: float, *, bottom: tuple[float, float], top: tuple[float, float], color: Color
) -> None:
    """Draw an upright shape around `x` that narrows towards its top; each end is (half its width, its height)."""
    (wide, foot), (narrow, head) = bottom, top
    canvas.draw.polygon([(x - wide, foot), (x - narrow, head), (x + narrow, head), (x + wide, foot)], fill=color)


def draw_ridge(canvas: Canvas, base: float, swing: float, color: Color, *, roughness: float = 0.0) -> None:
    """Draw a wavy line across the picture, filled down to its bottom.

    Args:
        canvas: where to draw.
        base: the height around which the line swings, in pixels from the top.
        swing: how far it swings, in pixels.
        color: of the filled ground.
        roughness: by how many pixels single points are off the wave.
    """
    rng = canvas.rng
    waves = [(rng.uniform(0.6, 3.2), rng.uniform(0, math.tau), rng.uniform(0.3, 1)) for _ in range(4)]
    points: list[tuple[float, float]] = []
    for x in range(0, canvas.width + 4, 4):
        turn = x / canvas.width * math.tau
        lift = sum(math.sin(turn * frequency + phase) * weight for frequency, phase, weight in waves)
        points.append((x, base - swing * lift / 2 + rng.uniform(-roughness, roughness)))
    canvas.draw.polygon([*points, (canvas.width, canvas.height), (0, canvas.height)], fill=color)


def draw_layers(canvas: Canvas, count: int, swing: float, *, roughness: float = 0.0) -> None:
    """Draw ridges one before the other, from the horizon forward; `swing` is a share of the picture's height."""
    light = canvas.light
    for layer in range(count):
        share = layer / max(1, count - 1)
        base = canvas.horizon + (canvas.height - canvas.horizon) * share * 0.62
        # Distance takes on the color of the sky.
        color = mix(mix(light.horizon, light.far, 0.55 + 0.45 * share), light.near, share)
        draw_ridge(canvas, base, swing * canvas.height * (1 - 0.4 * share), color, roughness=roughness)


def add_vignette_and_grain(canvas: Canvas) -> Image.Image:
    """Return the picture with darkened corners and the grain of film."""
    size = (canvas.width, canvas.height)
    shade = Image.radial_gradient("L").resize(size).point(lambda value: 255 - value * value // 620)
    shaded = ImageChops.multiply(canvas.image, shade.convert("RGB"))
    # Grain of half the size is coarser to the eye, and a quarter of the work.
    width, height = canvas.width // 2, canvas.height // 2
    noise = Image.frombytes("L", (width, height), canvas.rng.randbytes(width * height)).point(lambda value: value >> 4)
    return ImageChops.add(shaded, noise.resize(size).convert("RGB"), scale=1, offset=-3)
