"""Models of narration: who speaks, and what is said over shots and scenes."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from pipelines.storyboard.format.base import FREE_TEXT, FormatModel, require
from pipelines.storyboard.format.fields import Reference, Time
from pipelines.storyboard.format.parsers import (
    Duration,
    describe,
    known_word,
    number,
    parse_narration,
    parse_text,
    short_form,
)
from pipelines.storyboard.voices import BUILT_IN_VOICE, COMMAND, RECORDED, command_of

_VOICES = (BUILT_IN_VOICE, RECORDED)
MAX_PARTS = 1000
MAX_SAID = 1000


def _parse_voice(value: object) -> str:
    # As a mapping it needs no quotes in YAML.
    if isinstance(value, Mapping) and list(value) == ["command"]:
        value = f"{COMMAND} {parse_text(value['command'])}"
    if not isinstance(value, str):
        raise ValueError(f'must be a voice: {", ".join(_VOICES)} or "command: PROGRAM", got {describe(value)}')
    if not value.startswith(COMMAND):
        return known_word(_VOICES)(value)
    try:
        command = command_of(value)
    except ValueError as exc:
        raise ValueError(f"the command cannot be read: {exc}; check its quotes") from exc
    if "\0" in value:
        raise ValueError("the command holds the control character '\\x00'; remove it")
    if not command:
        raise ValueError('names no program; write "command: PROGRAM", which reads text and writes a WAV')
    return value


_COMMAND_SCHEMA = {
    "type": "object",
    "properties": {"command": {"type": "string", "minLength": 1}},
    "required": ["command"],
    "additionalProperties": False,
}
Voice = Annotated[
    str,
    BeforeValidator(_parse_voice),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(_VOICES)},
                {"type": "string", "pattern": f"^{COMMAND}"},
                _COMMAND_SCHEMA,
            ]
        }
    ),
]
Speed = Annotated[
    Decimal,
    BeforeValidator(number(Decimal("0.5"), 2)),
    WithJsonSchema({"type": "number", "minimum": 0.5, "maximum": 2}),
]
SpokenText = Annotated[
    str, FREE_TEXT, BeforeValidator(parse_narration), WithJsonSchema({"type": "string", "minLength": 1})
]


class NarratorModel(FormatModel):
    """Who speaks, and how."""

    voice: Voice = Field(
        BUILT_IN_VOICE,
        description="hibari/heart, which is English and runs here; file, for recordings alone; or a command that reads "
        "text and writes a WAV. Default hibari/heart.",
    )
    speed: Speed = Field(Decimal(1), description="0.5 is half as fast, 2 twice. Default 1.")
    gap: Time = Field(
        Duration(Fraction(3, 10)),
        description="Silence after what is said, counted into hold: auto, and between parts: of a list that is spoken "
        "once, or paragraphs. Default 300ms.",
    )
    say: Annotated[dict[str, SpokenText], Field(max_length=MAX_SAID)] = Field(
        {}, description="How words are to be spoken, by any voice: `Nguyen: win`. Captions keep them as written."
    )
    strict: bool = Field(False, description="A hold that is too short for its words is an error, not a note.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        unspaced = all(word.strip() and not any(map(str.isspace, word)) for word in self.say)
        require(unspaced, "say", "its keys are single words, without spaces; write one entry for each word")
        return self


class RecordingModel(FormatModel):
    """A recording of what is said."""

    file: Reference = Field(description="A sound file, from the storyboard's folder.")
    text: SpokenText = Field(description="What is said in it, word for word: for the captions, and their times.")


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "list"
    return "recording" if isinstance(value, dict | RecordingModel) else "text"


NarratorValue = Annotated[
    NarratorModel, BeforeValidator(short_form("voice"), json_schema_input_type=Voice | NarratorModel)
]
# The discriminator is needed: pydantic would report the errors of all forms otherwise.
NarrationValue = Annotated[
    Annotated[SpokenText, Tag("text")]
    | Annotated[list[SpokenText], Field(min_length=1, max_length=MAX_PARTS), Tag("list")]
    | Annotated[RecordingModel, Tag("recording")],
    Discriminator(_kind),
]
