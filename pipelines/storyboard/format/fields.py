"""The values that a storyboard's keys take: how each is read, what is wrong with another, its JSON Schema."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from pipelines.common.geometry import AspectRatio, Fit, Size

MAX_DURATION_S = 86_400
MAX_PROMPT_CHARS = 2048
# The cutting room picks them with the keys 1 to 9.
MAX_TAKES = 9
MAX_CAPTION_CHARS = 10_000
MAX_MATRIX_KEYS = 100
_ID = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|f)?")
# The rates that broadcast calls by a rounded name (SMPTE ST 2046, 30000/1001 and its kin).
_BROADCAST_FPS = {
    Decimal(name): Fraction(whole * 1000, 1001)
    for name, whole in (
        ("23.976", 24), ("23.98", 24), ("29.97", 30), ("47.952", 48), ("59.94", 60), ("119.88", 120),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Duration:
    """Time on screen as written: an exact number of seconds or of video frames."""

    amount: Fraction
    in_video_frames: bool = False

    def seconds(self, fps: Fraction) -> Fraction:
        """Return the exact time in seconds at `fps` video frames a second."""
        return self.amount / fps if self.in_video_frames else self.amount


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return what reads a whole number in this range."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number from {least} to {most}, got {shown(value)}")
        if not least <= value <= most:
            raise ValueError(f"must be between {least} and {most}, got {value}")
        return value

    return parse


def choice(kind: type[StrEnum], *, besides: tuple[StrEnum, ...] = ()) -> Callable[[object], StrEnum]:
    """Return what reads one of the words of `kind`."""
    choices = [member for member in kind if member not in besides]

    def parse(value: object) -> StrEnum:
        for member in choices:
            if value == member.value:
                return member
        names = ", ".join(member.value for member in choices)
        raise ValueError(f"must be one of {names}, got {shown(value)}")

    return parse


def shown(value: object) -> str:
    """Return a value as an error message shows it: short, and in YAML's words."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: object) -> str:
    if not isinstance(value, str):
        cure = f'; put it in quotes: "{shown(value)}"' if isinstance(value, int | Decimal) else ""
        raise ValueError(f"must be text, got {shown(value)}{cure}")
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _scalar_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | Decimal):
        raise ValueError(f"must be text or a number, got {shown(value)}")
    text = str(value)
    if len(text) > MAX_PROMPT_CHARS:
        raise ValueError(f"must be at most {MAX_PROMPT_CHARS:,} characters, as prompts are, got {len(text):,}")
    return text


def is_id(text: str) -> bool:
    """Say whether `text` may be an id: lower-case words joined by - or _."""
    return _ID.fullmatch(text) is not None and len(text) <= 100


def _id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not is_id(value):
        raise ValueError(f"must be lower-case words joined by - or _, like old-harbor, got {shown(value)}")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"must be a name of letters, digits and _, not starting with a digit, got {shown(value)}")
    return value


def parse_duration(value: object) -> Duration:
    """Read `4`, `4s`, `0.5s`, `500ms` or `96f`; no time at all is none."""
    duration = parse_time(value)
    if not duration.amount:
        raise ValueError(f"must be a time like 4, 4s, 500ms or 96f (video frames), got {shown(value)}")
    return duration


def parse_time(value: object) -> Duration:
    """Read `0`, `4s`, `500ms` or `96f`."""
    text = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"must be a time like 4, 4s, 500ms or 96f (video frames), got {shown(value)}")
    amount, unit = Fraction(match[1]), match[2] or "s"
    if unit == "f":
        if amount.denominator != 1:
            raise ValueError(f"must be a whole number of video frames, got {shown(value)}")
        return Duration(amount, in_video_frames=True)
    seconds = amount / 1000 if unit == "ms" else amount
    if seconds > MAX_DURATION_S:
        raise ValueError(f"must be at most {MAX_DURATION_S} s, got {shown(value)}")
    return Duration(seconds)


def _fps(value: object) -> Fraction:
    complaint = f"must be a rate from 1 to 240 like 24, 23.976 or 30000/1001, got {shown(value)}"
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6}|/[1-9][0-9]{0,5})?", text):
        raise ValueError(complaint)
    fps = Fraction(text) if "/" in text else _BROADCAST_FPS.get(Decimal(text), Fraction(text))
    if not 1 <= fps <= 240:
        raise ValueError(complaint)
    return fps


def _size(value: object) -> Size:
    size = Size.parse(value if isinstance(value, str) else shown(value))
    if not (2 <= size.width <= 7680 and 2 <= size.height <= 7680):
        raise ValueError(f"must be from 2x2 to 7680x7680 pixels, got {size}")
    if size.width % 2 or size.height % 2:
        even = Size(size.width + size.width % 2, size.height + size.height % 2)
        raise ValueError(f"must be even in both directions, got {size}; try {even}")
    return size


