"""Parsers of single values: each returns a plain YAML value as Python's type for it, or says what it must be.

They raise ValueError with a message for the user; pydantic adds the place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, Literal

from pipelines.common.geometry import Size
from pipelines.common.languages import iso_639_2, tag_of_name
from pipelines.common.printable import printable_name
from pipelines.common.suggestions import plain_amount
from pipelines.common.visible_text import shows_nothing
from pipelines.storyboard.format.words import meant_color, meant_fps, meant_size, meant_time, meant_word, suggest_word

_MAX_DURATION_S = 86_400
# The hold of a frame that is on screen for as long as its narration takes.
AUTO: Final = "auto"
MAX_PROMPT_CHARS = 2048
MAX_CAPTION_CHARS = 10_000
# Half an hour of speech: a chapter of a book, over one shot.
MAX_NARRATION_CHARS = 50_000
MAX_ID_CHARS = 100
_MAX_DESCRIBED_CHARS = 60
_MAX_SIDE_PX = 7680
ID_PATTERN = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_DURATION_PATTERN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|f)?")
FPS_PATTERN = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}|/[1-9][0-9]{0,5})?")
_NUMBER_PATTERN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
BITRATE_PATTERN = re.compile(r"([1-9][0-9]{0,5}(?:\.[0-9]{1,3})?)([kM])")
DECIBELS_PATTERN = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?dB", re.IGNORECASE)
LOUDNESS_PATTERN = re.compile(r"(-[0-9]{1,3}(?:\.[0-9]{1,3})?) ?LUFS", re.IGNORECASE)
MAX_DUCK_DB = 60
# Bits a second.
MIN_BITRATE, MAX_BITRATE = 64_000, 200_000_000
# What broadcasters and streaming services ask for lies between -14 and -31.
MIN_LUFS, MAX_LUFS = -40, -5
_NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The parts of a BCP 47 tag that matter here: language, script, region, variants.
LANGUAGE_PATTERN = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_COLOR_PATTERN = re.compile(r"#[0-9A-Fa-f]{6}")
# The rates that broadcast calls by a rounded name (SMPTE ST 2046, 30000/1001 and its kin).
_BROADCAST_FPS = {
    Decimal(name): Fraction(whole * 1000, 1001)
    for name, whole in (
        ("23.976", 24), ("23.98", 24), ("29.97", 30), ("47.952", 48), ("59.94", 60), ("119.88", 120),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Duration:
    """A time as it is written: an exact number of seconds, or of video frames.

    Attributes:
        amount: the number.
        in_video_frames: it counts video frames (`96f`), not seconds; what they last depends on the film's rate.
    """

    amount: Fraction
    in_video_frames: bool = False

    def seconds(self, fps: Fraction) -> Fraction:
        """Return the exact time in seconds at `fps` video frames a second."""
        return self.amount / fps if self.in_video_frames else self.amount


class UnknownWordError(ValueError):
    """A value is none of the known words.

    Attributes:
        suggestion: the known word that is closest to it; None where none is close.
    """

    def __init__(self, value: object, known: Sequence[str]) -> None:
        suggestion = suggest_word(value, known)
        super().__init__(f"unknown value {describe(value)}{suggestion.sentence}")
        self.suggestion = suggestion.closest


def describe(value: object) -> str:
    """Return a value as error messages show it: short, and in YAML's words."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_DESCRIBED_CHARS else f"{text[: _MAX_DESCRIBED_CHARS - 3]}..."


def _number_cure(value: object) -> str:
    return "; write it without quotes" if isinstance(value, str) and _NUMBER_PATTERN.fullmatch(value.strip()) else ""


def _did_you_mean(value: str | None) -> str:
    return "" if value is None else f"; did you mean {value!r}?"


