"""A storyboard's file becomes a storyboard, or every problem in it with its place and its cure."""

import dataclasses
import os
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.budgets import Budgets
from pipelines.common.errors import StoryboardError
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.storyboard.format import yaml_tree
from pipelines.storyboard.importer.starter import starter_text
from pipelines.storyboard.loader import load_storyboard, load_storyboards, read_id
from pipelines.storyboard.model import BoardFrame, BoardScene, Delivery, SoundMix, Storyboard
from pipelines.storyboard.reading import MAX_BYTES
from tests.unit.storyboard.problems import Write, problems

REPOSITORY = Path(__file__).parents[3]


def prompts(board: Storyboard) -> list[str]:
    return [frame.prompt for frame in board.frames]


def test_titles_are_one_printable_line(write: Write) -> None:
    """They are printed, drawn, and written into the film and the page."""
    path = write('title: "a\\e[31m red\\ncat\\u202e"\nscenes: [{title: "\\x9b2J 👩‍🚀", shots: [{prompt: a}]}]\n')

    board = load_storyboard(path)

    assert (board.title, board.scenes[0].title) == (r"a\x1b[31m red cat\u202e", r"\x9b2J 👩‍🚀")


def test_the_short_form_is_a_title_and_a_list(write: Write) -> None:
    """Each prompt is a frame with every default."""
    path = write("title: Cats\nprompts: [a cat, no]\n")

    board = load_storyboard(path)

    assert (board.id, board.title, board.scenes) == ("board", "Cats", (BoardScene("main", "Cats"),))
    assert board.frames == (
        BoardFrame("main", "shot-1", "a cat", (), 4, AspectRatio.LANDSCAPE, Fraction(4), Fit.COVER),
        BoardFrame("main", "shot-2", "no", (), 4, AspectRatio.LANDSCAPE, Fraction(4), Fit.COVER),
    )
    assert (board.output.fps, board.output.size, board.output.codec, board.output.crf) == (
        Fraction(24),
        Size(1344, 768),
        "h264",
        18,
    )
    assert board.budgets == Budgets()


def test_a_shot_overrides_its_scene_and_a_scene_the_defaults(write: Write) -> None:
    """The innermost value counts."""
    board = load_storyboard(
        write(
            "defaults: {steps: 1, aspect: 1:1, hold: 1s, fit: contain}\n"
            "scenes:\n"
            "  - id: one\n"
            "    steps: 2\n"
            "    hold: 500ms\n"
            "    shots:\n"
            "      - {prompt: a, steps: 3, fit: error}\n"
            "      - {prompt: b, aspect: 3:4, hold: 96f}\n"
            "  - {id: two, title: The second, shots: [{id: only, prompt: c}]}\n"
        )
    )

    seen = [(frame.shot, frame.steps, frame.aspect.value, frame.hold_s, frame.fit.value) for frame in board.frames]
    assert seen == [
        ("shot-1", 3, "1:1", Fraction(1, 2), "error"),
        ("shot-2", 2, "3:4", 4, "contain"),
        ("only", 1, "1:1", 1, "contain"),
    ]
    assert board.scenes == (BoardScene("one", "one"), BoardScene("two", "The second"))


def test_a_matrix_turns_its_last_key_fastest(write: Write) -> None:
    """Four frames from two by two, in the order of the storyboard's design."""
    board = load_storyboard(
        write(
            "vars: {mood: golden hour}\n"
            'styles: {film: "{{ prompt }}, 35mm still, {{ mood }}"}\n'
            "scenes:\n  - shots:\n      - style: film\n        prompt: a harbor in {{ weather }} at {{ hour }}\n"
            "        matrix: {weather: [mist, rain], hour: [dawn, 6]}\n        fallback_prompts: ['{{ hour }}']\n"
        )
    )

    assert prompts(board) == [
        f"a harbor in {weather} at {hour}, 35mm still, golden hour"
        for weather in ("mist", "rain")
        for hour in ("dawn", "6")
    ]
    assert board.frames[1].fallback_prompts == ("6, 35mm still, golden hour",)


def test_zip_pairs_the_values_of_a_matrix(write: Write) -> None:
    """`match: zip` takes the first of each, then the second of each."""
    board = load_storyboard(
        write("scenes: [{shots: [{prompt: '{{ a }}{{ b }}', match: zip, matrix: {a: [x, y], b: [1, 2.50]}}]}]")
    )

    assert prompts(board) == ["x1", "y2.50"]


