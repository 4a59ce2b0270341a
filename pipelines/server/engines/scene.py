"""The scene that a prompt's words describe: its light, place, weather and subjects. Keywords, not a language model."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from pipelines.server.engines.palette import FURS, LIGHTS, NAMED_COLORS, Color, Light, mix

K = TypeVar("K")


class Place(StrEnum):
    """The setting of a scene."""

    HILLS = "hills"
    SEA = "sea"
    CITY = "city"
    FOREST = "forest"
    DESERT = "desert"
    GARDEN = "garden"
    MOUNTAINS = "mountains"


class Weather(StrEnum):
    """The weather of a scene."""

    CLEAR = "clear"
    RAIN = "rain"
    SNOW = "snow"
    MIST = "mist"
    STORM = "storm"


class Subject(StrEnum):
    """A thing that stands in the scene, in front of its place."""

    CAT = "cat"
    BOAT = "boat"
    LIGHTHOUSE = "lighthouse"
    BIRD = "bird"
    TREE = "tree"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a sketch shows.

    Attributes:
        light: of the time of day or the season.
        place: where it is.
        weather: what falls from the sky.
        subjects: in the order in which the prompt names them.
        fur: of a cat; None where the prompt does not name it.
    """

    light: Light
    place: Place
    weather: Weather
    subjects: tuple[Subject, ...]
    fur: Color | None = None


_LIGHT_WORDS = {
    "dawn": "dawn sunrise daybreak",
    "morning": "morning spring early",
    "noon": "noon day sunny summer bright",
    "golden": "golden amber afternoon",
    "dusk": "dusk sunset evening twilight",
    "night": "night midnight moon stars dark",
    "storm": "storm stormy thunder tempest breaks",
    "winter": "winter snow frost ice",
    "autumn": "autumn fall october",
}
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
_SUBJECT_WORDS = {
    Subject.CAT: "cat kitten cats",
    Subject.BOAT: "boat boats ship ships sail fishing",
    Subject.LIGHTHOUSE: "lighthouse",
    # A dragon in the distance is a bird.
    Subject.BIRD: "bird birds gull gulls crow dragon",
    Subject.TREE: "tree apple orchard oak",
    Subject.HOUSE: "house houses cottage hut",
}


def read_scene(prompt: str) -> Scene:
    """Return the scene of a prompt: noon over clear hills, unless its words say otherwise.

    The first light, place, weather and color that it names decide; of subjects, every one is drawn.
    """
    words = re.findall(r"\w+", prompt.lower())
    light = LIGHTS[next(_named(words, _LIGHT_WORDS), "noon")]
    color = next((NAMED_COLORS[word] for word in words if word in NAMED_COLORS), None)
    if color is not None:
        light = replace(light, horizon=mix(light.horizon, color, 0.4), far=mix(light.far, color, 0.3))
    return Scene(
        light=light,
        place=next(_named(words, _PLACE_WORDS), Place.HILLS),
        weather=next(_named(words, _WEATHER_WORDS), Weather.CLEAR),
        subjects=tuple(_named(words, _SUBJECT_WORDS)),
        fur=next((FURS[word] for word in words if word in FURS), None),
    )


def _named(words: list[str], keywords: Mapping[K, str]) -> Iterator[K]:
    """Yield each key of which a keyword is among `words`, once, in the order of the words."""
    found = (key for word in words for key, names in keywords.items() if word in names.split())
    return iter(dict.fromkeys(found))