def whole_number(least: int, most: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from `least` to `most`."""

    def parse(value: object) -> int:
        # Here and below: to Python, true is an int.
        if isinstance(value, bool) or not isinstance(value, int):
            cure = _number_cure(value)
            raise ValueError(f"must be a whole number from {least} to {most}, got {describe(value)}{cure}")
        if not least <= value <= most:
            raise ValueError(f"must be between {least} and {most}, got {value}")
        return value

    return parse


def number(least: int | Decimal, most: int, *, above: bool = False) -> Callable[[object], Decimal]:
    """Return a parser of exact numbers from `least` to `most`; with `above`, `least` itself is none of them."""
    allowed = f"above {least} and up to {most}" if above else f"from {least} to {most}"

    def parse(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ValueError(f"must be a number {allowed}, got {describe(value)}{_number_cure(value)}")
        if not least <= value <= most or (above and value == least):
            raise ValueError(f"must be {allowed}, got {value}")
        return Decimal(value)

    return parse


def choice(kind: type[StrEnum], *, besides: tuple[StrEnum, ...] = ()) -> Callable[[object], StrEnum]:
    """Return a parser of the words of `kind` without those in `besides`; its errors list them all."""
    choices = [member for member in kind if member not in besides]

    def parse(value: object) -> StrEnum:
        for member in choices:
            if value == member.value:
                return member
        names = [member.value for member in choices]
        meant = _did_you_mean(meant_word(value, names))
        raise ValueError(f"must be one of {', '.join(names)}, got {describe(value)}{meant}")

    return parse


def known_word(known: Sequence[str]) -> Callable[[object], str]:
    """Return a parser of the `known` words; its errors suggest the closest, and are `UnknownWordError`s."""
    # Members of an enumeration among them are shown as others are.
    words = [str(word) for word in known]

    def parse(value: object) -> str:
        if value not in words:
            raise UnknownWordError(value, words)
        return str(value)

    return parse


def short_form(key: str) -> Callable[[object], object]:
    """Return a parser of a mapping that takes a plain value, too, for that of its main key."""

    def parse(value: object) -> object:
        # Lists and nothing are neither: the mapping's own message says so.
        return {key: value} if isinstance(value, str | int | Decimal) else value

    return parse


def parse_text(value: object) -> str:
    """Read text of which something can be seen."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, got {describe(value)}{_text_cure(value)}")
    _require_whole_characters(value)
    if not value.strip():
        raise ValueError("must not be empty")
    if shows_nothing(value):
        raise ValueError("must not be empty: all of its characters are invisible; write what it is to say")
    return value


def _text_cure(value: object) -> str:
    """Return the end of the message about a value in place of a text: quotes, most often."""
    match value:
        case int() | Decimal():
            return f'; put it in quotes: "{describe(value)}"'
        case {"prompt": _}:
            return "; write the text alone, or shots with their keys under `scenes`"
        case dict() if len(value) == 1:
            reason = "YAML takes it for a key" if None in value.values() else "it holds a colon and a space"
            return f"; put the text in quotes: {reason}"
        case list():
            return "; put a text that begins with [ or - in quotes"
        case None:
            return "; write it, in quotes where it begins with #"
        case _:
            return ""


def _require_whole_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character; remove it") from None


def parse_title(value: object) -> str:
    """Read text that is shown on one line, and stands in files that others open."""
    return printable_name(" ".join(parse_text(value).strip().splitlines()))


def parse_caption(value: object) -> str:
    """Read text of at most `MAX_CAPTION_CHARS` characters."""
    text = parse_text(value)
    if len(text) > MAX_CAPTION_CHARS:
        raise ValueError(f"must be at most {MAX_CAPTION_CHARS:,} characters, got {len(text):,}")
    return text


def parse_narration(value: object) -> str:
    """Read text of at most `MAX_NARRATION_CHARS` characters."""
    text = parse_text(value)
    if len(text) > MAX_NARRATION_CHARS:
        raise ValueError(f"must be at most {MAX_NARRATION_CHARS:,} characters, got {len(text):,}; split it over shots")
    return text


def parse_scalar_text(value: object) -> str:
    """Read text, a number or true and false as the text that templates see."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | Decimal):
        raise ValueError(f"must be text or a number, got {describe(value)}{_text_cure(value)}")
    text = str(value)
    _require_whole_characters(text)
    if len(text) > MAX_PROMPT_CHARS:
        raise ValueError(f"must be at most {MAX_PROMPT_CHARS:,} characters, as prompts are, got {len(text):,}")
    return text


def is_id(text: str) -> bool:
    """Return whether `text` may be an id: lower-case words joined by - or _."""
    return ID_PATTERN.fullmatch(text) is not None and len(text) <= MAX_ID_CHARS


def parse_id(value: object) -> str:
    """Read an id; a whole number is one too, without quotes."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not is_id(value):
        raise ValueError(f"must be lower-case words joined by - or _, like old-harbor, got {describe(value)}")
    return value