def test_keyframes_hold_until_the_next(write: Write) -> None:
    """`frames` says how many; without it the last keyframe is the last frame."""
    board = load_storyboard(
        write(
            "scenes: [{shots: [{prompts: {0: calm, 2: storm}, frames: 4}, {prompts: {0: a, 1: b}}, "
            "{prompt: 'take {{ frame }} of {{ scene }}/{{ shot }}', frames: 2}]}]"
        )
    )

    assert prompts(board) == [
        "calm", "calm", "storm", "storm", "a", "b", "take 0 of scene-1/shot-3", "take 1 of scene-1/shot-3",
    ]  # fmt: skip


def test_every_combination_gets_every_prompt(write: Write) -> None:
    """A matrix and a list of prompts multiply."""
    board = load_storyboard(write("scenes: [{shots: [{prompts: ['{{ a }}1', '{{ a }}2'], matrix: {a: [x, y]}}]}]"))

    assert prompts(board) == ["x1", "x2", "y1", "y2"]


def test_money_and_time_stay_exact(write: Write) -> None:
    """A tenth is a tenth, not the nearest binary fraction."""
    board = load_storyboard(write("budget: {usd: 0.1}\noutput: {fps: 23.976}\ndefaults: {hold: 0.1}\nprompts: [x]\n"))

    assert (board.budgets.run_usd, board.output.fps) == (Decimal("0.1"), Fraction(24000, 1001))
    assert board.frames[0].hold_s == Fraction(1, 10)


@pytest.mark.parametrize(
    ("fps", "exact"),
    [("24", 24), ("29.97", Fraction(30000, 1001)), ("59.94", Fraction(60000, 1001)), ("30000/1001", Fraction(30000, 1001)), ("12.5", Fraction(25, 2))],
)  # fmt: skip
def test_frame_rates_are_rational(write: Write, fps: str, exact: Fraction) -> None:
    """Broadcast's rounded names stand for the fractions that they mean."""
    assert load_storyboard(write(f"output: {{fps: {fps}}}\nprompts: [x]")).output.fps == exact


@pytest.mark.parametrize(
    ("board", "size"),
    [
        ("defaults: {aspect: 9:16}\nprompts: [x]", Size(768, 1344)),
        ("scenes: [{shots: [{prompt: x, aspect: 1:1}, {prompt: y}]}]", Size(1024, 1024)),
        ("output: {size: 640x360}\nprompts: [x]", Size(640, 360)),
    ],
)
def test_the_film_takes_the_size_of_its_aspect_ratio(write: Write, board: str, size: Size) -> None:
    """Unless `output.size` says otherwise: the defaults' aspect ratio, else the first frame's."""
    assert load_storyboard(write(board)).output.size == size


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film.yaml", "film"),
        ("My Film.yml", "My-Film"),
        ("..yaml", "storyboard"),
        ("a b$c.yaml", "a-b-c"),
        ("..x.yaml", "x"),
        ("ทะเล 🌊.yaml", "ทะเล-water-wave"),
    ],
)
def test_the_id_defaults_to_the_files_stem(tmp_path: Path, name: str, expected: str) -> None:
    """It names a folder, so that what is not safe in one becomes a dash."""
    path = tmp_path / name
    path.write_text("prompts: [x]")

    assert load_storyboard(path).id == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "storyreel.db.yaml",
            "prompts: [x]",
            "storyreel.db.yaml:1:1: id: 'storyreel.db' is the name of a file of storyreel's own in the output folder",
        ),
        (
            "film.yaml",
            "prompts: [x]\nid: nul",
            "film.yaml:2:5: id: 'nul' is the name of a device on Windows, where no folder can have it",
        ),
    ],
)
def test_an_id_that_no_folder_may_have_is_a_mistake(tmp_path: Path, name: str, text: str, expected: str) -> None:
    """Named by the file or by itself; the cure is the same."""
    (tmp_path / name).write_text(text)

    assert problems(tmp_path / name) == [f"{expected}; write another `id:` into the storyboard"]


def test_an_output_is_not_called_as_the_animatic(write: Write) -> None:
    """Its film would be the animatic's file; the first output's name is not in its file's."""
    path = write("output: [{name: animatic}, {name: animatic, codec: gif}]\nprompts: [x]")

    assert problems(path) == [
        "board.yaml:1:28: output[1]: 'animatic' ends the name of the animatic's own file; name it otherwise"
    ]


def test_a_films_name_that_no_file_system_takes_is_a_mistake(tmp_path: Path) -> None:
    """Before its frames are paid for."""
    path = tmp_path / f"{'港' * 80}.yaml"
    path.write_text("output: [{}, {name: for-the-wall}]\nprompts: [x]")

    assert problems(path) == [
        f"{path.name}:1:14: output[1]: its film's name would be 257 bytes long, more than the 255 that file systems "
        "allow; give the storyboard a shorter `id:`"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: harbor\nprompts: [x]", "harbor"),
        ("prompts: [x]", "board"),
        ("id:\nprompts: [x]", "board"),
        ("id: harbor\nprompt: [x]\nsteps: 99", "harbor"),
        ("steps: 99", "board"),
        ("id: No id", None),
        ("- a list", None),
        ("id: harbor\n[", None),
        ("", None),
    ],
)
def test_the_id_is_read_whatever_else_is_wrong(write: Write, text: str, expected: str | None) -> None:
    """A storyboard with mistakes is still that storyboard; what is no storyboard has none."""
    assert read_id(write(text)) == expected


