"""Models of the storyboard as it is written, and its JSON Schema; `expansion` resolves them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from pipelines.common.budgets import OnExceed
from pipelines.storyboard.format.base import FormatModel, require
from pipelines.storyboard.format.endpoint_schema import EndpointValue
from pipelines.storyboard.format.fields import (
    Aspect,
    CaptionText,
    FrameCount,
    FrameFit,
    Hold,
    Id,
    Language,
    Matrix,
    Name,
    Prompts,
    Reference,
    ScalarText,
    Steps,
    TakeCount,
    Text,
    Title,
    Usd,
    Version,
)
from pipelines.storyboard.format.film_schema import (
    AudioModel,
    AudioValue,
    CaptionsModel,
    MotionValue,
    OutputModel,
    Outputs,
    SmoothModel,
    SoundValue,
    TransitionValue,
)
from pipelines.storyboard.format.narration_schema import NarrationValue, NarratorModel, NarratorValue
from pipelines.storyboard.format.parsers import short_form

# The default of `max_frames`. More frames are rather a mistake, in a matrix for instance, than a film.
MAX_FRAMES = 10_000
MAX_FALLBACKS = 10
# Every frame's template is given all of them, and there may be ten thousand frames.
MAX_VARS = 1000


class Cascading(FormatModel):
    """Keys that a storyboard's defaults, a scene and a shot may each set; the innermost counts."""

    steps: Steps | None = Field(None, description="Generation steps, 1 to 8: more is finer and dearer. Default 4.")
    aspect: Aspect | None = Field(None, description="Aspect ratio of the image. Default 16:9.")
    hold: Hold | None = Field(
        None, description="Time on screen per frame: 4, 4s, 500ms, 96f; or auto, as long as its narration. Default 4s."
    )
    transition: TransitionValue | None = Field(None, description="How the next frame or shot follows. Default cut.")
    motion: MotionValue | None = Field(None, description="A slow move over the frame: push_in, pan_left ...")
    takes: TakeCount | None = Field(
        None, description="How many takes to generate of each frame, to choose from. Default 1."
    )
    caption: CaptionText | None = Field(None, description="Shown with each of its frames; a Jinja2 template.")
    style: Reference | None = Field(None, description="Name of an entry in `styles`, a template around the prompt.")
    fit: FrameFit | None = Field(
        None, description="What to do with an image of another size than was asked for. Default cover."
    )


class ShotModel(Cascading):
    """A shot: asks for one or more frames."""

    id: Id | None = Field(None, description="Unique in its scene. Default shot-1, shot-2 ...")
    prompt: Text | None = Field(None, description="What to draw; a Jinja2 template over vars and matrix keys.")
    prompts: Prompts | None = Field(None, description="A list of prompts, or keyframes that hold until the next.")
    frames: FrameCount | None = Field(None, description="How many frames, with `prompt` or keyframes.")
    matrix: Matrix | None = Field(
        None, description="A frame for each combination of values, the last key turning fastest."
    )
    match: Literal["product", "zip"] | None = Field(None, description="zip pairs the matrix's values instead.")
    narration: NarrationValue | None = Field(
        None, description="What is said over it: a text, a list with one for each frame, or a recording and its text."
    )
    sound: SoundValue | None = Field(None, description="A sound that starts with the shot.")
    smooth: SmoothModel | None = Field(None, description="In-between pictures from frame to frame of this shot.")
    fallback_prompts: Annotated[list[Text], Field(max_length=MAX_FALLBACKS)] | None = Field(
        None, description="Tried in order when the API refuses the prompt; at most 10."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.prompt is None or self.prompts is None, "prompts", "cannot stand beside prompt; keep one of them")
        require(
            self.prompt is not None or self.prompts is not None,
            "",
            "has neither prompt nor prompts; add what it is to show",
        )
        require(
            not (isinstance(self.prompts, list) and self.frames),
            "frames",
            "cannot stand beside a list of prompts, which says itself how many frames there are; remove it",
        )
        require(self.match is None or self.matrix is not None, "match", "says how a matrix is read; add matrix")
        self._check_keyframes()
        self._check_zip()
        return self

    def _check_keyframes(self) -> None:
        if not isinstance(self.prompts, dict):
            return
        require(0 in self.prompts, "prompts", "must have a prompt at 0, where the shot begins")
        last = max(self.prompts)
        require(
            self.frames is None or self.frames > last,
            "frames",
            f"must be at least {last + 1}: the last keyframe stands at {last}, counted from 0",
        )

    def _check_zip(self) -> None:
        if self.match != "zip" or not self.matrix:
            return
        lengths = {key: len(values) for key, values in self.matrix.items()}
        listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        require(
            len(set(lengths.values())) == 1, "matrix", f"must have equally many values for match: zip, but {listed}"
        )


