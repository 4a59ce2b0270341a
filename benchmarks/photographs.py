"""Pictures that ask of an encoder what photographs ask: detail of every size, soft edges, shadows, a sky with grain.

They are drawn with numbers of chance that are the same each time, so that every run weighs the same film.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from pipelines.common.geometry import AspectRatio

# Red, green and blue of each pixel, from 0 to 255, not yet rounded.
_Colours = npt.NDArray[np.float64]

_WIDTH, _HEIGHT = AspectRatio.LANDSCAPE.size.width, AspectRatio.LANDSCAPE.size.height
# Shapes are drawn as much larger, and then reduced: their edges are soft.
_OVERSAMPLING = 2
_GREEN = ((30, 60, 25), (60, 100, 40), (90, 130, 55), (120, 150, 70), (45, 80, 50))
_STONE = ((90, 80, 75), (140, 125, 110), (180, 170, 150), (60, 60, 70), (110, 90, 70), (200, 160, 110))


def write_photographs(folder: Path) -> list[Path]:
    """Write the pictures as PNG files of the films' size, in the order of `PHOTOGRAPHS`; return the files."""
    paths = []
    for number, (name, draw) in enumerate(PHOTOGRAPHS.items()):
        paths.append(folder / f"{number}-{name}.png")
        _image(draw(np.random.default_rng(number + 1))).save(paths[-1], compress_level=1)
    return paths


def _pebbles(rng: np.random.Generator) -> _Colours:
    return _leaves(rng, 14_000, (3, 160), _STONE, grain=2)


def _foliage(rng: np.random.Generator) -> _Colours:
    return _leaves(rng, 60_000, (2, 12), _GREEN, grain=2)


def _sky(rng: np.random.Generator) -> _Colours:
    """Return a sky as it is drawn, with the least grain that keeps it from banding, over a hill."""
    down, across = (place / place.max() for place in _places())
    sky = np.stack([60 + 120 * down + 18 * across, 110 + 90 * down + 10 * across, 190 + 40 * down + 0 * across], -1)
    sky += rng.normal(0, 0.7, (_HEIGHT, _WIDTH, 1)) + rng.normal(0, 0.3, (_HEIGHT, _WIDTH, 3))
    ridge = 0.72 * _HEIGHT + 40 * np.sin(np.linspace(0, 7, _WIDTH)) + 25 * _clouds(rng, 1)[0]
    hill = _places()[0] > ridge[None]
    sky[hill] = _leaves(rng, 26_000, (2, 14), _GREEN, grain=2)[hill]
    return sky


def _night(rng: np.random.Generator) -> _Colours:
    down, across = _places()
    lamp = np.exp(-((across - 0.6 * _WIDTH) ** 2 + (down - 0.45 * _HEIGHT) ** 2) / (2 * 260**2))[..., None]
    return _leaves(rng, 9_000, (3, 120), _STONE) * (0.05 + 0.5 * lamp) * (1.1, 0.9, 0.7) + 6


def _portrait(rng: np.random.Generator) -> _Colours:
    """Return a smooth oval of skin before a background that is out of focus."""
    background = _leaves(rng, 900, (20, 200), _STONE)
    blurred = np.asarray(_image(background).filter(ImageFilter.GaussianBlur(9)), float)
    down, across = _places()
    outwards = (((across - _WIDTH / 2) / 230) ** 2 + ((down - _HEIGHT / 2) / 300) ** 2)[..., None]
    pores = 1 + 0.05 * _clouds(rng, _HEIGHT, power=0.8)[..., None]
    skin = (1.1 - 0.35 * np.clip(outwards, 0, 1.2)) * pores * (214, 170, 140)
    inside = np.clip((1.02 - outwards) * 30, 0, 1)
    return blurred * (1 - inside) + skin * inside + rng.normal(0, 1.2, (_HEIGHT, _WIDTH, 1))