def test_what_is_no_file_has_no_id(tmp_path: Path) -> None:
    """A pipe is not waited for."""
    os.mkfifo(tmp_path / "pipe.yaml")
    names = ["pipe.yaml", "gone.yaml", "", "n" * 300 + ".yaml"]

    assert [read_id(tmp_path / name) for name in names] == [None] * 4


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("audio: rain.wav", "audio: {track: rain.wav}"),
        ("output: youtube", "output: {preset: youtube}"),
        ("output: gif", "output: {preset: gif}"),
        ("output: [youtube, {preset: reel, fps: 24}, gif]", "output: [{preset: youtube}, {preset: reel, fps: 24}, {preset: gif}]"),
        ("budget: 0.25", "budget: {usd: 0.25}"),
        ("budget: 0", "budget: {usd: 0}"),
        ("defaults: {transition: wipe_up}", "defaults: {transition: {type: wipe_up}}"),
        ("defaults: {motion: pan_up}", "defaults: {motion: {type: pan_up}}"),
    ],
)  # fmt: skip
def test_a_plain_value_stands_for_a_mapping_with_its_main_key(write: Write, short: str, long: str) -> None:
    """Both come to the same storyboard, but for the column of the sound."""
    (write("").parent / "rain.wav").write_bytes(b"")

    boards = [load_storyboard(write(f"{text}\nprompts: [x]\n")) for text in (short, long)]

    first, second = (dataclasses.replace(board, sound=SoundMix((), False)) for board in boards)
    assert first == second
    assert [sound.file for sound in boards[0].sound.sounds] == [sound.file for sound in boards[1].sound.sounds]