class SceneModel(Cascading):
    """A scene: a chapter of the film."""

    id: Id | None = Field(None, description="Unique. Default scene-1, scene-2 ...")
    title: Title | None = Field(None, description="The chapter's title. Default the id.")
    narration: NarrationValue | None = Field(None, description="What is said over it, from its first shot on.")
    shots: Annotated[list[ShotModel], Field(min_length=1)] = Field(description="In the order in which they are shown.")


class BudgetModel(FormatModel):
    """Caps on the cost of the storyboard."""

    # For editors, as in `json_schema`; the check itself is below.
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["usd"]}, {"required": ["total_usd"]}]})

    usd: Usd | None = Field(None, description="A hard cap in US dollars for each run of this storyboard.")
    total_usd: Usd | None = Field(None, description="A hard cap in US dollars for all its runs together, ever.")
    on_exceed: OnExceed | None = Field(
        None, description="At a cap: stop, or refuse to send anything unless the worst case fits."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.usd is not None or self.total_usd is not None, "", "lacks a cap; add usd or total_usd")
        return self


BudgetValue = Annotated[BudgetModel, BeforeValidator(short_form("usd"), json_schema_input_type=Usd | BudgetModel)]


class StoryboardModel(FormatModel):
    """A storyboard for storyreel."""

    version: Version = Field(1, description="The version of this format.")
    id: Id | None = Field(None, description="Names the output folder. Default the file's own name.")
    title: Title | None = Field(None, description="The film's title. Default the id.")
    language: Language | None = Field(None, description="Of captions and titles, as a tag: en, pt-BR, zh-Hant.")
    endpoint: EndpointValue | None = Field(
        None, description="Where the images come from; the command line and the environment win over it."
    )
    output: Outputs = Field([OutputModel()], description="The film to make, or a list of several.")
    budget: BudgetValue | None = Field(None, description="What it may cost.")
    max_frames: FrameCount = Field(MAX_FRAMES, description="More frames than this are refused as a mistake.")
    captions: CaptionsModel = Field(CaptionsModel(), description="Looks of the captions.")
    narration: NarratorValue = Field(NarratorModel(), description="Who speaks, and how.")
    audio: AudioValue = Field(AudioModel(), description="Sound under the whole film.")
    defaults: Cascading = Field(Cascading(), description="What scenes and shots inherit.")
    vars: Annotated[dict[Name, ScalarText], Field(max_length=MAX_VARS)] = Field({}, description="Names for templates.")
    styles: dict[Name, Text] = Field({}, description="Templates around `{{ prompt }}`, by name.")
    scenes: Annotated[list[SceneModel], Field(min_length=1)] | None = Field(None, description="The long form.")
    prompts: Annotated[list[Text], Field(min_length=1)] | None = Field(
        None, description="The short form: a frame for each prompt."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.scenes is None or self.prompts is None, "prompts", "cannot stand beside scenes; keep one of them")
        require(
            self.scenes is not None or self.prompts is not None,
            "",
            "has neither scenes nor prompts; add `prompts:` with a list of what to show",
        )
        return self


def json_schema() -> dict[str, Any]:
    """Return the storyboard's JSON Schema, in draft 7: the newest that yaml-language-server reads."""
    schema = StoryboardModel.model_json_schema(ref_template="#/definitions/{model}")
    definitions = schema.pop("$defs")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_without_defaults(schema),
        # Said again for editors: pydantic does not translate what a model's validator checks.
        "oneOf": [{"required": ["scenes"]}, {"required": ["prompts"]}],
        "definitions": _without_defaults(definitions),
    }


def _without_defaults(node: Any) -> Any:
    """Return a schema without what pydantic adds to it: titles, and defaults and null in place of an absent key.

    The descriptions name the defaults in words.
    """
    if isinstance(node, list):
        return [_without_defaults(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_defaults(value) for key, value in node.items() if key not in ("default", "title")}
    return _flattened(kept) if "properties" not in node else {**kept, "properties": _properties(node["properties"])}


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    # Their names are kept: a property may itself be called title or default.
    return {name: _without_defaults(value) for name, value in properties.items()}


def _flattened(node: dict[str, Any]) -> dict[str, Any]:
    """Return a choice of one schema as that schema."""
    choices = node.get("anyOf")
    if isinstance(choices, list) and len(choices) == 1:
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        # Draft 7 ignores every key beside a $ref, the description too.
        return {**rest, "allOf": choices} if "$ref" in choices[0] else {**choices[0], **rest}
    return node
