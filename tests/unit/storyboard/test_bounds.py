"""Any file is loaded or refused within seconds, and refused in words that say what to do."""

import resource
import time

import pytest

from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.issues import MAX_ISSUES
from pipelines.storyboard.loader import load_storyboard
from tests.unit.storyboard.problems import Write, problems

# Several times what a quiet machine needs; the faults that these tests guard against took minutes.
LIMIT_S = 15
MIB_OF_KIB = 1024


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prompts: [" + "a," * 4_000_000, "1:300005: is more than 150,000 values; split it into several storyboards"),
        ("a: 1\n" * 100_000, "75000:4: is more than 150,000 values; split it into several storyboards"),
        ("- " * 100_000, "1:103: is nested more than 50 levels deep"),
    ],
    ids=["commas", "keys", "dashes"],
)
def test_a_file_of_too_much_is_refused_before_its_end(write: Write, text: str, expected: str) -> None:
    """Values are counted as they are read, so eight million of them cost neither minutes nor gigabytes."""
    path = write(text)
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MIB_OF_KIB
    started = time.process_time()

    assert problems(path) == [f"board.yaml:{expected}"]
    assert time.process_time() - started < LIMIT_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MIB_OF_KIB - before_mib < 200


def test_ten_thousand_mistakes_are_reported_up_to_a_thousand(write: Write) -> None:
    """Explaining each is what takes the time, and no reader gets through them all."""
    path = write("prompts:\n" + "".join(f"- {number}\n" for number in range(10_000)))
    started = time.process_time()

    found = problems(path)

    assert time.process_time() - started < LIMIT_S
    assert len(found) == MAX_ISSUES + 1
    assert found[0] == 'board.yaml:2:3: prompts[0]: must be text, got 0; put it in quotes: "0"'
    assert found[-2] == 'board.yaml:1001:3: prompts[999]: must be text, got 999; put it in quotes: "999"'
    assert found[-1] == "board.yaml:1001:3: and perhaps more after this; fix these first"


def test_thousands_of_missing_names_are_reported_quickly(write: Write) -> None:
    """Looking for the name that was meant, among a thousand, for each of nine thousand prompts."""
    names = ", ".join(f"name_{number}: x" for number in range(1000))
    path = write(f"vars: {{{names}}}\nprompts:\n" + "".join(f"- '{{{{ nome_{n} }}}}'\n" for n in range(9000)))
    started = time.process_time()

    found = problems(path)

    assert time.process_time() - started < LIMIT_S
    assert len(found) == MAX_ISSUES + 1
    assert "'nome_0' is not defined; choose one of frame, name_0, name_1" in found[0]


def test_a_long_list_of_names_is_cut_short() -> None:
    """A message lists twenty names and counts the rest."""
    names = [f"n{number:03d}" for number in range(1000)]

    assert did_you_mean("xyz", names) == f"; choose one of {', '.join(names[:20])} and 980 more"
    assert did_you_mean("n0077", names) == "; did you mean 'n007'?"
    assert did_you_mean("n" * 10_000_000, names[:2]) == "; choose one of n000, n001"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"vars: {{v: {'x' * 2049}}}\nprompts: [a]",
            "board.yaml:1:11: vars.v: must be at most 2,048 characters, as prompts are, got 2,049",
        ),
        (
            f"vars: {{{', '.join(f'v{number}: x' for number in range(1001))}}}\nprompts: [a]",
            "board.yaml:1:7: vars: must have at most 1,000 entries, got 1,001; remove some",
        ),
        (
            f"prompts: ['{'{{ scene }}' * 800}']",
            "board.yaml:1:11: prompts[0]: is a template of more than 8192 characters; shorten it",
        ),
        (
            f"scenes: [{{shots: [{{prompt: a, fallback_prompts: [{', '.join('b' * 11)}]}}]}}]",
            "board.yaml:1:49: scenes[0].shots[0].fallback_prompts: must have at most 10 entries, got 11; remove some",
        ),
        (
            "scenes: [{shots: [{prompt: a, matrix: {}, match: zip}]}]",
            "board.yaml:1:39: scenes[0].shots[0].matrix: must not be empty",
        ),
    ],
    ids=["long var", "many vars", "long template", "many fallbacks", "empty matrix"],
)
def test_what_each_frame_would_repeat_is_bounded(write: Write, text: str, expected: str) -> None:
    """Ten thousand frames times a little too much is far too much."""
    assert problems(write(text)) == [expected]


def test_a_style_that_swells_every_prompt_is_reported_once_and_at_the_style(write: Write) -> None:
    """Two megabytes for each of ten thousand frames would be twenty gigabytes."""
    swell = "{{ v }}" * 1000
    prompts = "".join(f"- cat {number}\n" for number in range(10_000))
    started = time.process_time()

    found = problems(
        write(
            f"vars: {{v: {'x' * 2048}}}\nstyles:\n  s: '{swell}{{{{ prompt }}}}'\n"
            f"defaults: {{style: s}}\nprompts:\n{prompts}"
        )
    )

    assert time.process_time() - started < LIMIT_S
    assert found == [
        "board.yaml:3:6: styles.s: in main/shot-1: adds 2,048,000 characters; prompts have 1 to 2,048, shorten it"
    ]


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("prompts:\n" + "".join(f"- a cat number {number}\n" for number in range(10_000)), 10_000),
        (
            "styles: {film: '{{ prompt }}, {{ a|lower }}'}\nscenes: [{shots: [{style: film, prompt: '{{ a }} {{ b }}', "
            f"matrix: {{a: {list(range(100))}, b: {list(range(100))}}}}}]}}]",
            10_000,
        ),
    ],
    ids=["list", "matrix"],
)
def test_ten_thousand_frames_load_in_seconds(write: Write, text: str, frames: int) -> None:
    """The largest storyboard that needs no `max_frames` is no burden."""
    path = write(text)
    started = time.process_time()

    assert len(load_storyboard(path).frames) == frames
    assert time.process_time() - started < LIMIT_S


def test_too_many_prompts_are_counted_before_any_is_resolved(write: Write) -> None:
    """The place is the first prompt that is too many."""
    path = write("prompts: [" + "a, " * 10_001 + "a]")

    assert problems(path) == [
        "board.yaml:1:30011: prompts[10000]: brings the storyboard to 10,001 frames, more than 10,000; "
        "ask for fewer, or raise max_frames"
    ]
