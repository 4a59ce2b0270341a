"""The commands about a storyboard's file: new, check, plan, schema."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.storyboard.loader import load_storyboard
from tests.conftest import Ended
from tests.unit.cli.conftest import BOARD

REPOSITORY = Path(__file__).parents[3]


def test_plan_quotes_to_the_last_digit(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """The quote as JSON: one object, money as strings; nothing is written."""
    ended = invoke("plan", "harbor.yaml", "--json")

    assert ended.exit_code == 0
    assert ended.json == {
        "storyboard": "harbor",
        "frames": 3,
        "reuse": 0,
        "generate": 3,
        "generate_again": {"gone": 0, "unreadable": 0},
        "cost_usd": "0.001956",
        "worst_case_usd": "0.007824",
        "cost_thb": "0.06846",
        "neurons": "172.8",
        "video_seconds": 6.0,
        "video_frames": 144,
        "narration_seconds": 0.0,
        "words": 0,
        "seconds_at_rate_limit": 0.25,
        # How fast it encodes depends on the machine.
        "seconds_until_finished": pytest.approx(8, abs=3),
        "notes": [],
    }
    assert not (tmp_path / "outputs").exists()


@pytest.mark.usefixtures("first_take")
def test_plan_counts_only_what_is_not_generated(invoke: Callable[..., Ended]) -> None:
    """A kept take is reused, and people read so on stderr."""
    ended = invoke("plan", "harbor.yaml")

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert re.sub(r"about \d+ s", "about ... s", ended.stderr) == (
        "Harbor\n"
        "  frames      3: 2 to generate, 1 to reuse\n"
        "  cost        0.001304 USD, 0.04564 THB, 115.2 neurons, simulated: sketches are free\n"
        "  worst case  0.005216 USD, if every re-send is made and billed\n"
        "  film        6.0 s, 144 video frames, 1024x1024\n"
        "  time        about ... s until the film is there (0.2 s at 720 requests a minute)\n"
    )


@pytest.mark.usefixtures("first_take")
def test_a_sketch_never_stands_in_for_a_generated_frame(invoke: Callable[..., Ended]) -> None:
    """With a real endpoint, the sketches count for nothing."""
    ended = invoke("plan", "harbor.yaml", "--json", "--endpoint", "https://flux.example.workers.dev")

    assert ended.json["reuse"] == 0


def test_check_prints_every_problem_of_every_storyboard(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Exit code 2, one object, the good ones marked as good."""
    (tmp_path / "bad.yaml").write_text("prompts: [1]\ntitel: x\n")

    ended = invoke("check", "harbor.yaml", "bad.yaml", "--json")

    problems = [
        'bad.yaml:1:11: prompts[0]: must be text, got 1; put it in quotes: "1"',
        "bad.yaml:2:1: titel: unknown key; did you mean 'title'?",
    ]
    assert ended.exit_code == 2
    assert ended.json == {
        "ok": False,
        "notes": [],
        "storyboards": [
            {"path": "harbor.yaml", "ok": True, "problems": [], "notes": [], "frames": 3, "video_seconds": 6.0},
            {"path": "bad.yaml", "ok": False, "problems": problems, "notes": []},
        ],
    }
    assert ended.stderr == "harbor.yaml: ok, 3 frames, 6.0 s\n" + "\n".join(problems) + "\n"


