"""What other programs call a key or a value is asked about, and never taken for it."""

from typing import Any

import pytest
from pydantic import BaseModel

from pipelines.common.geometry import AspectRatio, Fit
from pipelines.common.suggestions import plain_amount
from pipelines.storyboard.format.film_schema import (
    AudioModel,
    CaptionsModel,
    MotionModel,
    OutputModel,
    SmoothModel,
    SoundModel,
    TransitionModel,
)
from pipelines.storyboard.format.schema import BudgetModel, Cascading, SceneModel, ShotModel, StoryboardModel
from pipelines.storyboard.format.structure import is_free_text, known_keys
from pipelines.storyboard.format.words import (
    common_names,
    meant_color,
    meant_fps,
    meant_size,
    meant_time,
    meant_word,
    suggest_word,
)
from pipelines.storyboard.model import Background, Ease, MotionType, Position
from pipelines.storyboard.presets import preset_names
from pipelines.storyboard.transitions import TYPES
from tests.unit.storyboard.problems import Write, problems

MODELS: tuple[type[BaseModel], ...] = (
    AudioModel, BudgetModel, CaptionsModel, Cascading, MotionModel, OutputModel, SceneModel, ShotModel, SmoothModel,
    SoundModel, StoryboardModel, TransitionModel,
)  # fmt: skip
BELOW: dict[str, type[BaseModel]] = {"output": OutputModel, "captions": CaptionsModel, "defaults": Cascading}
VALUES = {
    *TYPES, *preset_names(), *MotionType, *Ease, *Position, *Background, *Fit, *AspectRatio,
    "1280x720", "1920x1080", "3840x2160", "ms", "s", "f",
}  # fmt: skip


def test_every_common_name_stands_for_something_that_is_known() -> None:
    """Else the table would ask about what does not exist."""
    keys = {key for model in MODELS for key in model.model_fields}
    targets = {target for targets in common_names().values() for target in targets}

    assert {target for target in targets if "." not in target} - keys - VALUES == set()
    dotted = [target.split(".") for target in targets if "." in target]
    assert [(above, key) for above, key in dotted if key not in BELOW[above].model_fields] == []


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("fade", TYPES, "dissolve"),
        ("cross_dissolve", TYPES, "dissolve"),
        ("Cross-Fade", TYPES, "dissolve"),
        ("dip to black", TYPES, "fade_black"),
        ("wipe", TYPES, "wipe_left"),
        ("Dissolve", TYPES, "dissolve"),
        ("zoom_in", tuple(MotionType), "push_in"),
        ("zoom_out", tuple(MotionType), "pull_out"),
        ("Ken Burns", tuple(MotionType), "push_in"),
        ("pan", tuple(MotionType), "pan_left"),
        ("tilt_up", tuple(MotionType), "pan_up"),
        ("x264", preset_names(), "h264"),
        ("HEVC", preset_names(), "h265"),
        ("mp4", preset_names(), "h264"),
        ("GIF", preset_names(), "gif"),
        ("TikTok", preset_names(), "reel"),
        ("shorts", preset_names(), "reel"),
        ("portrait", preset_names(), "reel"),
        ("portrait", tuple(AspectRatio), "9:16"),
        ("16/9", tuple(AspectRatio), "16:9"),
        ("duration", known_keys(("scenes", 0, "shots", 3)), "hold"),
        ("duration", known_keys(()), "defaults.hold"),
        ("image_prompt", known_keys(("scenes", 0, "shots", 3)), "prompt"),
        ("music", known_keys(()), "audio"),
        ("music", known_keys(("scenes", 0, "shots", 3)), "sound"),
        ("resolution", known_keys(()), "output.size"),
        ("resolution", known_keys(("output",)), "size"),
        ("resolution", known_keys(("output", 1)), "size"),
        ("subtitles", known_keys(()), "captions"),
        ("subtitles", known_keys(("scenes", 0)), "caption"),
        ("shots", known_keys(()), "scenes"),
        ("nonsense", TYPES, None),
        (7, TYPES, None),
    ],
)
def test_a_common_name_stands_for_what_is_known_at_its_place(name: object, known: Any, meant: str | None) -> None:
    """In capitals and with spaces too."""
    assert meant_word(name, known) == meant


