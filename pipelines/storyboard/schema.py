"""The storyboard file's nouns, as people write them. What they come to is worked out in expansion.py."""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pipelines.aspect import AspectRatio, Fit, Size
from pipelines.budget import OnExceed

MAX_FRAMES = 10_000
MAX_HOLD_S = 86_400
MAX_PROMPT_CHARS = 2048
MAX_FALLBACKS = 10
# Every frame's template sees them all.
MAX_VARS = 1000
MAX_MATRIX_KEYS = 100
_MOST_LISTED = 20
_MOST_COMPARED = 100
_ID = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOLD = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|f)?")
# The rates that broadcast calls by a rounded name (SMPTE ST 2046, 30000/1001 and its kin).
_BROADCAST_FPS = {
    Decimal(name): Fraction(whole * 1000, 1001)
    for name, whole in (
        ("23.976", 24), ("23.98", 24), ("29.97", 30), ("47.952", 48), ("59.94", 60), ("119.88", 120),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HoldLength:
    """Time on screen as written: an exact number of seconds or of video frames."""

    amount: Fraction
    in_video_frames: bool = False

    def seconds(self, fps: Fraction) -> Fraction:
        """Return the exact time in seconds at `fps` video frames a second."""
        return self.amount / fps if self.in_video_frames else self.amount


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` where one of the `known` words is close, else the list of them."""
    words = list(known)
    asked = str(word)
    # Comparing costs the product of the lengths: a long word, or thousands of them, would take minutes.
    alike = words if len(words) <= _MOST_COMPARED else _beginning_like(asked, words)
    close = difflib.get_close_matches(asked, alike, n=1) if len(asked) <= _MOST_COMPARED else []
    if close:
        return f"; did you mean {close[0]!r}?"
    more = f" and {len(words) - _MOST_LISTED:,} more" if len(words) > _MOST_LISTED else ""
    return f"; choose one of {', '.join(words[:_MOST_LISTED])}{more}"


def _beginning_like(word: str, words: Iterable[str]) -> list[str]:
    start = word[: (len(word) + 1) // 2]
    return list(itertools.islice((other for other in words if other.startswith(start)), _MOST_LISTED))


def _whole(least: int, most: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number from {least} to {most}, got {shown(value)}")
        if not least <= value <= most:
            raise ValueError(f"must be between {least} and {most}, got {value}")
        return value

    return parse


def _choice(kind: type[StrEnum], *, besides: tuple[StrEnum, ...] = ()) -> Callable[[object], StrEnum]:
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


def _id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _ID.fullmatch(value) or len(value) > 100:
        raise ValueError(f"must be lower-case words joined by - or _, like old-harbor, got {shown(value)}")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"must be a name of letters, digits and _, not starting with a digit, got {shown(value)}")
    return value


def parse_hold(value: object) -> HoldLength:
    """Read `4`, `4s`, `0.5s`, `500ms` or `96f`."""
    text = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = _HOLD.fullmatch(text.strip())
    if match is None or not Fraction(match[1]):
        raise ValueError(f"must be a time like 4, 4s, 500ms or 96f (video frames), got {shown(value)}")
    amount, unit = Fraction(match[1]), match[2] or "s"
    if unit == "f":
        if amount.denominator != 1:
            raise ValueError(f"must be a whole number of video frames, got {shown(value)}")
        return HoldLength(amount, in_video_frames=True)
    seconds = amount / 1000 if unit == "ms" else amount
    if seconds > MAX_HOLD_S:
        raise ValueError(f"must be at most {MAX_HOLD_S} s, got {shown(value)}")
    return HoldLength(seconds)


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
        raise ValueError(f"must be even in both directions for h264, got {size}; try {even}")
    return size


def _usd(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < 1_000_000:
        raise ValueError(f"must be an amount in US dollars like 0.25, got {shown(value)}")
    return Decimal(value)


def _version(value: object) -> object:
    # Python takes true and 1.0 for 1.
    if value != 1 or not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be 1, got {shown(value)}")
    return value


def _transition(value: object) -> Literal["cut"]:
    kind = value["type"] if isinstance(value, dict) and "type" in value else value
    if kind != "cut":
        raise ValueError(f"only cut is supported by this version, got {shown(kind)}; remove the key or write cut")
    if isinstance(value, dict) and len(value) > 1:
        others = ", ".join(str(key) for key in value if key != "type")
        raise ValueError(f"a cut takes nothing besides its type; remove {others}")
    return "cut"


def _prompts_kind(value: object) -> str:
    return "keyframes" if isinstance(value, dict) else "list"


def _prompts_list(value: object) -> object:
    if not isinstance(value, list) or not value:
        raise ValueError(
            f"must be a list of prompts, or keyframes like {{0: calm sea, 4: a storm}}, got {shown(value)}"
        )
    return value


def _whole_numbers(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


Steps = Annotated[int, BeforeValidator(_whole(1, 8)), WithJsonSchema(_whole_numbers(1, 8))]
Aspect = Annotated[AspectRatio, BeforeValidator(_choice(AspectRatio))]
FrameFit = Annotated[Fit, BeforeValidator(_choice(Fit))]
FilmFit = Annotated[
    Fit,
    BeforeValidator(_choice(Fit, besides=(Fit.ERROR,))),
    WithJsonSchema({"type": "string", "enum": ["cover", "contain", "stretch"]}),
]
Hold = Annotated[
    HoldLength,
    BeforeValidator(parse_hold),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|f)?$"},
            ]
        }
    ),
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
Usd = Annotated[Decimal, BeforeValidator(_usd), WithJsonSchema({"type": "number", "minimum": 0})]
Id = Annotated[
    str,
    BeforeValidator(_id),
    WithJsonSchema({"type": "string", "pattern": f"^{_ID.pattern}$", "maxLength": 100}),
]
Name = Annotated[str, BeforeValidator(_name)]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
ScalarText = Annotated[
    str,
    BeforeValidator(_scalar_text),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": MAX_PROMPT_CHARS}),
]
Matrix = Annotated[
    dict[Name, Annotated[list[ScalarText], Field(min_length=1)]], Field(min_length=1, max_length=MAX_MATRIX_KEYS)
]
Cut = Annotated[
    Literal["cut"],
    BeforeValidator(_transition),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "cut"},
                {
                    "type": "object",
                    "properties": {"type": {"const": "cut"}},
                    "required": ["type"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
KeyframeNumber = Annotated[int, BeforeValidator(_whole(0, 1_000_000))]
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


class _Noun(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cascading(_Noun):
    """Keys that a storyboard's defaults, a scene and a shot may each set; the innermost counts."""

    steps: Steps | None = Field(None, description="Generation steps, 1 to 8: more is finer and dearer. Default 4.")
    aspect: Aspect | None = Field(None, description="Aspect ratio of the image. Default 16:9.")
    hold: Hold | None = Field(None, description="Time on screen per frame: 4, 4s, 500ms, 96f. Default 4s.")
    transition: Cut | None = Field(None, description="How the next frame or shot follows: cut.")
    style: Text | None = Field(None, description="Name of an entry in `styles`, a template around the prompt.")
    fit: FrameFit | None = Field(
        None, description="What to do with an image of another size than was asked for. Default cover."
    )


class ShotNoun(Cascading):
    """A shot: asks for one or more frames."""

    id: Id | None = Field(None, description="Unique in its scene. Default shot-1, shot-2 ...")
    prompt: Text | None = Field(None, description="What to draw; a Jinja2 template over vars and matrix keys.")
    prompts: Prompts | None = Field(None, description="A list of prompts, or keyframes that hold until the next.")
    frames: (
        Annotated[int, BeforeValidator(_whole(1, 1_000_000)), WithJsonSchema(_whole_numbers(1, 1_000_000))] | None
    ) = Field(None, description="How many frames, with `prompt` or keyframes.")
    matrix: Matrix | None = Field(
        None, description="A frame for each combination of values, the last key turning fastest."
    )
    match: Literal["product", "zip"] | None = Field(None, description="zip pairs the matrix's values instead.")
    fallback_prompts: Annotated[list[Text], Field(max_length=MAX_FALLBACKS)] | None = Field(
        None, description="Tried in order when the API refuses the prompt; at most 10."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require(self.prompt is None or self.prompts is None, "prompts", "cannot stand beside prompt; keep one of them")
        _require(
            self.prompt is not None or self.prompts is not None,
            "",
            "has neither prompt nor prompts; add what it is to show",
        )
        _require(
            not (isinstance(self.prompts, list) and self.frames),
            "frames",
            "cannot stand beside a list of prompts, which says itself how many frames there are; remove it",
        )
        _require(self.match is None or self.matrix is not None, "match", "says how a matrix is read; add matrix")
        self._check_keyframes()
        self._check_zip()
        return self

    def _check_keyframes(self) -> None:
        if not isinstance(self.prompts, dict):
            return
        _require(0 in self.prompts, "prompts", "must have a prompt at 0, where the shot begins")
        last = max(self.prompts, default=0)
        _require(
            self.frames is None or self.frames > last,
            "frames",
            f"must be at least {last + 1}: the last keyframe stands at {last}, counted from 0",
        )

    def _check_zip(self) -> None:
        if self.match != "zip" or not self.matrix:
            return
        lengths = {key: len(values) for key, values in self.matrix.items()}
        listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        _require(
            len(set(lengths.values())) == 1, "matrix", f"must have equally many values for match: zip, but {listed}"
        )


def _require(condition: bool, key: str, message: str) -> None:
    """Raise an error at `key` of the noun that is being checked, or at the noun itself."""
    if not condition:
        raise PydanticCustomError("storyboard", "{message}", {"message": message, "key": key})


class SceneNoun(Cascading):
    """A scene: a chapter of the film."""

    id: Id | None = Field(None, description="Unique. Default scene-1, scene-2 ...")
    title: Text | None = Field(None, description="The chapter's title. Default the id.")
    shots: Annotated[list[ShotNoun], Field(min_length=1)] = Field(description="In the order in which they are shown.")


class OutputNoun(_Noun):
    """The film to make."""

    fps: Fps = Field(Fraction(24), description="Video frames a second: 24, 23.976, 30000/1001.", validate_default=False)
    size: FilmSize | None = Field(None, description="Pixels, 1344x768. Default the aspect ratio's own.")
    codec: Literal["h264"] = Field("h264", description="Video codec.")
    crf: Annotated[int, BeforeValidator(_whole(0, 51)), WithJsonSchema(_whole_numbers(0, 51))] = Field(
        18, description="Constant rate factor: lower is finer and larger."
    )
    fit: FilmFit = Field(Fit.COVER, description="How a frame of another shape is laid into the film's size.")


class BudgetNoun(_Noun):
    """What the storyboard may cost."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["usd"]}, {"required": ["total_usd"]}]})

    usd: Usd | None = Field(None, description="A hard cap in US dollars for each run of this storyboard.")
    total_usd: Usd | None = Field(None, description="A hard cap in US dollars for all its runs together, ever.")
    on_exceed: OnExceed | None = Field(
        None, description="At a cap: stop, or refuse to send anything unless the worst case fits."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require(self.usd is not None or self.total_usd is not None, "", "lacks a cap; add usd or total_usd")
        return self


class StoryboardNoun(_Noun):
    """A storyboard for storyreel."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(1, description="The version of this format.")
    id: Id | None = Field(None, description="Names the output folder. Default the file's own name.")
    title: Text | None = Field(None, description="The film's title. Default the id.")
    output: OutputNoun = Field(OutputNoun(), description="The film to make.")
    budget: BudgetNoun | None = Field(None, description="What it may cost.")
    max_frames: Annotated[int, BeforeValidator(_whole(1, 1_000_000)), WithJsonSchema(_whole_numbers(1, 1_000_000))] = (
        Field(MAX_FRAMES, description="More frames than this are refused as a mistake.")
    )
    defaults: Cascading = Field(Cascading(), description="What scenes and shots inherit.")
    vars: Annotated[dict[Name, ScalarText], Field(max_length=MAX_VARS)] = Field({}, description="Names for templates.")
    styles: dict[Name, Text] = Field({}, description="Templates around `{{ prompt }}`, by name.")
    scenes: Annotated[list[SceneNoun], Field(min_length=1)] | None = Field(None, description="The long form.")
    prompts: Annotated[list[Text], Field(min_length=1)] | None = Field(
        None, description="The short form: a frame for each prompt."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require(self.scenes is None or self.prompts is None, "prompts", "cannot stand beside scenes; keep one of them")
        _require(
            self.scenes is not None or self.prompts is not None,
            "",
            "has neither scenes nor prompts; add `prompts:` with a list of what to show",
        )
        return self


def json_schema() -> dict[str, Any]:
    """Return the storyboard's JSON Schema, in draft 7: the newest that yaml-language-server reads."""
    schema = StoryboardNoun.model_json_schema(ref_template="#/definitions/{model}")
    definitions = schema.pop("$defs")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_without_defaults(schema),
        "oneOf": [{"required": ["scenes"]}, {"required": ["prompts"]}],
        "definitions": _without_defaults(definitions),
    }


def _without_defaults(node: Any) -> Any:
    """Drop what Python's side adds: defaults are told in words, and null is nothing that people write."""
    if isinstance(node, list):
        return [_without_defaults(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_defaults(value) for key, value in node.items() if key not in ("default", "title")}
    return _flattened(kept) if "properties" not in node else {**kept, "properties": _properties(node["properties"])}


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    # A property may itself be called title.
    return {name: _without_defaults(value) for name, value in properties.items()}


def _flattened(node: dict[str, Any]) -> dict[str, Any]:
    """Take a choice of one thing for the thing."""
    choices = node.get("anyOf")
    if isinstance(choices, list) and len(choices) == 1:
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        # Draft 7 ignores whatever stands beside a $ref.
        return {**rest, "allOf": choices} if "$ref" in choices[0] else {**choices[0], **rest}
    return node