ONE_SHOT = "scenes: [{{id: s, shots: [{{id: t, {}}}]}}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "board.yaml: is empty; a storyboard has keys: start with `title:` and `prompts:`"),
        ("- a", "board.yaml: is a list; a storyboard has keys: start with `title:` and `prompts:`"),
        ("title: x", "board.yaml:1:1: has neither scenes nor prompts; add `prompts:` with a list of what to show"),
        ("prompts: [x]\nscenes: [{shots: [{prompt: y}]}]", "board.yaml:1:10: prompts: cannot stand beside scenes; keep one of them"),
        ("prompts: []", "board.yaml:1:10: prompts: must not be empty"),
        ("prompts: x", "board.yaml:1:10: prompts: must be a list, got 'x'"),
        ("prompts: [5]", 'board.yaml:1:11: prompts[0]: must be text, got 5; put it in quotes: "5"'),
        ("prompts: ['']", "board.yaml:1:11: prompts[0]: must not be empty"),
        ('prompts: ["\\u200b \\u3164"]', "board.yaml:1:11: prompts[0]: must not be empty: all of its characters are invisible; write what it is to say"),
        ('title: "\\ufeff"\nprompts: [x]', "board.yaml:1:8: title: must not be empty: all of its characters are invisible; write what it is to say"),
        ('styles: {ink: "\\u2800"}\nprompts: [x]', "board.yaml:1:15: styles.ink: must not be empty: all of its characters are invisible; write what it is to say"),
        (ONE_SHOT.format('prompt: x, caption: "\\u00ad"'), "board.yaml:1:54: scenes.s.shots.t.caption: must not be empty: all of its characters are invisible; write what it is to say"),
        (ONE_SHOT.format('prompt: x, fallback_prompts: ["\\ufe0f"]'), "board.yaml:1:64: scenes.s.shots.t.fallback_prompts[0]: must not be empty: all of its characters are invisible; write what it is to say"),
        ("prompts: [x]\nversion: 2", "board.yaml:2:10: version: must be 1, got 2"),
        ("prompts: [x]\ntitel: y", "board.yaml:2:1: titel: unknown key; did you mean 'title'?"),
        ("prompts: [x]\ntitle: a\ntitle: b", "board.yaml:3:1: the key 'title' is there twice; remove one of them"),
        ("prompts: [x]\ndefaults: {steps: 0}", "board.yaml:2:19: defaults.steps: must be between 1 and 8, got 0"),
        ("prompts: [x]\ndefaults: {steps: 9}", "board.yaml:2:19: defaults.steps: must be between 1 and 8, got 9"),
        ("prompts: [x]\ndefaults: {steps: true}", "board.yaml:2:19: defaults.steps: must be a whole number from 1 to 8, got true"),
        ("prompts: [x]\ndefaults: {aspect: 16:10}", "board.yaml:2:20: defaults.aspect: must be one of 1:1, 16:9, 9:16, 4:3, 3:4, got '16:10'"),
        ("prompts: [x]\ndefaults: {hold: 1 hour}", "board.yaml:2:18: defaults.hold: must be a time like 4, 4s, 500ms or 96f (video frames), got '1 hour'"),
        ("prompts: [x]\ndefaults: {hold: 0}", "board.yaml:2:18: defaults.hold: must be a time like 4, 4s, 500ms or 96f (video frames), got 0"),
        ("prompts: [x]\ndefaults: {hold: 1.5f}", "board.yaml:2:18: defaults.hold: must be a whole number of video frames, got '1.5f'"),
        ("prompts: [x]\ndefaults: {hold: 999999s}", "board.yaml:2:18: defaults.hold: must be at most 86400 s, got '999999s'"),
        ("prompts: [x]\ndefaults: {hold: 10ms}", "board.yaml:2:18: defaults.hold: is shorter than one video frame, which is 41.67 ms here; write 1f or more"),
        ("prompts: [x]\ndefaults: {transition: disolve}", "board.yaml:2:24: defaults.transition: unknown value 'disolve'; did you mean 'dissolve'?"),
        ("prompts: [x]\ndefaults: {transition: {type: cut, duration: 1s}}", "board.yaml:2:24: defaults.transition: a cut takes nothing besides its type; remove duration"),
        ("prompts: [x]\ndefaults: {transition: {duration: 1s}}", "board.yaml:2:24: defaults.transition: lacks 'type'; add it"),
        ("prompts: [x, y]\ndefaults: {hold: 1s, transition: {type: dissolve, duration: 2s}}", "board.yaml:2:34: defaults.transition: a dissolve of 2 s does not fit: main/shot-1 is held for 1 s only; shorten it, hold the frame longer, or write transition: cut"),
        ("prompts: [x]\ndefaults: {motion: {type: push_in, amount: 2}}", "board.yaml:2:44: defaults.motion.amount: must be above 0 and up to 1, got 2"),
        ("prompts: [x]\ndefaults: {motion: {type: push_in, easy: in_out}}", "board.yaml:2:36: defaults.motion.easy: unknown key; did you mean 'ease'?"),
        ("prompts: [x]\naudio: {track: a.mp3}", "board.yaml:2:16: audio.track: there is no sound file 'a.mp3'; names are from the storyboard's folder"),
        (ONE_SHOT.format("prompt: x, sound: b.wav"), "board.yaml:1:52: scenes.s.shots.t.sound: there is no sound file 'b.wav'; names are from the storyboard's folder"),
        (ONE_SHOT.format("prompt: x, caption: '{{ y }}'"), "board.yaml:1:54: scenes.s.shots.t.caption: 'y' is not defined; choose one of frame, scene, shot, or add it to vars"),
        (ONE_SHOT.format("prompts: [x, y], motion: push_in, smooth: {}"), "board.yaml:1:59: scenes.s.shots.t.motion: cannot stand beside smooth, which moves the picture; remove one"),
        ("prompts: [x]\noutput: {size: 101x99}", "board.yaml:2:16: output.size: must be even in both directions, got 101x99; try 102x100"),
        ("prompts: [x]\noutput: {size: big}", "board.yaml:2:16: output.size: must be a width and a height in pixels, like 1344x768, got 'big'"),
        ("prompts: [x]\noutput: {size: 9000x9000}", "board.yaml:2:16: output.size: must be from 2x2 to 7680x7680 pixels, got 9000x9000"),
        ("prompts: [x]\noutput: {fps: 0}", "board.yaml:2:15: output.fps: must be a rate from 1 to 240 like 24, 23.976 or 30000/1001, got 0"),
        ("prompts: [x]\noutput: {fps: fast}", "board.yaml:2:15: output.fps: must be a rate from 1 to 240 like 24, 23.976 or 30000/1001, got 'fast'"),
        ("prompts: [x]\noutput: {codec: av2}", "board.yaml:2:17: output.codec: unknown value 'av2'; did you mean 'av1'?"),
        ("prompts: [x]\noutput: {fit: error}", "board.yaml:2:15: output.fit: must be one of cover, contain, stretch, got 'error'"),
        ("prompts: [x]\noutput: 5", "board.yaml:2:9: output: unknown value 5; choose one of av1, gif, h264, h265, prores, reel, square, vp9, webp, youtube"),
        ("prompts: [x]\nbudget: {}", "board.yaml:2:9: budget: lacks a cap; add usd or total_usd"),
        ("prompts: [x]\nbudget: {usd: free}", "board.yaml:2:15: budget.usd: must be an amount in US dollars like 0.25, got 'free'"),
        ("prompts: [x]\nvars: {a: [1]}", "board.yaml:2:11: vars.a: must be text or a number, got a list; put a text that begins with [ or - in quotes"),
        ("prompts: [x]\nvars: {a-b: 1}", "board.yaml:2:13: vars.a-b: must be a name of letters, digits and _, not starting with a digit, got 'a-b'"),
        ("prompts: [x]\nid: ../../x", "board.yaml:2:5: id: must be lower-case words joined by - or _, like old-harbor, got '../../x'"),
        ("scenes: [{id: ../../x, shots: [{prompt: x}]}]", "board.yaml:1:15: scenes[0].id: must be lower-case words joined by - or _, like old-harbor, got '../../x'"),
        ("scenes: [{id: a}]", "board.yaml:1:10: scenes.a: lacks 'shots'; add it"),
        ("scenes: [{id: a, shots: []}]", "board.yaml:1:25: scenes.a.shots: must not be empty"),
        ("scenes: [{id: a, shots: [{prompt: x}]}, {id: a, shots: [{prompt: y}]}]", "board.yaml:1:46: scenes.a.id: 'a' is there twice among the scenes; ids are unique"),
        ("scenes: [{id: s, shots: [{id: a, prompt: x}, {id: a, prompt: y}]}]", "board.yaml:1:51: scenes.s.shots.a.id: 'a' is there twice among the shots of the scene 's'; ids are unique"),
        (ONE_SHOT.format("steps: 1"), "board.yaml:1:26: scenes.s.shots.t: has neither prompt nor prompts; add what it is to show"),
        (ONE_SHOT.format("prompt: x, prompts: [y]"), "board.yaml:1:54: scenes.s.shots.t.prompts: cannot stand beside prompt; keep one of them"),
        (ONE_SHOT.format("prompts: [y], frames: 2"), "board.yaml:1:56: scenes.s.shots.t.frames: cannot stand beside a list of prompts, which says itself how many frames there are; remove it"),
        (ONE_SHOT.format("prompts: {1: y}"), "board.yaml:1:43: scenes.s.shots.t.prompts: must have a prompt at 0, where the shot begins"),
        (ONE_SHOT.format("prompts: {0: x, 3: y}, frames: 3"), "board.yaml:1:65: scenes.s.shots.t.frames: must be at least 4: the last keyframe stands at 3, counted from 0"),
        (ONE_SHOT.format("prompts: {0: x, -1: y}"), "board.yaml:1:54: scenes.s.shots.t.prompts[-1]: must be between 0 and 1000000, got -1"),
        (ONE_SHOT.format("prompts: 5"), "board.yaml:1:43: scenes.s.shots.t.prompts: must be a list of prompts, or keyframes like {0: calm sea, 4: a storm}, got 5"),
        (ONE_SHOT.format("prompt: x, match: zip"), "board.yaml:1:52: scenes.s.shots.t.match: says how a matrix is read; add matrix"),
        (ONE_SHOT.format("prompt: x, match: zip, matrix: {a: [1], b: [1, 2]}"), "board.yaml:1:65: scenes.s.shots.t.matrix: must have equally many values for match: zip, but a has 1, b has 2"),
        (ONE_SHOT.format("prompt: x, matrix: {a: []}"), "board.yaml:1:57: scenes.s.shots.t.matrix.a: must not be empty"),
        (ONE_SHOT.format("prompt: x, style: film"), "board.yaml:1:52: scenes.s.shots.t.style: no style is called 'film'; there are no styles"),
        ("styles: {film: x}\n" + ONE_SHOT.format("prompt: x, style: flim"), "board.yaml:2:52: scenes.s.shots.t.style: no style is called 'flim'; did you mean 'film'?"),
        ("vars: {mood: x}\nprompts: ['{{ mod }}']", "board.yaml:2:11: prompts[0]: 'mod' is not defined; did you mean 'mood'?, or add it to vars"),
        ("prompts: ['{{ x|upper }}']", "board.yaml:1:11: prompts[0]: 'x' is not defined; choose one of frame, scene, shot, or add it to vars"),
        ("prompts: ['{{ x']", "board.yaml:1:11: prompts[0]: is not a valid template: unexpected end of template, expected 'end of print statement'."),
        ("prompts: ['{{ \"\".__class__ }}']", "board.yaml:1:11: prompts[0]: reads the attribute '__class__', which templates may not; remove it"),
        ("prompts: ['{{ scene.upper() }}']", "board.yaml:1:11: prompts[0]: uses 'call', which prompts cannot; they have names, filters and if; for variations use matrix"),
        ("prompts: ['{{ scene[shot] }}']", "board.yaml:1:11: prompts[0]: indexes with something other than a number or a word; write it out"),
        ("prompts: ['{{ scene|center(99) }}']", "board.yaml:1:11: prompts[0]: uses the filter 'center'; choose one of abs, capitalize, d, default, first, float, int, last, length, lower, round, string, title, trim, upper"),
        ("prompts: ['{{ scene|int(1) + \"x\" }}']", "board.yaml:1:11: prompts[0]: cannot be filled in: unsupported operand type(s) for +: 'int' and 'str'"),
        ("prompts: ['{% if 0 %}x{% endif %}']", "board.yaml:1:11: prompts[0]: is 0 characters once filled in; prompts have 1 to 2,048"),
        ('vars: {x: "\\u2060"}\nprompts: ["{{ x }} {{ x }}"]', "board.yaml:2:11: prompts[0]: shows nothing once filled in: all of its characters are invisible; write words"),
        ('vars: {x: "\\u0301"}\nscenes: [{id: s, shots: [{id: t, prompt: x, caption: "{{ x }}"}]}]', "board.yaml:2:54: scenes.s.shots.t.caption: shows nothing once filled in: all of its characters are invisible; write words"),
        (f"prompts: ['{'x' * 2049}']", "board.yaml:1:11: prompts[0]: is 2,049 characters once filled in; prompts have 1 to 2,048"),
        (f"prompts: ['{{{{ scene|upper }}}}{'x' * 8192}']", "board.yaml:1:11: prompts[0]: is a template of more than 8192 characters; shorten it"),
        (f"prompts: ['{{{{ {'(' * 3000} }}}}']", "board.yaml:1:11: prompts[0]: is a template nested too deeply; simplify it"),
        ('prompts: ["a\\u0007b"]', "board.yaml:1:11: prompts[0]: holds the control character '\\x07'; remove it"),
        ("max_frames: 2\nprompts: [a, b, c]", "board.yaml:2:17: prompts[2]: brings the storyboard to 3 frames, more than 2; ask for fewer, or raise max_frames"),
        ("defaults: {hold: 86400}\nprompts: [a, b]", "board.yaml:1:1: the film would be 48.0 hours long, more than 24"),
        ("a: [1", "board.yaml:1:4: is never closed; add ] at its end"),
        ("a: &x [*x]", "board.yaml:1:8: *x names no anchor before it; write &x there, or put a text that begins with * in quotes"),
        ("<<: {a: 1}", "board.yaml:1:1: merge keys (<<) are not supported; use `defaults`, which scenes and shots inherit"),
        ("[a]: b", "board.yaml:1:1: a key must be a word or a whole number"),
        ("prompts: !!python/object:os.system [x]", "board.yaml:1:10: the tag 'tag:yaml.org,2002:python/object:os.system' is not supported; remove it"),
        ("prompts: [!!float x]", "board.yaml:1:11: the tag 'tag:yaml.org,2002:float' is not supported; remove it"),
        ("prompts: [x]\n---\nprompts: [y]", "board.yaml:2:1: a second document starts here; a storyboard is one document, drop the ---"),
    ],
)  # fmt: skip
def test_every_mistake_is_reported_with_its_place_and_its_cure(write: Write, text: str, expected: str) -> None:
    """One mistake, one problem, in words that a person can act on."""
    (problem,) = problems(write(text))

    assert problem == expected