def _city(rng: np.random.Generator) -> _Colours:
    """Return houses with rows of windows, one before another."""
    width, height = _OVERSAMPLING * _WIDTH, _OVERSAMPLING * _HEIGHT
    image = Image.new("RGB", (width, height), (150, 170, 190))
    drawing = ImageDraw.Draw(image)
    for _ in range(60):
        left, wide, top = (int(rng.integers(*bounds)) for bounds in ((-100, width), (120, 420), (200, 1200)))
        wall = int(rng.integers(50, 170))
        drawing.rectangle((left, top, left + wide, height), fill=(wall, wall - 5, wall - 10 + int(rng.integers(20))))
        for above in range(top + 12, height, 34):
            for beside in range(left + 10, left + wide - 14, 28):
                light = int(rng.integers(0, 90))
                colour = (wall - 40 + light, wall - 38 + light, wall - 20 + light // 2)
                drawing.rectangle((beside, above, beside + 14, above + 20), fill=colour)
    return _weathered(rng, _reduced(image), amount=0.06, power=0.9, grain=1.5)


# By name, each drawn with its own numbers of chance.
PHOTOGRAPHS: dict[str, Callable[[np.random.Generator], _Colours]] = {
    "pebbles": _pebbles,
    "foliage": _foliage,
    "sky": _sky,
    "night": _night,
    "portrait": _portrait,
    "city": _city,
}


def _leaves(
    rng: np.random.Generator,
    count: int,
    radii: tuple[float, float],
    palette: tuple[tuple[int, int, int], ...],
    *,
    grain: float = 0,
) -> _Colours:
    """Return ovals dropped one on another: "dead leaves", whose edges and sizes are spread as those of photographs.

    Their number falls with the third power of their radius (Lee, Mumford, Huang: Occlusion models for natural images,
    2001): so there is as much detail at every scale.
    """
    image = Image.new("RGB", (_OVERSAMPLING * _WIDTH, _OVERSAMPLING * _HEIGHT), palette[0])
    drawing = ImageDraw.Draw(image)
    chance = rng.random(count)
    smallest, largest = radii
    lengths = _OVERSAMPLING / np.sqrt((1 - chance) / smallest**2 + chance / largest**2)
    around = np.linspace(0, 2 * np.pi, 14)
    for length in lengths:
        x, y = rng.random(2) * image.size
        along, across = length * np.cos(around), length * rng.uniform(0.3, 1) * np.sin(around)
        turned = rng.random() * np.pi
        xs = x + along * np.cos(turned) - across * np.sin(turned)
        ys = y + along * np.sin(turned) + across * np.cos(turned)
        colour = np.clip(palette[rng.integers(len(palette))] + rng.normal(0, 14, 3) + rng.normal(0, 14), 0, 255)
        red, green, blue = (int(value) for value in colour)
        drawing.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=(red, green, blue))
    return _weathered(rng, _reduced(image), amount=0.18, power=1, grain=grain)


def _weathered(rng: np.random.Generator, colours: _Colours, *, amount: float, power: float, grain: float) -> _Colours:
    """Return a picture with patches of light and shadow, and with grain."""
    light = 1 + amount * _clouds(rng, _HEIGHT, power=power)[..., None]
    return colours * light + rng.normal(0, grain, (_HEIGHT, _WIDTH, 1))


def _places() -> tuple[_Colours, _Colours]:
    """Return how far down and how far across each pixel is, in pixels, as a column and a row."""
    return np.arange(_HEIGHT, dtype=float)[:, None], np.arange(_WIDTH, dtype=float)[None]


def _clouds(rng: np.random.Generator, height: int, *, power: float = 1) -> _Colours:
    """Return noise in which each frequency is as strong as 1/frequency^power, of deviation 1, in rows of the width."""
    frequency = np.hypot(np.fft.rfftfreq(_WIDTH)[None], np.fft.fftfreq(height)[:, None])
    frequency[0, 0] = 1
    spectrum = (rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)) / frequency**power
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (height, _WIDTH))
    clouds: _Colours = noise / noise.std()
    return clouds


def _reduced(image: Image.Image) -> _Colours:
    return np.asarray(image.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS), float)


def _image(colours: _Colours) -> Image.Image:
    return Image.fromarray(np.clip(colours + 0.5, 0, 255).astype(np.uint8))
