"""The subjects of a sketch: what stands, sits, sails or flies before its place."""

import math
from collections.abc import Callable

from pipelines.server.engines.canvas import Canvas, draw_column, draw_disc, draw_ridge, draw_triangle
from pipelines.server.engines.palette import FURS, Color, mix
from pipelines.server.engines.scene import Subject

_HULLS = ((60, 30, 30), (26, 40, 60), (70, 60, 50))


def draw_subjects(canvas: Canvas) -> None:
    """Draw every subject that the prompt names, in its order."""
    for subject in canvas.scene.subjects:
        _SUBJECTS[subject](canvas)


def _draw_tree(canvas: Canvas) -> None:
    rng, light = canvas.rng, canvas.light
    x = canvas.width * rng.uniform(0.2, 0.8)
    foot, height = canvas.height * 0.8, canvas.height * rng.uniform(0.34, 0.46)
    bark = mix(light.near, (40, 26, 20), 0.6)
    draw_column(canvas, x, bottom=(9, foot), top=(3, foot - height * 0.6), color=bark)
    for _ in range(46):
        # The square root spreads the leaves evenly over the crown; without it they crowd in its middle.
        turn, reach = rng.uniform(0, math.tau), height * 0.36 * rng.random() ** 0.5
        leaf_x, leaf_y = x + math.cos(turn) * reach, foot - height * 0.74 + math.sin(turn) * reach * 0.7
        radius = height * rng.uniform(0.04, 0.1)
        draw_disc(canvas, leaf_x, leaf_y, radius, mix(light.far, light.horizon, rng.uniform(0, 0.5)))


def _draw_cat(canvas: Canvas) -> None:
    """Draw a cat's outline: body, head, two ears, and a tail on either side."""
    rng = canvas.rng
    # Drawn by lot in any case, so that naming it moves nothing else in the picture.
    drawn = rng.choice(list(FURS.values()))
    fur = mix(canvas.light.near, canvas.scene.fur or drawn, 0.75)
    unit = canvas.height * rng.uniform(0.1, 0.14)
    x, foot = canvas.width * rng.uniform(0.3, 0.7), canvas.height * 0.74
    side = rng.choice((-1, 1))
    canvas.draw.ellipse((x - unit * 0.62, foot - unit * 1.3, x + unit * 0.62, foot), fill=fur)
    _draw_cat_head(canvas, x + side * unit * 0.2, foot - unit * 1.5, unit * 0.42, fur)
    tail = [
        (x - side * unit * (0.5 + 0.5 * step), foot - unit * (0.1 + 0.6 * math.sin(step * 2.4)))
        for step in (number / 12 for number in range(13))
    ]
    canvas.draw.line(tail, fill=fur, width=max(3, int(unit * 0.16)), joint="curve")


def _draw_cat_head(canvas: Canvas, x: float, y: float, radius: float, fur: Color) -> None:
    draw_disc(canvas, x, y, radius, fur)
    for side in (-1, 1):
        ear = [
            (x + side * radius * 0.8, y - radius * 1.5),
            (x + side * radius * 0.95, y - radius * 0.2),
            (x + side * radius * 0.15, y - radius * 0.8),
        ]
        canvas.draw.polygon(ear, fill=fur)
        draw_disc(canvas, x + side * radius * 0.38, y, 3, (232, 206, 92))


def _draw_boats(canvas: Canvas) -> None:
    rng, light = canvas.rng, canvas.light
    for _ in range(rng.randint(2, 4)):
        depth = rng.uniform(0.1, 0.5)
        x, y = canvas.width * rng.uniform(0.1, 0.9), canvas.horizon + depth * (canvas.height - canvas.horizon)
        length = canvas.width * (0.02 + 0.07 * depth)
        hull = mix(light.near, rng.choice(_HULLS), 0.6)
        keel = y + length * 0.32
        canvas.draw.polygon(
            [(x - length, y), (x + length, y), (x + length * 0.7, keel), (x - length * 0.7, keel)], fill=hull
        )
        canvas.draw.line((x, y, x, y - length * 1.5), fill=hull, width=2)
        sail = mix(light.horizon, (255, 250, 240), 0.5)
        canvas.draw.polygon([(x + 2, y - length * 1.45), (x + 2, y - 4), (x + length * 0.8, y - 4)], fill=sail)


def _draw_lighthouse(canvas: Canvas) -> None:
    x, foot = canvas.width * canvas.rng.uniform(0.15, 0.85), canvas.height * 0.7
    height, stone = canvas.height * 0.36, mix(canvas.light.horizon, (250, 246, 240), 0.6)
    top = foot - height
    draw_column(canvas, x, bottom=(15, foot), top=(8, top), color=stone)
    draw_column(canvas, x, bottom=(13, foot - height * 0.4), top=(11, foot - height * 0.6), color=(178, 62, 54))
    canvas.draw.rectangle((x - 9, top - 14, x + 9, top), fill=(255, 236, 160))
    draw_triangle(canvas, x, half_width=11, base=top - 14, tip=top - 26, color=(70, 40, 40))
    draw_ridge(canvas, foot, canvas.height * 0.015, canvas.light.near)


def _draw_birds(canvas: Canvas) -> None:
    rng = canvas.rng
    for _ in range(rng.randint(4, 9)):
        x, y = rng.uniform(0, canvas.width), rng.uniform(canvas.height * 0.1, canvas.horizon * 0.8)
        size = rng.uniform(5, 13)
        for left in (x - size * 2, x):
            canvas.draw.arc((left, y, left + size * 2, y + size), 200, 340, fill=canvas.light.near, width=2)


def _draw_house(canvas: Canvas) -> None:
    near = canvas.light.near
    x, foot, width = canvas.width * canvas.rng.uniform(0.15, 0.8), canvas.height * 0.74, canvas.width * 0.07
    eaves = foot - width * 0.8
    canvas.draw.rectangle((x, eaves, x + width, foot), fill=mix(near, (236, 220, 196), 0.45))
    roof = [(x - 6, eaves), (x + width / 2, foot - width * 1.4), (x + width + 6, eaves)]
    canvas.draw.polygon(roof, fill=mix(near, (120, 50, 40), 0.6))
    window = (x + width * 0.3, foot - width * 0.5, x + width * 0.5, foot - width * 0.25)
    canvas.draw.rectangle(window, fill=(255, 220, 130))


_SUBJECTS: dict[Subject, Callable[[Canvas], None]] = {
    Subject.CAT: _draw_cat,
    Subject.BOAT: _draw_boats,
    Subject.LIGHTHOUSE: _draw_lighthouse,
    Subject.BIRD: _draw_birds,
    Subject.TREE: _draw_tree,
    Subject.HOUSE: _draw_house,
}