def test_all_mistakes_are_reported_at_once_in_file_order(write: Write) -> None:
    """Wrong values, unknown keys and undefined names in different places come in one go."""
    path = write(
        "title: 12\n"
        "output: {crf: 99}\n"
        "scenes:\n"
        "  - id: arrival\n"
        "    shots:\n"
        "      - {id: wide, prompt: '{{ nope }}', steps: 12}\n"
        "      - {id: near, prompt: x, colour: red}\n"
    )

    assert problems(path) == [
        'board.yaml:1:8: title: must be text, got 12; put it in quotes: "12"',
        "board.yaml:2:15: output.crf: must be between 0 and 51, got 99",
        "board.yaml:6:28: scenes.arrival.shots.wide.prompt: 'nope' is not defined; choose one of frame, scene, shot, "
        "or add it to vars",
        "board.yaml:6:49: scenes.arrival.shots.wide.steps: must be between 1 and 8, got 12",
        "board.yaml:7:31: scenes.arrival.shots.near.colour: unknown key; choose one of steps, aspect, hold, "
        "transition, motion, takes, caption, style, fit, id, prompt, prompts, frames, matrix, match, narration, "
        "sound, smooth, fallback_prompts",
    ]


def test_an_issue_that_follows_from_a_misspelled_key_is_not_reported(write: Write) -> None:
    """A misspelled matrix makes its names undefined; only the spelling is the user's mistake."""
    path = write("scenes: [{shots: [{prompt: '{{ a }}', matrx: {a: [1]}}]}]")

    assert problems(path) == ["board.yaml:1:39: scenes[0].shots[0].matrx: unknown key; did you mean 'matrix'?"]


