"""What is spoken over which frames: texts, lists, recordings and scenes; and what cannot be meant."""

from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Narrator
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import build_timeline
from pipelines.storyboard.voices import command_of
from tests.unit.storyboard.problems import Write, problems


def spoken(path: Path) -> list[tuple[str, int, int]]:
    """Return what a storyboard says: each text, the number of its first frame, and how many frames it is for."""
    return [(one.text, one.frame, one.frames) for one in load_storyboard(path).narrations]


@pytest.mark.parametrize(
    ("shot", "expected"),
    [
        ("prompt: x, narration: Hello., frames: 3", [("Hello.", 1, 3)]),
        ("prompts: [x, y], narration: [One., Two.]", [("One.", 1, 1), ("Two.", 2, 1)]),
        ("prompt: x, narration: [One., Two.], frames: 3", [("One.\nTwo.", 1, 3)]),
        ("prompt: x, narration: '{{ who }}, at {{ shot }}'", [("Ann, at shot-2", 1, 1)]),
        ("prompt: x, narration: ['{{ n }}!', 'or {{ n }}?'], matrix: {n: [a, b]}", [("a!", 1, 1), ("or b?", 2, 1)]),
    ],
)
def test_a_shot_speaks_once_or_once_a_frame(write: Write, shot: str, expected: list[tuple[str, int, int]]) -> None:
    """A list with a text for each frame is one each; a list of another length is spoken as a whole."""
    board = write(f"vars: {{who: Ann}}\nscenes:\n- shots:\n  - {{prompt: silent}}\n  - {{{shot}}}\n")

    assert spoken(board) == expected


def test_a_scene_speaks_once_over_all_its_frames(write: Write) -> None:
    """From its first shot on; its templates know the first shot."""
    board = write(
        "scenes:\n- shots: [{prompt: x}]\n"
        "- narration: ['From {{ shot }}.', On.]\n  shots: [{id: a, prompt: x, frames: 2}, {prompt: y}]\n"
    )

    assert spoken(board) == [("From a.\nOn.", 1, 3)]


def test_a_recording_is_found_from_the_storyboards_folder(write: Write, tmp_path: Path) -> None:
    """It goes with the text that is spoken in it."""
    (tmp_path / "line.wav").touch()
    board = load_storyboard(write("scenes:\n- shots: [{prompt: x, narration: {file: line.wav, text: Hi.}}]\n"))

    [narration] = board.narrations

    assert (narration.text, narration.recording) == ("Hi.", board.path.parent / "line.wav")


@pytest.mark.parametrize(
    ("narrator", "expected"),
    [
        ("", Narrator()),
        ("narration: file", Narrator(voice="file")),
        ("narration: {voice: {command: say -o -}}", Narrator(voice="command: say -o -")),
        (
            "language: en-GB\nnarration: {speed: 1.25, gap: 12f, say: {Nguyen: win}, strict: true}",
            Narrator("hibari/heart", Fraction(5, 4), Fraction(1, 2), (("Nguyen", "win"),), True, "en-GB"),
        ),
    ],
)
def test_the_narrator_has_a_voice_and_a_pace(write: Write, narrator: str, expected: Narrator) -> None:
    """A plain value is the voice; times may be in video frames of the first output."""
    assert load_storyboard(write(f"{narrator}\nprompts: [x]\n")).narrator == expected


def test_a_command_is_split_as_a_shell_splits_it() -> None:
    """But no shell runs it."""
    assert command_of("command: piper --model 'en us'") == ("piper", "--model", "en us")
    assert command_of("hibari/heart") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("narration: hibari/hart\nprompts: [x]", "1:12: narration: unknown value 'hibari/hart'; did you mean 'hibari/heart'?"),
        ("narration: {speed: 3}\nprompts: [x]", "1:20: narration.speed: must be from 0.5 to 2, got 3"),
        ("narration: {say: {a b: c}}\nprompts: [x]", "1:18: narration.say: its keys are single words, without spaces; write one entry for each word"),
        ("narration: 'command:'\nprompts: [x]", '1:12: narration: names no program; write "command: PROGRAM", which reads text and writes a WAV'),
        ("narration: {voice: {command: 'a \"b'}}\nprompts: [x]", "1:20: narration.voice: the command cannot be read: No closing quotation; check its quotes"),
        ("scenes:\n- shots: [{prompt: x, hold: auto}]", "2:29: scenes[0].shots[0].hold: auto is as long as the narration, and there is none; add it, or a time"),
        ("scenes:\n- shots: [{prompt: x, narration: ''}]", "2:34: scenes[0].shots[0].narration: must not be empty"),
        ("scenes:\n- shots: [{prompt: x, narration: {file: gone.wav, text: Hi.}}]", "2:41: scenes[0].shots[0].narration.file: there is no sound file 'gone.wav'; names are from the storyboard's folder"),
        ("narration: file\nscenes:\n- shots: [{prompt: x, narration: Hi.}]", "3:34: scenes[0].shots[0].narration: is spoken by nobody, for voice: file speaks recordings alone; write {file: ..., text: ...}"),
        ("scenes:\n- narration: Hi.\n  shots: [{prompt: x, narration: Ho.}]", "3:34: scenes[0].shots[0].narration: cannot stand beside the scene's own, for two voices would speak at once; remove one"),
        ("scenes:\n- shots: [{prompt: x, narration: 'Take {{ frame }}.', frames: 2}]", "2:34: scenes[0].shots[0].narration: says something else for each of its frames, and is spoken once; write a list with one for each"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_place_and_its_cure(write: Write, text: str, expected: str) -> None:
    """Before anything is spoken."""
    assert problems(write(text)) == [f"board.yaml:{expected}"]


def test_a_silent_shot_that_inherits_auto_is_held_as_usual(write: Write) -> None:
    """Most boards set it once, for all."""
    board = load_storyboard(
        write("defaults: {hold: auto}\nscenes:\n- shots: [{prompt: x, narration: Hi.}, {prompt: y}]\n")
    )

    assert [frame.hold_s for frame in board.frames] == [None, Fraction(4)]


def test_what_a_voice_says_starts_at_its_cut_and_ends_before_the_next(write: Write) -> None:
    """Three frames share what a fourth leaves them; a short word's frame is still long enough for its transitions."""
    board = load_storyboard(
        write(
            "defaults: {hold: auto, transition: {type: dissolve, duration: 1s}}\nnarration: {gap: 0}\nscenes:\n"
            "- narration: Long.\n  shots: [{prompt: x, frames: 3}, {prompt: y, hold: 2}]\n"
            "- shots: [{prompt: z, narration: Short.}]\n"
        )
    )
    speeches = [Speech("", Path("a.wav"), Fraction(8), ()), Speech("", Path("b.wav"), Fraction("0.3"), ())]

    timeline = build_timeline(board, speeches=speeches)

    assert [(hold.start, hold.length, hold.half) for hold in timeline.holds] == [
        (0, 48, 12), (48, 48, 12), (96, 48, 12), (144, 48, 12), (192, 24, 0),
    ]  # fmt: skip
    assert [(one.speech, one.start, one.end) for one in timeline.spoken] == [
        (speeches[0], 0, 192), (speeches[1], 192, 216),
    ]  # fmt: skip
