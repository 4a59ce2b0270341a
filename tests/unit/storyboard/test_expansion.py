"""A storyboard as written resolves to exactly the frames it asks for, and each mistake is reported at its place."""

import itertools
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.storyboard.expansion import expand
from pipelines.storyboard.format.parsers import parse_duration
from pipelines.storyboard.format.schema import StoryboardModel
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.timeline import build_timeline
from tests.unit.storyboard.problems import Write, problems

words = st.text("abcdefgh ", min_size=1, max_size=12).filter(lambda text: text.strip() == text)
rates = st.sampled_from(["24", "25", "23.976", "29.97", "59.94", "30000/1001"])


def board_of(**shot: object) -> Storyboard:
    """Return the storyboard of one shot."""
    model = StoryboardModel.model_validate({"scenes": [{"id": "s", "shots": [{"id": "t", **shot}]}]})
    return expand(model, path=Path("board.yaml"), default_id="board")


def prompts(board: Storyboard) -> list[str]:
    return [frame.prompt for frame in board.frames]


@given(st.dictionaries(st.integers(0, 40), words, max_size=8), words, st.integers(0, 20))
def test_each_keyframe_holds_until_the_next(later: dict[int, str], first: str, beyond: int) -> None:
    """A frame shows the last keyframe at or before it."""
    keyframes = {**later, 0: first}
    count = max(keyframes) + 1 + beyond

    board = board_of(prompts=keyframes, frames=count)

    assert prompts(board) == [keyframes[max(key for key in keyframes if key <= at)] for at in range(count)]


@given(st.lists(words, min_size=1, max_size=5), st.lists(words, min_size=1, max_size=5), st.integers(1, 4))
def test_a_matrix_is_every_pair_of_its_values(outer: list[str], inner: list[str], frames: int) -> None:
    """The last key turns fastest, and each pair gets every frame."""
    board = board_of(prompt="{{ a }}/{{ b }}", matrix={"a": outer, "b": inner}, frames=frames)

    pairs = [f"{one}/{other}" for one, other in itertools.product(outer, inner)]
    assert prompts(board) == [pair for pair in pairs for _ in range(frames)]


@given(st.lists(st.tuples(words, words), min_size=1, max_size=8))
def test_zip_is_the_pairs_as_they_stand(pairs: list[tuple[str, str]]) -> None:
    """The first value meets the first, the second the second."""
    matrix = {"a": [one for one, _ in pairs], "b": [other for _, other in pairs]}

    assert prompts(board_of(prompt="{{ a }}/{{ b }}", matrix=matrix, match="zip")) == ["/".join(pair) for pair in pairs]


@given(st.decimals(min_value="0.001", max_value=999, places=3), rates)
def test_a_hold_means_the_same_in_each_of_its_spellings(seconds: Decimal, fps: str) -> None:
    """No spelling passes through a binary fraction."""
    exact = Fraction(seconds)
    rate = StoryboardModel.model_validate({"prompts": ["x"], "output": {"fps": fps}}).output[0].fps
    assert rate is not None

    spellings = [seconds, str(seconds), f"{seconds}s", f"{(seconds * 1000).quantize(Decimal(1))}ms"]

    assert {parse_duration(spelling).seconds(rate) for spelling in spellings} == {exact}


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), rates)
def test_holds_in_video_frames_are_those_of_the_film(lengths: list[int], fps: str) -> None:
    """Asked for in video frames, a hold is never rounded, whatever the rate."""
    shots = [{"prompt": "x", "hold": f"{length}f"} for length in lengths]
    model = StoryboardModel.model_validate({"output": {"fps": fps}, "scenes": [{"shots": shots}]})

    timeline = build_timeline(expand(model, path=Path("board.yaml"), default_id="board"))

    assert [hold.length for hold in timeline.holds] == lengths


def test_numbers_in_templates_are_as_they_were_written(write: Write) -> None:
    """007 is an agent, 1e3 is not 1E+3, and 1.50 keeps its nought."""
    path = write(
        "vars: {agent: 007, sum: 1e3, mask: 0x1F, price: 1.50, yes: no}\n"
        "scenes: [{shots: [{prompt: '{{ agent }} {{ sum }} {{ mask }} {{ price }} {{ yes }} {{ year }}', "
        "matrix: {year: [+1, 0o17]}}]}]\n"
    )

    assert prompts(load_storyboard(path)) == ["007 1e3 0x1F 1.50 no +1", "007 1e3 0x1F 1.50 no 0o17"]


def test_a_matrix_key_shadows_a_var_and_a_var_the_place(write: Write) -> None:
    """The nearer name counts; a style sees all of them."""
    path = write(
        "vars: {mood: calm, scene: bay}\n"
        "styles: {film: '{{ prompt }}, {{ mood }} {{ shot }} {{ frame }}'}\n"
        "scenes: [{id: s, shots: [{id: t, style: film, prompt: '{{ scene }}', matrix: {mood: [wild, mild]}}]}]\n"
    )

    assert prompts(load_storyboard(path)) == ["bay, wild t 0", "bay, mild t 1"]