def test_check_counts_one_frame_in_the_singular(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """As every message does."""
    (tmp_path / "short.yaml").write_text("prompts: [a harbor]\n")

    assert invoke("check", "short.yaml").stderr == "short.yaml: ok, 1 frame, 4.0 s\n"


def test_check_reads_every_sound(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """A file that is no sound is named with its place."""
    (tmp_path / "noise.wav").write_text("no sound")
    (tmp_path / "harbor.yaml").write_text(f"audio: {{track: noise.wav}}\n{BOARD}")

    ended = invoke("check", "harbor.yaml")

    assert ended.exit_code == 2
    assert ended.stderr.startswith("harbor.yaml:1:16: audio.track: noise.wav: is no sound that ffmpeg reads")


def test_new_writes_a_storyboard_that_is_sound(invoke: Callable[..., Ended]) -> None:
    """And never over something that is there."""
    first, again = invoke("new", "films/mine.yaml"), invoke("new", "films/mine.yaml")

    assert (first.exit_code, again.exit_code) == (0, 2)
    assert again.stderr == "films/mine.yaml: exists already and is left as it is; choose another name\n"
    assert invoke("check", "films/mine.yaml").exit_code == 0


def test_new_wants_a_yaml_name(invoke: Callable[..., Ended]) -> None:
    """With the cure."""
    ended = invoke("new", "mine")

    assert (ended.exit_code, ended.stderr) == (2, "mine: a storyboard's name ends in .yaml: storyreel new mine.yaml\n")


def test_new_writes_the_deployments_for_prefect(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Those of the repository, which somebody who installed a wheel does not have."""
    ended = invoke("new", "prefect.yaml", "--deployments")

    next_step = "name your storyboards in it, then prefect deploy --all"
    assert (ended.exit_code, ended.stderr) == (0, f"prefect.yaml: written; next: {next_step}\n")
    assert (tmp_path / "prefect.yaml").read_text() == (REPOSITORY / "prefect.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prefect"], "prefect: Prefect reads prefect.yaml: storyreel new prefect.yaml --deployments"),
        (
            ["prefect.yaml", "--from", "prompts.txt"],
            "--deployments and --from: a file of deployments holds no prompts; leave one of them out",
        ),
    ],
)
def test_new_says_what_is_wrong_with_a_request_for_deployments(
    invoke: Callable[..., Ended], tmp_path: Path, arguments: list[str], message: str
) -> None:
    """And writes nothing."""
    ended = invoke("new", *arguments, "--deployments")

    assert (ended.exit_code, ended.stderr) == (2, f"{message}\n")
    assert not list(tmp_path.glob("prefect*"))


def test_new_writes_what_a_list_says(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Ready to be quoted."""
    (tmp_path / "prompts.txt").write_text("a harbor\na storm\n")

    ended = invoke("new", "my-film.yaml", "--from", "prompts.txt")

    assert (ended.exit_code, ended.stderr) == (0, "my-film.yaml: written; next: storyreel plan my-film.yaml\n")
    assert invoke("plan", "my-film.yaml", "--json").json["frames"] == 2


def test_new_writes_nothing_where_a_list_is_wrong(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Its line is named."""
    (tmp_path / "prompts.csv").write_text("prompt,steps\na harbor,4\na storm,9\n")

    ended = invoke("new", "my-film.yaml", "--from", "prompts.csv")

    assert (ended.exit_code, ended.stderr) == (2, "prompts.csv:3: steps: must be between 1 and 8, got 9\n")
    assert not (tmp_path / "my-film.yaml").exists()


def test_new_tells_what_of_a_list_it_did_not_take_as_it_is(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """In notes, for people and for programs, before anything is generated; the storyboard is written."""
    (tmp_path / "prompts.txt").write_text("Your prompts:\n1. a harbor\n---\n#2 a storm\n")
    notes = [
        "prompts.txt:1:1: note: a colon at the end of line 1; is that a prompt? remove it if not",
        "prompts.txt:2:1: note: the numbering or list mark of line 2 was stripped; to keep one, give the prompts as a "
        ".csv",
        "prompts.txt:3:1: note: line 3 left out, without a letter or digit; to ask for one, say it in words",
        "prompts.txt:4:1: note: line 4 without a number or list mark, which others have; is that a prompt? remove it "
        "if not",
    ]

    ended = invoke("new", "my-film.yaml", "--from", "prompts.txt", "--json")

    assert (ended.exit_code, ended.json) == (0, {"path": "my-film.yaml", "notes": notes})
    assert ended.stderr.splitlines() == [*notes, "my-film.yaml: written; next: storyreel plan my-film.yaml"]
    prompts = [frame.prompt for frame in load_storyboard(tmp_path / "my-film.yaml").frames]
    assert prompts == ["Your prompts:", "a harbor", "#2 a storm"]


def test_new_takes_notes_for_errors_where_it_is_strict(
    invoke: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the option, or by the setting; nothing is written. A list without notes is."""
    (tmp_path / "marked.txt").write_text("- a harbor\n")
    (tmp_path / "plain.txt").write_text("a harbor\n")
    note = "marked.txt:1:1: note: the numbering or list mark of line 1 was stripped; to keep one, give the prompts as a"

    by_option = invoke("new", "a.yaml", "--from", "marked.txt", "--strict")
    monkeypatch.setenv("STORYREEL_STRICT", "1")
    by_setting, plain = invoke("new", "b.yaml", "--from", "marked.txt"), invoke("new", "c.yaml", "--from", "plain.txt")

    assert (by_option.exit_code, by_setting.exit_code, plain.exit_code) == (2, 2, 0)
    assert by_option.stderr == by_setting.stderr == f"{note} .csv\n"
    assert [(tmp_path / name).exists() for name in ("a.yaml", "b.yaml", "c.yaml")] == [False, False, True]


def test_schema_prints_the_schema(invoke: Callable[..., Ended]) -> None:
    """The same that configs/ ships."""
    shipped = (REPOSITORY / "configs/storyboard.schema.json").read_text()

    printed = invoke("schema").stdout

    assert printed == shipped
    assert json.loads(printed)["type"] == "object"
