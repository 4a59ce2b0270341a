"""Types of the storyboard's keys: for each, its parser and its JSON Schema."""

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.storyboard.format.base import FREE_TEXT
from pipelines.storyboard.format.parsers import (
    BITRATE_PATTERN,
    FPS_PATTERN,
    ID_PATTERN,
    LANGUAGE_PATTERN,
    MAX_CAPTION_CHARS,
    MAX_DUCK_DB,
    MAX_ID_CHARS,
    MAX_LUFS,
    MAX_PROMPT_CHARS,
    MIN_LUFS,
    Duration,
    choice,
    number,
    parse_bitrate,
    parse_caption,
    parse_color,
    parse_crf,
    parse_decibels,
    parse_duration,
    parse_film_time,
    parse_fps,
    parse_hold,
    parse_id,
    parse_language,
    parse_loudness,
    parse_name,
    parse_prompts_list,
    parse_scalar_text,
    parse_size,
    parse_text,
    parse_time,
    parse_title,
    parse_usd,
    parse_version,
    whole_number,
)

# The review app picks takes with the keys 1 to 9.
MAX_TAKES = 9
MAX_MATRIX_KEYS = 100
MAX_COUNT = 1_000_000


def _whole_number_schema(least: int, most: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": least, "maximum": most})


def _prompts_kind(value: object) -> str:
    return "keyframes" if isinstance(value, dict) else "list"


# Numbers.
Steps = Annotated[int, BeforeValidator(whole_number(1, 8)), _whole_number_schema(1, 8)]
TakeCount = Annotated[int, BeforeValidator(whole_number(1, MAX_TAKES)), _whole_number_schema(1, MAX_TAKES)]
FrameCount = Annotated[int, BeforeValidator(whole_number(1, MAX_COUNT)), _whole_number_schema(1, MAX_COUNT)]
KeyframeNumber = Annotated[int, BeforeValidator(whole_number(0, MAX_COUNT))]
LineLength = Annotated[int, BeforeValidator(whole_number(10, 200)), _whole_number_schema(10, 200)]
LineCount = Annotated[int, BeforeValidator(whole_number(1, 5)), _whole_number_schema(1, 5)]
ReadingSpeed = Annotated[
    Decimal, BeforeValidator(number(5, 50)), WithJsonSchema({"type": "number", "minimum": 5, "maximum": 50})
]
Crf = Annotated[int, BeforeValidator(parse_crf), _whole_number_schema(0, 63)]
Bitrate = Annotated[
    int, BeforeValidator(parse_bitrate), WithJsonSchema({"type": "string", "pattern": f"^{BITRATE_PATTERN.pattern}$"})
]
# Of presets.
KeyframeTime = Annotated[Decimal, BeforeValidator(number(0, 60, above=True))]
# With none between them, pictures are numbered in a way in which no copy can be numbered anew.
BetweenCount = Annotated[int, BeforeValidator(whole_number(1, 3))]
Version = Annotated[int, BeforeValidator(parse_version), WithJsonSchema({"const": 1, "type": "integer"})]
Amount = Annotated[
    Decimal,
    BeforeValidator(number(0, 1, above=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]
Volume = Annotated[
    Decimal, BeforeValidator(number(0, 10)), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 10})
]
Decibels = Annotated[
    Decimal,
    BeforeValidator(parse_decibels),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MAX_DUCK_DB},
                {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})? ?[dD][bB]$"},
            ]
        }
    ),
]
Loudness = Annotated[
    bool | Decimal,
    BeforeValidator(parse_loudness),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "number", "minimum": MIN_LUFS, "maximum": MAX_LUFS},
                {"type": "string", "pattern": r"^-[0-9]{1,3}(\.[0-9]{1,3})? ?[lL][uU][fF][sS]$"},
            ]
        }
    ),
]
Percent = Annotated[
    Decimal,
    BeforeValidator(number(0, 50, above=True)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 50}),
]
Usd = Annotated[Decimal, BeforeValidator(parse_usd), WithJsonSchema({"type": "number", "minimum": 0})]

# Times and sizes. Numbers are times too, in seconds.
_TIME_TEXT_SCHEMA = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|f)?$"}
Time = Annotated[
    Duration,
    BeforeValidator(parse_time),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, _TIME_TEXT_SCHEMA]}),
]
TimeOnScreen = Annotated[
    Duration,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _TIME_TEXT_SCHEMA]}),
]
Hold = Annotated[
    Duration | Literal["auto"],
    BeforeValidator(parse_hold),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _TIME_TEXT_SCHEMA, {"const": "auto"}]}),
]
# Its words are looked up among the scenes' and shots' ids.
FilmTime = Annotated[
    Duration | str,
    BeforeValidator(parse_film_time),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1}]}),
]
Fps = Annotated[
    Fraction,
    BeforeValidator(parse_fps),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 1, "maximum": 240},
                {"type": "string", "pattern": f"^{FPS_PATTERN.pattern}$"},
            ]
        }
    ),
]
FilmSize = Annotated[
    Size,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"}),
]

# Words.
Aspect = Annotated[AspectRatio, BeforeValidator(choice(AspectRatio))]
FrameFit = Annotated[Fit, BeforeValidator(choice(Fit))]
# A film always has its size: only a frame can be refused for another.
FilmFit = Annotated[
    Fit,
    BeforeValidator(choice(Fit, besides=(Fit.ERROR,))),
    WithJsonSchema({"type": "string", "enum": ["cover", "contain", "stretch"]}),
]
Color = Annotated[str, BeforeValidator(parse_color), WithJsonSchema({"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"})]
Id = Annotated[
    str,
    BeforeValidator(parse_id),
    WithJsonSchema({"type": "string", "pattern": f"^{ID_PATTERN.pattern}$", "maxLength": MAX_ID_CHARS}),
]
Name = Annotated[str, BeforeValidator(parse_name)]

Language = Annotated[
    str, BeforeValidator(parse_language), WithJsonSchema({"type": "string", "pattern": f"^{LANGUAGE_PATTERN.pattern}$"})
]

# Texts.
_TEXT_SCHEMA = WithJsonSchema({"type": "string", "minLength": 1})
Text = Annotated[str, FREE_TEXT, BeforeValidator(parse_text), _TEXT_SCHEMA]
# A file, a font, a style: a name that is looked up.
Reference = Annotated[str, BeforeValidator(parse_text), _TEXT_SCHEMA]
Title = Annotated[str, FREE_TEXT, BeforeValidator(parse_title), _TEXT_SCHEMA]
CaptionText = Annotated[
    str,
    FREE_TEXT,
    BeforeValidator(parse_caption),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_CAPTION_CHARS}),
]
ScalarText = Annotated[
    str,
    FREE_TEXT,
    BeforeValidator(parse_scalar_text),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": MAX_PROMPT_CHARS}),
]
Matrix = Annotated[
    dict[Name, Annotated[list[ScalarText], Field(min_length=1)]], Field(min_length=1, max_length=MAX_MATRIX_KEYS)
]
# The discriminator is needed: pydantic would report the errors of both forms otherwise.
Prompts = Annotated[
    Annotated[list[Text], BeforeValidator(parse_prompts_list), Field(min_length=1), Tag("list")]
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
