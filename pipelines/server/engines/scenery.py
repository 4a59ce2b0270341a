"""The scenery of a sketch: the lamp in its sky, and its place."""

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from pipelines.server.engines.canvas import Canvas, draw_disc, draw_layers, draw_ridge, draw_triangle
from pipelines.server.engines.palette import Color, mix
from pipelines.server.engines.scene import Place, Weather

_BLOOMS = ((224, 92, 98), (244, 196, 82), (236, 226, 236), (170, 110, 190), (240, 150, 120))


def draw_lamp(canvas: Canvas) -> None:
    """Draw the sun or the moon with its glow, and stars where there are any."""
    rng, light = canvas.rng, canvas.light
    if light.stars:
        for _ in range(140):
            x, y = rng.randrange(canvas.width), rng.randrange(canvas.horizon)
            canvas.draw.point((x, y), mix(light.top, light.lamp, rng.uniform(0.3, 1)))
    x = int(canvas.width * rng.uniform(0.18, 0.82))
    y = int(canvas.horizon * (1 - light.lamp_height) + canvas.height * 0.02)
    radius = int(canvas.height * rng.uniform(0.045, 0.075))
    # A blur is as soft at a quarter of the size, in a sixteenth of the time.
    glow = Image.new("L", (canvas.width // 4, canvas.height // 4))
    reach = radius * 3 // 4
    ImageDraw.Draw(glow).ellipse((x // 4 - reach, y // 4 - reach, x // 4 + reach, y // 4 + reach), fill=150)
    glow = glow.filter(ImageFilter.GaussianBlur(radius / 4)).resize((canvas.width, canvas.height))
    canvas.image.paste(light.lamp, (0, 0), glow)
    # Storm clouds let its glow through, not its disc.
    if canvas.scene.weather is not Weather.STORM:
        draw_disc(canvas, x, y, radius, light.lamp)


def draw_place(canvas: Canvas) -> None:
    """Draw the ground of the scene's place, and what grows or is built on it."""
    _PLACES[canvas.scene.place](canvas)


def _draw_hills(canvas: Canvas) -> None:
    draw_layers(canvas, 4, 0.06)


def _draw_desert(canvas: Canvas) -> None:
    draw_layers(canvas, 3, 0.05)
    sand = mix(canvas.light.horizon, (214, 164, 100), 0.6)
    draw_ridge(canvas, canvas.height * 0.8, canvas.height * 0.07, sand)
    draw_ridge(canvas, canvas.height * 0.88, canvas.height * 0.05, mix(sand, canvas.light.near, 0.45))


def _draw_mountains(canvas: Canvas) -> None:
    rng, light = canvas.rng, canvas.light
    for layer, share in enumerate((0.15, 0.5, 0.9)):
        color = mix(mix(light.horizon, light.far, 0.7), light.near, share)
        for _ in range(7 - layer):
            x, half_width = rng.uniform(0, canvas.width), canvas.width * rng.uniform(0.14, 0.3)
            peak = canvas.horizon - canvas.height * rng.uniform(0.05, 0.34) * (1 - share * 0.7)
            foot = canvas.horizon + canvas.height * 0.12 * (layer + 1)
            draw_triangle(canvas, x, half_width=half_width, base=foot, tip=peak, color=color)
            snow = half_width * 0.16
            drop = (foot - peak) * 0.16
            cap = [(x - snow, peak + drop), (x, peak), (x + snow, peak + drop), (x, peak + drop * 0.7)]
            canvas.draw.polygon(cap, fill=mix(color, (255, 255, 255), 0.6))
    draw_ridge(canvas, canvas.height * 0.82, canvas.height * 0.04, light.near)


def _draw_sea(canvas: Canvas) -> None:
    rng, light, horizon = canvas.rng, canvas.light, canvas.horizon
    stormy = canvas.scene.weather is Weather.STORM
    ramp = Image.linear_gradient("L").resize((canvas.width, canvas.height - horizon))
    water = ImageOps.colorize(ramp, mix(light.horizon, light.far, 0.5), mix(light.near, (16, 40, 62), 0.4))
    canvas.image.paste(water, (0, horizon))
    swell = 3 if stormy else 1
    for _ in range(260):
        # Crowded towards the horizon, as waves look from the shore.
        depth = rng.random() ** 1.6
        y = horizon + depth * (canvas.height - horizon)
        x, length = rng.uniform(0, canvas.width), canvas.width * (0.012 + 0.05 * depth)
        bend = swell * 4 * depth
        color = mix(light.far, light.lamp, rng.uniform(0.2, 0.75))
        canvas.draw.arc((x, y - bend, x + length, y + bend + 1), 190, 350, fill=color, width=1)
    if not stormy:
        draw_ridge(canvas, horizon, canvas.height * 0.012, mix(light.horizon, light.far, 0.9))
        canvas.image.paste(water, (0, horizon + int(canvas.height * 0.02)))


def _draw_city(canvas: Canvas) -> None:
    rng, light = canvas.rng, canvas.light
    for share in (0.25, 0.6, 1.0):
        color, x = mix(mix(light.horizon, light.far, 0.8), light.near, share), -8.0
        while x < canvas.width:
            width = canvas.width * rng.uniform(0.035, 0.09)
            roof = canvas.height * (0.66 + 0.1 * share) - canvas.height * rng.uniform(0.05, 0.36) * (1.1 - share * 0.4)
            canvas.draw.rectangle((x, roof, x + width, canvas.height), fill=color)
            _draw_windows(canvas, left=int(x) + 4, right=int(x + width) - 5, top=int(roof) + 6, lit_share=0.22 * share)
            x += width + rng.uniform(0, 6)


def _draw_windows(canvas: Canvas, *, left: int, right: int, top: int, lit_share: float) -> None:
    """Draw the lit ones among a house's windows; each is 2 by 4 pixels."""
    color = mix(canvas.light.lamp, (255, 214, 120), 0.7)
    for x in range(left, right, 7):
        for y in range(top, canvas.height, 11):
            if canvas.rng.random() < lit_share:
                canvas.draw.rectangle((x, y, x + 2, y + 4), fill=color)


def _draw_forest(canvas: Canvas) -> None:
    rng, light = canvas.rng, canvas.light
    draw_layers(canvas, 2, 0.04)
    for share in (0.3, 0.6, 1.0):
        color = mix(mix(light.far, (38, 84, 60), 0.4), light.near, share)
        foot = canvas.horizon + (canvas.height - canvas.horizon) * (0.25 + 0.6 * share)
        for _ in range(16):
            x = rng.uniform(0, canvas.width)
            _draw_pine(canvas, x, foot, canvas.height * rng.uniform(0.2, 0.38) * (0.6 + 0.6 * share), color)
        draw_ridge(canvas, foot, canvas.height * 0.02, color)


def _draw_pine(canvas: Canvas, x: float, foot: float, height: float, color: Color) -> None:
    for tier in range(4):
        half_width, tip = height * (0.1 + 0.06 * tier), foot - height + height * 0.2 * tier
        draw_triangle(canvas, x, half_width=half_width, base=tip + height * 0.34, tip=tip, color=color)
    canvas.draw.rectangle((x - 1, foot - height * 0.2, x + 1, foot + 6), fill=color)


def _draw_garden(canvas: Canvas) -> None:
    rng, light = canvas.rng, canvas.light
    draw_layers(canvas, 3, 0.035)
    lawn = mix(light.near, (86, 132, 70), 0.55)
    draw_ridge(canvas, canvas.height * 0.72, canvas.height * 0.02, lawn, roughness=2)
    for _ in range(150):
        depth = rng.random()
        x, y = rng.uniform(0, canvas.width), canvas.height * (0.74 + 0.26 * depth)
        bloom_y = y - 5 - 9 * depth
        canvas.draw.line((x, y, x + rng.uniform(-2, 2), bloom_y), fill=mix(lawn, (30, 60, 30), 0.5))
        draw_disc(canvas, x, bloom_y, 1.5 + 3 * depth, mix(light.horizon, rng.choice(_BLOOMS), 0.75))


_PLACES: dict[Place, Callable[[Canvas], None]] = {
    Place.SEA: _draw_sea,
    Place.CITY: _draw_city,
    Place.FOREST: _draw_forest,
    Place.DESERT: _draw_desert,
    Place.GARDEN: _draw_garden,
    Place.MOUNTAINS: _draw_mountains,
    Place.HILLS: _draw_hills,
}