def _number(least: Decimal, most: Decimal, *, above: bool = False) -> Callable[[object], Decimal]:
    range_told = f"above {least} and up to {most}" if above else f"from {least} to {most}"

    def parse(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ValueError(f"must be a number {range_told}, got {shown(value)}")
        if not least <= value <= most or (above and value == least):
            raise ValueError(f"must be {range_told}, got {value}")
        return Decimal(value)

    return parse


def _colour(value: object) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise ValueError(f'must be a color like "#ffcc00", in quotes, got {shown(value)}')
    return value.lower()


def _caption(value: object) -> str:
    text = _text(value)
    if len(text) > MAX_CAPTION_CHARS:
        raise ValueError(f"must be at most {MAX_CAPTION_CHARS:,} characters, got {len(text):,}")
    return text


def _usd(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < 1_000_000:
        raise ValueError(f"must be an amount in US dollars like 0.25, got {shown(value)}")
    return Decimal(value)


def _version(value: object) -> object:
    # Python takes true and 1.0 for 1.
    if value != 1 or not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be 1, got {shown(value)}")
    return value


def _prompts_kind(value: object) -> str:
    return "keyframes" if isinstance(value, dict) else "list"


def _prompts_list(value: object) -> object:
    if not isinstance(value, list) or not value:
        raise ValueError(
            f"must be a list of prompts, or keyframes like {{0: calm sea, 4: a storm}}, got {shown(value)}"
        )
    return value


def whole_numbers(least: int, most: int) -> dict[str, Any]:
    """Return the JSON Schema of whole numbers in this range."""
    return {"type": "integer", "minimum": least, "maximum": most}


Steps = Annotated[int, BeforeValidator(whole(1, 8)), WithJsonSchema(whole_numbers(1, 8))]
TakeInventory = Annotated[int, BeforeValidator(whole(1, MAX_TAKES)), WithJsonSchema(whole_numbers(1, MAX_TAKES))]
Aspect = Annotated[AspectRatio, BeforeValidator(choice(AspectRatio))]
FrameFit = Annotated[Fit, BeforeValidator(choice(Fit))]
FilmFit = Annotated[
    Fit,
    BeforeValidator(choice(Fit, besides=(Fit.ERROR,))),
    WithJsonSchema({"type": "string", "enum": ["cover", "contain", "stretch"]}),
]
_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|f)?$"},
    ]
}
Time = Annotated[Duration, BeforeValidator(parse_time), WithJsonSchema(_DURATION_SCHEMA)]
TimeOnScreen = Annotated[
    Duration,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _DURATION_SCHEMA["anyOf"][1]]}),
]
Fps = Annotated[
    Fraction,
    BeforeValidator(_fps),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 1, "maximum": 240},
                {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,6}|/[1-9][0-9]{0,5})?$"},
            ]
        }
    ),
]
FilmSize = Annotated[
    Size, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"})
]
Amount = Annotated[
    Decimal,
    BeforeValidator(_number(Decimal(0), Decimal(1), above=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]
Volume = Annotated[
    Decimal,
    BeforeValidator(_number(Decimal(0), Decimal(10))),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 10}),
]
Percent = Annotated[
    Decimal,
    BeforeValidator(_number(Decimal(0), Decimal(50), above=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 50}),
]
Colour = Annotated[str, BeforeValidator(_colour), WithJsonSchema({"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"})]
Usd = Annotated[Decimal, BeforeValidator(_usd), WithJsonSchema({"type": "number", "minimum": 0})]
Id = Annotated[
    str,
    BeforeValidator(_id),
    WithJsonSchema({"type": "string", "pattern": f"^{_ID.pattern}$", "maxLength": 100}),
]
Name = Annotated[str, BeforeValidator(_name)]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
CaptionText = Annotated[
    str,
    BeforeValidator(_caption),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_CAPTION_CHARS}),
]
ScalarText = Annotated[
    str,
    BeforeValidator(_scalar_text),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": MAX_PROMPT_CHARS}),
]
Matrix = Annotated[
    dict[Name, Annotated[list[ScalarText], Field(min_length=1)]], Field(min_length=1, max_length=MAX_MATRIX_KEYS)
]
KeyframeNumber = Annotated[int, BeforeValidator(whole(0, 1_000_000))]
Prompts = Annotated[
    Annotated[list[Text], BeforeValidator(_prompts_list), Field(min_length=1), Tag("list")]
    | Annotated[
        dict[KeyframeNumber, Text],
        Tag("keyframes"),
        WithJsonSchema(
            {
                "type": "object",
                "propertyNames": {"pattern": "^[0-9]+$"},
                "additionalProperties": {"type": "string", "minLength": 1},
                "minProperties": 1,
            }
        ),
    ],
    Discriminator(_prompts_kind),
]
Version = Annotated[int, BeforeValidator(_version), WithJsonSchema({"const": 1, "type": "integer"})]
