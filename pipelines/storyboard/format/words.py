"""Words and values that are none of the format's own, and what was meant by them."""

import functools
import re
from collections.abc import Collection, Iterable
from importlib.resources import files

from pipelines.common.suggestions import Suggestion, suggest
from pipelines.storyboard.format.yaml_tree import parse_yaml

_DURATION = re.compile(r"([0-9]{1,9}(?:[.,][0-9]{1,9})?) ?([A-Za-z]{1,20})\.?")
_FPS = re.compile(r"([0-9]{1,6}(?:[.,][0-9]{1,6})?) ?(?:fps|hz|p)", re.IGNORECASE)
_SIZE = re.compile("([1-9][0-9]{0,4}) ?[xX\u00d7*:,] ?([1-9][0-9]{0,4}) ?(?:px)?")
_SIZES = ("1280x720", "1920x1080", "3840x2160")
_UNITS = ("ms", "s", "f")


def suggest_word(word: object, known: Iterable[str]) -> Suggestion:
    """Return the one of the `known` words that was meant, by its spelling or by a common name of it, else them all."""
    words = list(known)
    meant = meant_word(word, words)
    if meant is not None:
        return Suggestion(meant, f"; did you mean {meant!r}?")
    # A name that has a meaning elsewhere is no misspelling of a word that is known here.
    return suggest("" if _name(word) in common_names() else word, words)


def meant_word(word: object, known: Collection[str]) -> str | None:
    """Return the one of the `known` words that a common name stands for; None where it stands for none.

    Of a key that is not here but in a mapping below, the path is returned: `output.size`.
    """
    name = _name(word)
    candidates = (name, *common_names().get(name, ()))
    return next((candidate for candidate in candidates if candidate.partition(".")[0] in known), None)


def meant_time(text: str) -> str | None:
    """Return the time that was meant: `4.5s` by `4,5 seconds`; None where none was."""
    match = _DURATION.fullmatch(text.strip())
    unit = meant_word(match[2], _UNITS) if match else None
    return f"{_with_point(match[1])}{unit}" if match and unit else None


def meant_fps(text: str) -> str | None:
    """Return the frame rate that was meant: `24` by `24 fps`; None where none was."""
    match = _FPS.fullmatch(text.strip())
    return _with_point(match[1]) if match else None


def meant_size(text: str) -> str | None:
    """Return the size that was meant: `1920x1080` by `1080p` and by `1920 * 1080`; None where none was."""
    match = _SIZE.fullmatch(text.strip())
    return f"{match[1]}x{match[2]}" if match else meant_word(text, _SIZES)


def meant_color(text: str) -> str | None:
    """Return the color that was meant: `#ffffff` by `white`, by `#fff` and by `FFFFFF`; None where none was."""
    # Here and not above: only a mistake needs it.
    from PIL import ImageColor

    # Digits without quotes are a number, which has lost its zeros.
    bare = re.fullmatch("[0-9A-Fa-f]{6}|[0-9]{1,6}", text)
    try:
        red, green, blue, *_ = ImageColor.getrgb(f"#{text.zfill(6)}" if bare else text.strip())
        return f"#{bytes((red, green, blue)).hex()}"
    except ValueError:
        return None


def _with_point(number: str) -> str:
    return number.replace(",", ".")


def _name(word: object) -> str:
    return re.sub(r"[\s-]+", "_", str(word).strip().casefold())


@functools.cache
def common_names() -> dict[str, list[str]]:
    """Return what each common name stands for, read once."""
    text = files("pipelines.storyboard.format").joinpath("common_names.yaml").read_text(encoding="utf-8")
    names: dict[str, list[str]] = parse_yaml(text).data
    return names