def test_a_matrix_of_a_million_is_counted_not_built(write: Write) -> None:
    """The limit is reported at once."""
    values = ", ".join(map(str, range(1000)))
    path = write(f"scenes: [{{shots: [{{prompt: x, matrix: {{a: [{values}], b: [{values}]}}}}]}}]")

    (problem,) = problems(path)

    assert "brings the storyboard to 1,000,000 frames, more than 10,000" in problem


def test_files_that_are_no_storyboard(tmp_path: Path) -> None:
    """Each is reported with its own reason."""
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\x7fELF\xff\xfe")
    large.write_bytes(b"#" * 10_000_000)
    cases = [tmp_path / "none.yaml", tmp_path, binary, large, Path("a\0b")]

    reasons = [problems(path)[0].rpartition(": ")[2] for path in cases]

    assert reasons == [
        "there is no such file; `storyreel new` writes one to start from",
        "is a folder; name the storyboard in it",
        "is not UTF-8 text (byte 4); save it as UTF-8",
        f"is larger than {MAX_BYTES >> 20} MiB; split it into several storyboards",
        "there is no such file; `storyreel new` writes one to start from"
        if reasons[-1].startswith("there")
        else reasons[-1],
    ]


def test_an_unreadable_file_is_reported(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's reason is passed on."""
    path = write("prompts: [x]")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    assert problems(path) == ["board.yaml: cannot be read: Permission denied"]


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100_000, "is nested more than 50 levels deep"),
        ("a: " + "{a: " * 60 + "}" * 60, "is nested more than 50 levels deep"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
            "holds more than 500,000 values once its aliases are expanded",
        ),
    ],
)
def test_bombs_are_refused_quickly(
    write: Write, monkeypatch: pytest.MonkeyPatch, loader: str, text: str, expected: str
) -> None:
    """Neither depth nor aliases cost more than reading the file does."""
    monkeypatch.setattr(yaml_tree, "_Loader", getattr(yaml, loader))
    started = time.process_time()

    (problem,) = problems(write(text))

    assert expected in problem
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16:9", "16:9"), ("no", "no"), ("yes", "yes"), ("on", "on"), ("0o17", 15), ("0x1F", 31), ("-12", -12),
        ("1.50", Decimal("1.50")), ("1e3", Decimal("1e3")), (".5", Decimal(".5")), ("~", None), ("true", True),
        ("'12'", "12"), ("!!str 12", "12"), ("! 12", "12"), ("2026-11-23", "2026-11-23"), ("1_000", "1_000"), (".inf", ".inf"),
        ("99999999999999999999", Decimal(99999999999999999999)),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    """Text that YAML 1.1 takes for numbers and booleans stays text."""
    found = yaml_tree.parse_yaml(f"a: {text}").data["a"]

    assert (found, type(found)) == (value, type(value))