def parse_name(value: object) -> str:
    """Read a name that templates can use."""
    if not isinstance(value, str) or not _NAME_PATTERN.fullmatch(value):
        raise ValueError(f"must be a name of letters, digits and _, not starting with a digit, got {describe(value)}")
    return value


def parse_duration(value: object) -> Duration:
    """Read a time above 0: `4`, `4s`, `0.5s`, `500ms` or `96f`."""
    duration = parse_time(value)
    if not duration.amount:
        raise ValueError(f"must be a time like 4, 4s, 500ms or 96f (video frames), got {describe(value)}")
    return duration


def parse_hold(value: object) -> Duration | Literal["auto"]:
    """Read a time above 0, or `auto`."""
    return AUTO if isinstance(value, str) and value.strip().lower() == AUTO else parse_duration(value)


def parse_time(value: object) -> Duration:
    """Read a time: `0`, `4s`, `500ms` or `96f`; without a unit it is in seconds."""
    text = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = _DURATION_PATTERN.fullmatch(text.strip())
    if match is None:
        meant = _did_you_mean(meant_time(text))
        raise ValueError(f"must be a time like 4, 4s, 500ms or 96f (video frames), got {describe(value)}{meant}")
    amount, unit = Fraction(match[1]), match[2] or "s"
    if unit == "f":
        if amount.denominator != 1:
            raise ValueError(f"must be a whole number of video frames, got {describe(value)}")
        return Duration(amount, in_video_frames=True)
    seconds = amount / 1000 if unit == "ms" else amount
    if seconds > _MAX_DURATION_S:
        raise ValueError(f"must be at most {_MAX_DURATION_S} s, got {describe(value)}")
    return Duration(seconds)


def parse_film_time(value: object) -> Duration | str:
    """Read a time in the film: a scene's id, `scene/shot`, or a time from its beginning.

    A text is left as it is: what it names is known only with all scenes.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return parse_time(value)
    raise ValueError(f"must be a scene's id, scene/shot, or a time like 4s, got {describe(value)}")


def parse_decibels(value: object) -> Decimal:
    """Read decibels from 0 to 60: `12dB`, `12 dB` or `12`."""
    match = DECIBELS_PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    amount = Decimal(match[1]) if match else value
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal) or not 0 <= amount <= MAX_DUCK_DB:
        meant = str(value).strip().removeprefix("-")
        cure = _did_you_mean(meant) if meant != str(value).strip() and DECIBELS_PATTERN.fullmatch(meant) else ""
        raise ValueError(f"must be decibels from 0 to {MAX_DUCK_DB}, like 12dB, got {describe(value)}{cure}")
    return Decimal(amount)


def parse_loudness(value: object) -> bool | Decimal:
    """Read true or false, or a loudness in LUFS: `-16`, `-16 LUFS`."""
    if isinstance(value, bool):
        return value
    match = LOUDNESS_PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    amount = Decimal(match[1]) if match else value
    if not isinstance(amount, int | Decimal) or not MIN_LUFS <= amount <= MAX_LUFS:
        lost_sign = isinstance(amount, int | Decimal) and MIN_LUFS <= -amount <= MAX_LUFS
        cure = f"; did you mean -{amount}?" if lost_sign else ""
        allowed = f"true, false, or a loudness from {MIN_LUFS} to {MAX_LUFS} LUFS, like -16"
        raise ValueError(f"must be {allowed}, got {describe(value)}{cure}")
    return Decimal(amount)


def parse_fps(value: object) -> Fraction:
    """Read an exact frame rate, in video frames a second: `24`, `23.976` or `30000/1001`."""
    message = f"must be a rate from 1 to 240 like 24, 23.976 or 30000/1001, got {describe(value)}"
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not FPS_PATTERN.fullmatch(text):
        raise ValueError(f"{message}{_did_you_mean(meant_fps(text))}")
    fps = Fraction(text) if "/" in text else _BROADCAST_FPS.get(Decimal(text), Fraction(text))
    if not 1 <= fps <= 240:
        raise ValueError(message)
    return fps


def parse_size(value: object) -> Size:
    """Read a film's size in pixels: `1344x768`, even in both directions."""
    text = value if isinstance(value, str) else describe(value)
    try:
        size = Size.parse(text)
    except ValueError as exc:
        raise ValueError(f"{exc}{_did_you_mean(meant_size(text))}") from exc
    if not (2 <= size.width <= _MAX_SIDE_PX and 2 <= size.height <= _MAX_SIDE_PX):
        raise ValueError(f"must be from 2x2 to {_MAX_SIDE_PX}x{_MAX_SIDE_PX} pixels, got {size}")
    # Most encoders take the colors of four pixels together (yuv420p).
    if size.width % 2 or size.height % 2:
        even = Size(size.width + size.width % 2, size.height + size.height % 2)
        raise ValueError(f"must be even in both directions, got {size}; try {even}")
    return size