def test_what_is_wrong_in_a_style_is_reported_at_the_style(write: Write) -> None:
    """Once, with the first shot that it fails; a style that no shot wears is looked at too."""
    path = write(
        "styles:\n"
        "  film: '{{ prompt }} {{ lens }}'\n"
        "  plate: '{{ prompt|center }}'\n"
        "  open: '{{ prompt'\n"
        "scenes:\n"
        "  - id: s\n"
        "    shots:\n"
        "      - {id: seen, style: film, prompt: a, matrix: {lens: [35mm]}}\n"
        "      - {id: lost, style: film, prompt: b}\n"
        "      - {id: lost-too, style: film, prompt: c}\n"
    )

    assert problems(path) == [
        "board.yaml:2:9: styles.film: in s/lost: 'lens' is not defined; "
        "choose one of frame, prompt, scene, shot, or add it to vars",
        "board.yaml:3:10: styles.plate: uses the filter 'center'; choose one of abs, capitalize, d, default, first, "
        "float, int, last, length, lower, round, string, title, trim, upper",
        "board.yaml:4:9: styles.open: is not a valid template: unexpected end of template, "
        "expected 'end of print statement'.",
    ]


def test_a_wrong_entry_does_not_make_its_users_wrong(write: Write) -> None:
    """A style or a var that has its own issue is not also reported as missing."""
    path = write("vars: {mood: [1]}\nstyles: {film: 5}\ndefaults: {style: film}\nprompts: ['{{ mood }}']\n")

    assert problems(path) == [
        "board.yaml:1:14: vars.mood: must be text or a number, got a list; put a text that begins with [ or - in "
        "quotes",
        'board.yaml:2:16: styles.film: must be text, got 5; put it in quotes: "5"',
    ]


def test_every_repeated_key_is_reported_with_all_else(write: Write) -> None:
    """A key that is there twice is one problem among others, reported at the second, by its scene and shot."""
    path = write(
        "title: a\n"
        "title: b\n"
        "title: c\n"
        "scenes:\n"
        "  - id: s\n"
        "    shots:\n"
        "      - {id: t, prompt: x, prompt: y, steps: 9}\n"
    )

    assert problems(path) == [
        "board.yaml:2:1: the key 'title' is there twice; remove one of them",
        "board.yaml:3:1: the key 'title' is there twice; remove one of them",
        "board.yaml:7:28: scenes.s.shots.t: the key 'prompt' is there twice; remove one of them",
        "board.yaml:7:46: scenes.s.shots.t.steps: must be between 1 and 8, got 9",
    ]


def test_a_repeated_key_is_reported_beside_what_expansion_finds(write: Write) -> None:
    """Neither hides the other."""
    path = write("title: a\ntitle: b\nprompts: ['{{ mood }}']\n")

    assert problems(path) == [
        "board.yaml:2:1: the key 'title' is there twice; remove one of them",
        "board.yaml:3:11: prompts[0]: 'mood' is not defined; choose one of frame, scene, shot, or add it to vars",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "prompts: [x]\ndefaults: {transition: {type: cut, duration: 0.5s}}",
            "board.yaml:2:24: defaults.transition: a cut takes nothing besides its type; remove duration",
        ),
        ("version: true\nprompts: [x]", "board.yaml:1:10: version: must be 1, got true"),
        ("version: 1.0\nprompts: [x]", "board.yaml:1:10: version: must be 1, got 1.0"),
        ("prompts: {true: x}", "board.yaml:1:11: a key must be a word or a whole number"),
        ('prompts: ["a\\x9bb"]', "board.yaml:1:11: prompts[0]: holds the control character '\\x9b'; remove it"),
        (
            "title: a\nprompts: [a\x00b]",
            "board.yaml:2:12: holds the control character '\\x00'; remove it, or save the file as plain text",
        ),
    ],
)
def test_what_looks_nearly_right_is_refused(write: Write, text: str, expected: str) -> None:
    """Nothing is silently taken for something else."""
    assert problems(write(text)) == [expected]


def test_a_cut_may_be_written_in_two_ways_and_a_boolean_var_is_a_word(write: Write) -> None:
    """`cut` and `{type: cut}` are the same, and templates see true as text."""
    path = write(
        "vars: {lit: true}\n"
        "defaults: {steps: 04, transition: cut}\n"
        "scenes: [{transition: {type: cut}, shots: [{prompt: '{{ lit }}'}]}]\n"
    )

    board = load_storyboard(path)

    assert prompts(board) == ["true"]
    assert board.frames[0].steps == 4


def test_an_empty_value_where_one_is_needed_is_reported(write: Write) -> None:
    """A key that was left empty is no mapping."""
    path = write("prompts: [x]\noutput:\nbudget: {usd: true}\nvars: {a: }\n")

    assert problems(path) == [
        "board.yaml:2:8: output: must be a mapping of keys to values, got nothing",
        "board.yaml:3:15: budget.usd: must be an amount in US dollars like 0.25, got true",
        "board.yaml:4:11: vars.a: must be text or a number, got nothing; write it, in quotes where it begins with #",
    ]