def test_half_a_character_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's Python parser lets it pass where its C parser does not; no file or request could hold it."""
    monkeypatch.setattr(yaml_tree, "_Loader", yaml.SafeLoader)

    found = problems(write('prompts: ["a\\ud800b"]'))

    assert found == ["board.yaml:1:11: prompts[0]: holds half of a surrogate pair, which is no character; remove it"]


def test_aliases_and_a_byte_order_mark_work(tmp_path: Path) -> None:
    """Plain reuse is fine."""
    path = tmp_path / "board.yaml"
    path.write_bytes("\ufeffdefaults: &d {steps: 2}\nscenes: [{shots: [&s {prompt: a}, *s]}]\n".encode())

    assert [(frame.shot, frame.steps) for frame in load_storyboard(path).frames] == [("shot-1", 2), ("shot-2", 2)]


def test_the_problems_of_several_storyboards_come_together(tmp_path: Path) -> None:
    """The good ones are loaded, the problems of all others are reported together."""
    good, bad, worse = (tmp_path / name for name in ("good.yaml", "bad.yaml", "worse.yaml"))
    good.write_text("prompts: [x]")
    bad.write_text("prompts: [1]")
    worse.write_text("- x")

    with pytest.raises(StoryboardError) as caught:
        load_storyboards([good, bad, worse])

    assert len(caught.value.problems) == 2
    assert [board.id for board in load_storyboards([good])] == ["good"]