def parse_color(value: object) -> str:
    """Read `#rrggbb`, and return it in lower case."""
    if not isinstance(value, str) or not _COLOR_PATTERN.fullmatch(value):
        meant = meant_color(str(value))
        cure = f'; did you mean "{meant}"?' if meant else ""
        raise ValueError(f'must be a color like "#ffcc00", in quotes, got {describe(value)}{cure}')
    return value.lower()


def parse_language(value: object) -> str:
    """Read a language as a BCP 47 tag: `en`, `pt-BR`, `zh-Hant`."""
    if isinstance(value, str) and LANGUAGE_PATTERN.fullmatch(value) and iso_639_2(value):
        return value
    known = tag_of_name(value) if isinstance(value, str) else None
    cure = f"; did you mean {known!r}?" if known else ""
    raise ValueError(f"must be the tag of a language, like en, pt-BR or zh-Hant, got {describe(value)}{cure}")


def parse_crf(value: object) -> int:
    """Read a constant rate factor from 0; its upper bound depends on the codec."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a whole number like 18, got {describe(value)}{_number_cure(value)}")
    return value


def parse_bitrate(value: object) -> int:
    """Read bits a second from 64k to 200M: `25M`, `8000k`, `2.5M`."""
    text = str(value).strip()
    bits = _bits(text)
    if isinstance(value, str) and bits is not None:
        return bits
    # As other programs write them: 25000000, 25 Mbps.
    other = re.fullmatch(r"([0-9.]+) ?([kKmM])(?:bps|bit/s|b/s)?", text)
    meant = f"{other[1]}{'k' if other[2] in 'kK' else 'M'}" if other else f"{text.removesuffix('000')}k"
    cure = _did_you_mean(meant) if meant != text and _bits(meant) is not None else ""
    raise ValueError(f"must be bits a second from 64k to 200M, like 25M, got {describe(value)}{cure}")


def _bits(text: str) -> int | None:
    """Return how many bits a text stands for; None where it is no bitrate, or out of bounds."""
    match = BITRATE_PATTERN.fullmatch(text)
    bits = int(Decimal(match[1]) * (1_000_000 if match[2] == "M" else 1000)) if match else 0
    return bits if MIN_BITRATE <= bits <= MAX_BITRATE else None


def parse_usd(value: object) -> Decimal:
    """Read an exact amount in US dollars, below a million."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < 1_000_000:
        cure = f"; write {amount}" if (amount := plain_amount(str(value))) else _number_cure(value)
        raise ValueError(f"must be an amount in US dollars like 0.25, got {describe(value)}{cure}")
    return Decimal(value)


def parse_version(value: object) -> object:
    """Read the format's version, which is 1."""
    # Python takes true and 1.0 for 1.
    if value != 1 or not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be 1, got {describe(value)}")
    return value


def parse_prompts_list(value: object) -> object:
    """Read a list that is not empty; a mapping, which would be keyframes, never gets here."""
    if not isinstance(value, list) or not value:
        raise ValueError(
            f"must be a list of prompts, or keyframes like {{0: calm sea, 4: a storm}}, got {describe(value)}"
        )
    return value