def test_a_name_that_means_something_elsewhere_is_no_misspelling() -> None:
    """`resolution` is not `motion`, though they are alike."""
    assert suggest_word("resolution", ["motion", "matrix"]).sentence == "; choose one of motion, matrix"
    assert suggest_word("motoin", ["motion", "matrix"]).sentence == "; did you mean 'motion'?"


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        (meant_time("4 seconds"), "4s"), (meant_time("4,5 sec."), "4.5s"), (meant_time("12 Frames"), "12f"),
        (meant_time("500 milliseconds"), "500ms"), (meant_time("1 hour"), None), (meant_time("soon"), None),
        (meant_fps("24fps"), "24"), (meant_fps("29,97 FPS"), "29.97"), (meant_fps("fast"), None),
        (meant_size("1920 \u00d7 1080"), "1920x1080"), (meant_size("1920*1080"), "1920x1080"), (meant_size("4K"), "3840x2160"),
        (meant_size("big"), None),
        (meant_color("white"), "#ffffff"), (meant_color("Tomato"), "#ff6347"), (meant_color("#fc0"), "#ffcc00"),
        (meant_color("FFCC00"), "#ffcc00"), (meant_color("112233"), "#112233"), (meant_color("0"), "#000000"),
        (meant_color("rgb(1, 2, 3)"), "#010203"), (meant_color("rgb(300, 0, 0)"), None), (meant_color("sunny"), None), (meant_color("None"), None),
        (plain_amount("$1"), "1"), (plain_amount("0,25 usd"), "0.25"), (plain_amount("US$ 2.50"), "2.50"),
        (plain_amount("1"), None), (plain_amount("0.25"), None), (plain_amount("-$1"), None), (plain_amount("all"), None),
    ],
)  # fmt: skip
def test_a_value_in_another_notation_is_understood(found: str | None, meant: str | None) -> None:
    """Times, rates, sizes, colors and amounts; nothing is made of what is none of them."""
    assert found == meant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duration: 3", "1:1: duration: unknown key; did you mean 'defaults.hold'?"),
        ("defaults: {hold: 4 seconds}", "1:18: defaults.hold: must be a time like 4, 4s, 500ms or 96f (video frames), got '4 seconds'; did you mean '4s'?"),
        ("defaults: {transition: fade}", "1:24: defaults.transition: unknown value 'fade'; did you mean 'dissolve'?"),
        ("defaults: {motion: zoom_in}", "1:20: defaults.motion: unknown value 'zoom_in'; did you mean 'push_in'?"),
        ("defaults: {aspect: landscape}", "1:20: defaults.aspect: must be one of 1:1, 16:9, 9:16, 4:3, 3:4, got 'landscape'; did you mean '16:9'?"),
        ("defaults: {steps: '4'}", "1:19: defaults.steps: must be a whole number from 1 to 8, got '4'; write it without quotes"),
        ("output: tiktok", "1:9: output: unknown value 'tiktok'; did you mean 'reel'?"),
        ("output: {size: 1080p}", "1:16: output.size: must be a width and a height in pixels, like 1344x768, got '1080p'; did you mean '1920x1080'?"),
        ("output: {fps: 24 fps}", "1:15: output.fps: must be a rate from 1 to 240 like 24, 23.976 or 30000/1001, got '24 fps'; did you mean '24'?"),
        ("captions: {color: white}", "1:19: captions.color: must be a color like \"#ffcc00\", in quotes, got 'white'; did you mean \"#ffffff\"?"),
        ("captions: {burn: maybe}", "1:18: captions.burn: must be true or false, got 'maybe'"),
        ("budget: $1", "1:9: budget: must be an amount in US dollars like 0.25, got '$1'; write 1"),
        ("budget: {usd: '1'}", "1:15: budget.usd: must be an amount in US dollars like 0.25, got '1'; write it without quotes"),
        ("budget: {usd: 1, on_exceed: halt}", "1:29: budget.on_exceed: must be 'stop' or 'refuse', got 'halt'"),
        ("audio: [a.mp3]", "1:8: audio: must be a mapping of keys to values, got a list"),
    ],
)  # fmt: skip
def test_what_was_meant_stands_in_the_error(write: Write, text: str, expected: str) -> None:
    """And it is an error: nothing is guessed."""
    assert problems(write(f"{text}\nprompts: [x]\n")) == [f"board.yaml:{expected}"]


def test_a_list_without_spaces_behind_its_dashes_is_told(write: Write) -> None:
    """To YAML it is one text."""
    assert problems(write("prompts:\n  -a\n  -b\n")) == [
        "board.yaml:2:3: prompts: must be a list, got '-a -b'; write a space after each dash"
    ]


@pytest.mark.parametrize(
    ("path", "free"),
    [
        (("title",), True),
        (("vars", "mood"), True),
        (("styles", "film"), True),
        (("prompts", 7), True),
        (("defaults", "caption"), True),
        (("scenes", 1, "title"), True),
        (("scenes", 1, "shots", 2, "prompts", 3), True),
        (("scenes", 1, "shots", 2, "matrix", "weather", 0), True),
        (("scenes", 1, "shots", 2, "fallback_prompts", 0), True),
        (("id",), False),
        (("audio",), False),
        (("audio", "track"), False),
        (("output", "preset"), False),
        (("output", 1, "size"), False),
        (("captions", "font"), False),
        (("defaults", "style"), False),
        (("scenes", 1, "shots", 2, "sound"), False),
        (("scenes", 1, "shots", 2, "steps"), False),
        (("nowhere", "at", "all"), False),
    ],
)
def test_texts_are_known_by_the_models(path: tuple[str | int, ...], free: bool) -> None:
    """What is looked up, a style or a file, is no free text: a part of its name would not be found."""
    assert is_free_text(path) is free