def test_the_starter_and_the_examples_are_sound(tmp_path: Path) -> None:
    """The starter that `storyreel new` writes and the storyboards in configs/ can be rendered."""
    starter = tmp_path / "starter.yaml"
    starter.write_text(starter_text())
    examples = sorted((REPOSITORY / "configs/storyboards").glob("*.yaml"))

    counts = {board.id: len(board.frames) for board in load_storyboards([starter, *examples])}

    assert counts == {"starter": 9, "cat-in-a-garden": 7, "four-seasons": 10, "harbor-at-dawn": 21, "the-keeper": 19}


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_no_text_gets_past_our_own_errors(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Any text comes to a storyboard or a StoryboardError."""
    path = tmp_path_factory.mktemp("fuzz") / "board.yaml"
    path.write_bytes(text.encode())

    try:
        load_storyboard(path)
    except StoryboardError as exc:
        assert exc.problems


KEYS = [
    "title",
    "prompts",
    "scenes",
    "shots",
    "prompt",
    "steps",
    "hold",
    "matrix",
    "frames",
    "id",
    "output",
    "size",
    "style",
]
VALUES = st.recursive(
    st.sampled_from(["x", "1", "0", "-1", "1.5", "16:9", "true", "~", "'{{ a }}'", "'{% for %}'", "1s", "96f"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from([*KEYS, "0", "1"]), inner, max_size=3).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(entries=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_no_shape_gets_past_our_own_errors(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, str]) -> None:
    """Known keys with values of any shape end in a storyboard or in a StoryboardError that names a place."""
    path = tmp_path_factory.mktemp("fuzz") / "board.yaml"
    path.write_text("\n".join(f"{key}: {value}" for key, value in entries.items()))

    try:
        load_storyboard(path)
    except StoryboardError as exc:
        assert all(problem.message for problem in exc.problems)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), frames=st.integers(1, 3))
def test_a_matrix_has_the_product_of_its_lengths(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], frames: int
) -> None:
    """Every combination is there once, for each of its frames."""
    names = [f"k{index}" for index in range(len(sizes))]
    matrix = ", ".join(f"{name}: {list(range(size))}" for name, size in zip(names, sizes, strict=True))
    prompt = " ".join(f"{{{{ {name} }}}}" for name in [*names, "frame"])
    path = tmp_path_factory.mktemp("matrix") / "board.yaml"
    path.write_text(f"scenes: [{{shots: [{{prompt: '{prompt}', matrix: {{{matrix}}}, frames: {frames}}}]}}]")

    seen = prompts(load_storyboard(path))

    total = frames
    for size in sizes:
        total *= size
    # `frame` counts on through the shot, so no two prompts are alike.
    assert len(seen) == len(set(seen)) == total


def test_a_preset_brings_what_its_platform_asks_for(write: Write) -> None:
    """An output of another codec is held to nothing, and `max_bitrate` holds for any of H.264."""
    board = load_storyboard(
        write(
            "output: [youtube, {preset: reel, max_bitrate: 2.5M}, {preset: square, codec: gif}, "
            "{name: small, max_bitrate: 800k}]\nprompts: [x]"
        )
    )

    assert [output.delivery for output in board.outputs] == [
        Delivery(Fraction(1, 2), 2, None, 384_000, edit_list=False),
        Delivery(None, None, 2_500_000, 128_000, edit_list=False),
        Delivery(),
        Delivery(max_bitrate=800_000),
    ]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("{max_bitrate: 25}", "must be bits a second from 64k to 200M, like 25M, got 25"),
        ("{max_bitrate: 25000000}", "got 25000000; did you mean '25000k'?"),
        ("{max_bitrate: 25 Mbps}", "got '25 Mbps'; did you mean '25M'?"),
        ("{max_bitrate: 8000K}", "got '8000K'; did you mean '8000k'?"),
        ("{max_bitrate: 1k}", "like 25M, got '1k'"),
        ("{max_bitrate: 999999M}", "like 25M, got '999999M'"),
        ("{max_bitrate: true}", "must be bits a second from 64k to 200M, like 25M, got true"),
        ("{codec: vp9, max_bitrate: 25M}", "holds for h264 only, not for vp9; remove it"),
        ("{preset: reel, codec: gif, max_bitrate: 25M}", "holds for h264 only, not for gif; remove it"),
    ],
)
def test_a_highest_bitrate_that_cannot_hold_is_an_error_at_its_place(write: Write, output: str, expected: str) -> None:
    """With its cure."""
    (problem,) = problems(write(f"output: {output}\nprompts: [x]"))

    assert problem.startswith("board.yaml:1:")
    assert "output.max_bitrate: " in problem
    assert problem.endswith(expected)
