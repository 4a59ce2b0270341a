"""What a prompt's words say of light and place. A sketch artist's shorthand, not a language model."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

Color = tuple[int, int, int]
K = TypeVar("K")


class Place(StrEnum):
    """Where the scene is."""

    HILLS = "hills"
    SEA = "sea"
    CITY = "city"
    FOREST = "forest"
    DESERT = "desert"
    GARDEN = "garden"
    MOUNTAINS = "mountains"


class Weather(StrEnum):
    """What falls from the sky or hangs in it."""

    CLEAR = "clear"
    RAIN = "rain"
    SNOW = "snow"
    MIST = "mist"
    STORM = "storm"


@dataclass(frozen=True, slots=True)
class Light:
    """The sky from its top to its horizon, the ground far and near, the sun or moon and how high it stands (0 to 1)."""

    top: Color
    horizon: Color
    far: Color
    near: Color
    lamp: Color
    height: float
    stars: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What to draw."""

    light: Light
    place: Place
    weather: Weather
    subjects: tuple[str, ...]


_DAY = Light((74, 137, 201), (205, 228, 238), (120, 158, 150), (44, 82, 66), (255, 250, 225), 0.72)
_LIGHTS = {
    "dawn": Light((66, 84, 140), (255, 196, 160), (126, 116, 150), (46, 44, 72), (255, 226, 180), 0.18),
    "morning": Light((106, 164, 214), (255, 230, 190), (140, 164, 140), (58, 84, 60), (255, 240, 200), 0.4),
    "noon": _DAY,
    "golden": Light((90, 110, 160), (255, 190, 92), (170, 120, 84), (74, 48, 40), (255, 222, 140), 0.24),
    "dusk": Light((44, 42, 92), (240, 120, 92), (96, 66, 102), (32, 24, 48), (255, 170, 120), 0.12),
    "night": Light((8, 12, 32), (34, 48, 92), (22, 30, 58), (8, 10, 22), (236, 240, 255), 0.7, stars=True),
    "storm": Light((38, 44, 56), (120, 128, 130), (62, 72, 78), (24, 30, 36), (190, 196, 200), 0.8),
    "winter": Light((130, 156, 186), (232, 236, 240), (178, 190, 204), (110, 124, 142), (255, 250, 240), 0.5),
    "autumn": Light((130, 150, 176), (246, 214, 170), (176, 116, 66), (96, 52, 34), (255, 236, 190), 0.45),
}
_LIGHT_WORDS = {
    "dawn": "dawn sunrise daybreak", "morning": "morning spring early", "noon": "noon day sunny summer bright",
    "golden": "golden amber afternoon", "dusk": "dusk sunset evening twilight",
    "night": "night midnight moon stars dark",
    "storm": "storm stormy thunder tempest breaks", "winter": "winter snow frost ice", "autumn": "autumn fall october",
}  # fmt: skip
_PLACE_WORDS = {
    Place.SEA: "sea harbor harbour ocean boat boats ship ships coast beach quay lighthouse waves lake river horizon",
    Place.CITY: "city town street skyline tower houses roofs neon market station metropolis",
    Place.FOREST: "forest wood woods trees pine pines jungle",
    Place.DESERT: "desert dune dunes sand canyon",
    Place.GARDEN: "garden flower flowers blossom meadow park orchard tree apple lawn",
    Place.MOUNTAINS: "mountain mountains peak peaks alps cliff glacier volcano dragon",
}
_WEATHER_WORDS = {
    Weather.STORM: "storm stormy thunder tempest lightning breaks",
    Weather.RAIN: "rain rainy drizzle wet puddles",
    Weather.SNOW: "snow snowy blizzard winter",
    Weather.MIST: "mist misty fog foggy haze smoke",
}
_SUBJECTS = {
    "cat": "cat kitten cats", "boat": "boat boats ship ships sail fishing", "lighthouse": "lighthouse",
    "bird": "bird birds gull gulls crow dragon", "tree": "tree apple orchard oak", "house": "house houses cottage hut",
}  # fmt: skip
_COLORS: dict[str, Color] = {
    "red": (200, 60, 50), "green": (80, 150, 80), "blue": (60, 100, 190), "gold": (230, 180, 70),
    "pink": (236, 150, 170),
    "purple": (130, 80, 160), "orange": (236, 140, 60), "white": (235, 235, 235), "black": (40, 40, 46),
}  # fmt: skip


def read_scene(prompt: str) -> Scene:
    """Say what to draw for a prompt."""
    words = re.findall(r"\w+", prompt.lower())
    light = _LIGHTS[next(_named(words, _LIGHT_WORDS), "noon")]
    color = next((_COLORS[word] for word in words if word in _COLORS), None)
    if color is not None:
        light = replace(light, horizon=mix(light.horizon, color, 0.4), far=mix(light.far, color, 0.3))
    return Scene(
        light=light,
        place=next(_named(words, _PLACE_WORDS), Place.HILLS),
        weather=next(_named(words, _WEATHER_WORDS), Weather.CLEAR),
        subjects=tuple(_named(words, _SUBJECTS)),
    )


def mix(first: Color, second: Color, share: float) -> Color:
    """Return the color that lies `share` of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _named(words: list[str], lists: Mapping[K, str]) -> Iterator[K]:
    """Yield the things of which the prompt speaks, in the order in which it does."""
    found = (thing for word in words for thing, names in lists.items() if word in names.split())
    return iter(dict.fromkeys(found))
