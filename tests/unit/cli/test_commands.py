"""The command, but for rendering: what it answers, what it says, how it exits."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest

from pipelines.cli import main as cli
from pipelines.cli.main import storyreel as command
from pipelines.common.errors import StoryreelError
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.gate import Gate
from pipelines.ledger.models import AttemptRequest, Billed, NewTake, Permit
from pipelines.ledger.runs import start_run
from pipelines.ledger.settlement import keep_take, settle_bill
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from tests.conftest import clean_environment
from tests.support.builders import run as a_run

REPOSITORY = Path(__file__).parents[3]
BOARD = "title: Harbor\ndefaults: {aspect: 1:1, hold: 2s}\nprompts: [a, b, c]\n"


@dataclass(frozen=True, slots=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def storyreel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Return a function that runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STORYREEL_ENDPOINT", raising=False)
    (tmp_path / "harbor.yaml").write_text(BOARD)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        exit_code = cli.run(arguments)
        said = capsys.readouterr()
        return Ended(exit_code, said.out, said.err)

    return run


def buy_first_frame(folder: Path) -> None:
    """Enter the first frame of harbor.yaml as bought, and its file."""
    plan = plan_frames(load_storyboard(folder / "harbor.yaml"), model="sketch")
    spec = plan.frames[0]
    run = a_run(storyboard="harbor", model="sketch", simulated=True)
    takes = folder / "outputs/harbor/takes"
    takes.mkdir(parents=True)
    (takes / f"{spec.request_key}.png").write_bytes(b"12345")
    with LedgerDatabase(f"sqlite:///{folder}/outputs/storyreel.db") as books:
        start_run(books, run)
        admitted = Gate(books, run, rate_limit=720).admit(AttemptRequest(spec, spec.prompt, 1))
        assert isinstance(admitted, Permit)
        settle_bill(books, admitted.attempt_id, Billed(Decimal("0.000652"), Decimal("57.6"), 4))
        sha256 = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
        keep_take(books, admitted.attempt_id, NewTake(f"takes/{spec.request_key}.png", 5, sha256, 1024, 1024))


def test_plan_quotes_to_the_last_digit(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """The quote as JSON: one object, money as strings; nothing is written."""
    ended = storyreel("plan", "harbor.yaml", "--json")

    assert ended.exit_code == 0
    assert json.loads(ended.stdout) == {
        "storyboard": "harbor",
        "frames": 3,
        "reuse": 0,
        "generate": 3,
        "cost_usd": "0.001956",
        "worst_case_usd": "0.007824",
        "cost_thb": "0.06846",
        "neurons": "172.8",
        "video_seconds": 6.0,
        "video_frames": 144,
        "seconds_at_rate_limit": 0.25,
    }
    assert not (tmp_path / "outputs").exists()


def test_plan_counts_only_what_is_not_bought(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """A kept take is reused, and told to a person on stderr."""
    buy_first_frame(tmp_path)

    ended = storyreel("plan", "harbor.yaml")

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert ended.stderr == (
        "Harbor\n"
        "  frames      3: 2 to buy, 1 to reuse\n"
        "  cost        0.001304 USD, 0.04564 THB, 115.2 neurons (simulated: sketches are free)\n"
        "  worst case  0.005216 USD, if every re-send is made and billed\n"
        "  film        6.0 s, 144 video frames, 1024x1024\n"
        "  time        0.2 s at 720 requests a minute\n"
    )


def test_a_sketch_never_stands_in_for_a_bought_frame(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """With a real endpoint, the sketches count for nothing."""
    buy_first_frame(tmp_path)

    ended = storyreel("plan", "harbor.yaml", "--json", "--endpoint", "https://flux.example.workers.dev")

    assert json.loads(ended.stdout)["reuse"] == 0


def test_check_tells_every_problem_of_every_storyboard(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """Exit code 2, one object, the good ones told as good."""
    (tmp_path / "bad.yaml").write_text("prompts: [1]\ntitel: x\n")

    ended = storyreel("check", "harbor.yaml", "bad.yaml", "--json")

    problems = [
        'bad.yaml:1:11: prompts[0]: must be text, got 1; put it in quotes: "1"',
        "bad.yaml:2:1: titel: unknown key; did you mean 'title'?",
    ]
    assert ended.exit_code == 2
    assert json.loads(ended.stdout) == {
        "ok": False,
        "storyboards": [
            {"path": "harbor.yaml", "ok": True, "problems": [], "frames": 3, "video_seconds": 6.0},
            {"path": "bad.yaml", "ok": False, "problems": problems},
        ],
    }
    assert ended.stderr == "harbor.yaml: ok, 3 frames, 6.0 s\n" + "\n".join(problems) + "\n"


def test_new_writes_a_storyboard_that_is_sound(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """And never over something that is there."""
    first, again = storyreel("new", "films/mine.yaml"), storyreel("new", "films/mine.yaml")

    assert (first.exit_code, again.exit_code) == (0, 2)
    assert again.stderr == "films/mine.yaml: is there already and is left as it is; choose another name\n"
    assert storyreel("check", "films/mine.yaml").exit_code == 0


def test_new_wants_a_yaml_name(storyreel: Callable[..., Ended]) -> None:
    """With the cure."""
    ended = storyreel("new", "mine")

    assert (ended.exit_code, ended.stderr) == (2, "mine: a storyboard's name ends in .yaml: storyreel new mine.yaml\n")


def test_new_writes_what_a_list_says(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """Ready to be quoted."""
    (tmp_path / "prompts.txt").write_text("a harbor\na storm\n")

    ended = storyreel("new", "my-film.yaml", "--from", "prompts.txt")

    assert (ended.exit_code, ended.stderr) == (0, "my-film.yaml: written; next: storyreel plan my-film.yaml\n")
    assert json.loads(storyreel("plan", "my-film.yaml", "--json").stdout)["frames"] == 2


def test_new_writes_nothing_where_a_list_is_wrong(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """Its line is told."""
    (tmp_path / "prompts.csv").write_text("prompt,steps\na harbor,4\na storm,9\n")

    ended = storyreel("new", "my-film.yaml", "--from", "prompts.csv")

    assert (ended.exit_code, ended.stderr) == (2, "prompts.csv:3: steps: must be between 1 and 8, got 9\n")
    assert not (tmp_path / "my-film.yaml").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(storyreel: Callable[..., Ended], shell: str) -> None:
    """It asks the command itself."""
    ended = storyreel("completion", shell)

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert f"_STORYREEL_COMPLETE={shell}_complete" in ended.stdout


def completing(folder: Path, *, flags: str = "") -> dict[str, str]:
    """Put a storyreel of this very code on the PATH; return the environment that has it."""
    program = folder / "bin/storyreel"
    program.parent.mkdir()
    code = "import sys; from pipelines.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {flags} -c "{code}" "$@"\n')
    program.chmod(0o755)
    return clean_environment(PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=str(REPOSITORY))


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["storyreel", "rend"], ["render"]),
        (["storyreel", "completion", ""], ["bash", "zsh", "fish"]),
        (["storyreel", "render", "my-film.yaml", "--ope"], ["--open"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], completed: list[str]) -> None:
    """A real bash that has read the script offers what fits."""
    typed = " ".join(shlex.quote(word) for word in words)
    script = (
        f'eval "$(storyreel completion bash)"; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; '
        '_storyreel_completion storyreel; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    bash = ["bash", "--norc", "-c", script]

    done = subprocess.run(
        bash, cwd=tmp_path, env=completing(tmp_path), capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stderr, done.stdout.split()) == ("", completed)


def test_completion_is_quick(tmp_path: Path) -> None:
    """It imports nothing of weight: a shell asks at every Tab."""
    environment = completing(tmp_path, flags="-X importtime")
    asked = {"_STORYREEL_COMPLETE": "bash_complete", "COMP_WORDS": "storyreel plan ", "COMP_CWORD": "2"}

    done = subprocess.run(
        ["storyreel"], env={**environment, **asked}, capture_output=True, text=True, timeout=60, check=False
    )

    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert done.stdout == "file,\n"
    assert "click" in imported
    assert imported.isdisjoint({"prefect", "pydantic", "sqlalchemy", "httpx", "numpy", "yaml", "jinja2"})


def test_schema_prints_the_schema(storyreel: Callable[..., Ended]) -> None:
    """The same that configs/ ships."""
    shipped = (Path(__file__).parents[3] / "configs/storyboard.schema.json").read_text()

    assert storyreel("schema").stdout == shipped


def test_ledger_shows_the_account(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """Real and simulated apart; the CSV where it is wanted."""
    buy_first_frame(tmp_path)

    shown = storyreel("ledger", "harbor.yaml")
    told = storyreel("ledger", "harbor.yaml", "--json", "--csv", "account.csv")

    nothing = {"requests": 0, "by_status": {}, "cost_usd": "0", "cost_thb": "0", "neurons": "0", "uncertain_usd": "0"}
    one = {"requests": 1, "by_status": {"ok": 1}, "cost_usd": "0.000652", "cost_thb": "0.02282", "neurons": "57.6"}
    assert shown.stderr == "harbor\n  simulated  1 requests (1 ok): 0.000652 USD, 0.02282 THB, 57.6 neurons\n"
    assert json.loads(told.stdout) == {
        "storyboard": "harbor",
        "real": nothing,
        "simulated": {**one, "uncertain_usd": "0"},
        "unsettled": [],
        "pace": {"http://flux.test": 1.0},
    }
    assert (tmp_path / "account.csv").read_text().count("\n") == 2


def test_ledger_verifies(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """All agrees, until a take is tampered with."""
    buy_first_frame(tmp_path)
    storyreel("ledger", "harbor.yaml", "--csv", "outputs/harbor/ledger.csv")
    sound = storyreel("ledger", "harbor.yaml", "--verify")
    (take,) = (tmp_path / "outputs/harbor/takes").iterdir()
    take.write_bytes(b"54321")

    tampered = storyreel("ledger", "harbor.yaml", "--verify", "--json")

    assert sound.exit_code == 0
    assert sound.stderr.endswith("harbor: the books, the takes and the price list agree\n")
    assert tampered.exit_code == 4
    assert json.loads(tampered.stdout)["differences"] == [
        f"attempt 1: its take takes/{take.name} is not the one that was bought: the sha-256 differs"
    ]


def test_ledger_without_books_says_so(storyreel: Callable[..., Ended]) -> None:
    """Nothing is made by looking."""
    ended = storyreel("ledger", "harbor.yaml")

    assert (ended.exit_code, ended.stderr) == (
        2,
        "outputs: no books here yet; render a storyboard first, or choose its --output\n",
    )


def test_status_says_how_a_run_stands(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """To people on stderr, to programs as one object; the books are not touched."""
    buy_first_frame(tmp_path)
    before = (tmp_path / "outputs/storyreel.db").read_bytes()

    said = storyreel("status", "harbor.yaml")
    told = storyreel("status", "harbor.yaml", "--json", "--output", "outputs")

    (run,) = json.loads(told.stdout)["runs"]
    assert (said.exit_code, said.stdout, told.exit_code, told.stderr) == (0, "", 0, "")
    assert said.stderr.startswith("harbor: running since ")
    assert said.stderr.endswith(": starting\n  spent   0.000652 USD for 1 request, simulated\n")
    assert (run["run_id"], run["state"], run["spent_usd"]) == ("run-1", "running", "0.000652")
    assert (tmp_path / "outputs/storyreel.db").read_bytes() == before


def test_status_without_books_says_so(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """Nothing is made by looking."""
    ended = storyreel("status", "harbor.yaml")

    assert (ended.exit_code, ended.stderr) == (
        2,
        "outputs: no books here yet; render a storyboard first, or choose its --output\n",
    )
    assert not (tmp_path / "outputs").exists()


def test_status_of_a_storyboard_that_was_never_rendered_says_so(
    storyreel: Callable[..., Ended], tmp_path: Path
) -> None:
    """Another one was."""
    buy_first_frame(tmp_path)
    (tmp_path / "forest.yaml").write_text(BOARD)

    ended = storyreel("status", "forest.yaml")

    assert (ended.exit_code, ended.stderr) == (
        2,
        "forest: was never rendered here; see `storyreel render`, or choose its --output\n",
    )


def test_status_imports_no_prefect(tmp_path: Path) -> None:
    """It is there at once."""
    (tmp_path / "harbor.yaml").write_text(BOARD)
    program = (
        "import sys; from pipelines.cli.main import run; run(['status', 'harbor.yaml'])\n"
        "print([name for name in ('prefect', 'cv2', 'PIL', 'rich') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert asked.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["render"], "Missing argument 'BOARDS...'"),
        (["rendr", "x"], "No such command 'rendr'"),
        (["render", "nope.yaml"], "nope.yaml: there is no such file"),
        (["render", "harbor.yaml", "--budget", "cheap"], "--budget: "),
        (["render", "harbor.yaml", "--endpoint", "ftp://x"], "--endpoint: must be an http:// or https:// address"),
        (["render", "harbor.yaml", "--rate-limit", "0"], "--rate-limit: "),
        (["render", "harbor.yaml", "harbor.yaml"], "has the same id as"),
        (["plan", "harbor.yaml", "--concurrency", "5"], "No such option"),
        (["serve", "--fault", "x=1"], "--fault x=1: no such kind"),
        (["serve", "--latency", "slow"], "--latency slow: give seconds"),
        (["serve", "--host", "0.0.0.0"], "on loopback only"),
    ],
)
def test_a_wrong_command_line_is_told(storyreel: Callable[..., Ended], arguments: list[str], told: str) -> None:
    """Exit code 2, and nothing on stdout."""
    ended = storyreel(*arguments)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert told in ended.stderr


@pytest.mark.parametrize("name", ["", *sorted(command.commands)])
def test_every_verb_helps_with_an_example(storyreel: Callable[..., Ended], name: str) -> None:
    """`--help` of the command and of each verb."""
    ended = storyreel(*filter(None, [name]), "--help")

    assert ended.exit_code == 0
    assert "Example:\n    storyreel " in ended.stdout


@pytest.mark.parametrize(
    ("error", "exit_code", "told"),
    [
        (StoryreelError("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "interrupted: what was paid for is kept"),
        (click.Abort(), 130, "interrupted"),
        (ZeroDivisionError("oops"), 1, "this is a bug in storyreel"),
    ],
)
def test_whatever_happens_has_an_exit_code(
    storyreel: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int, told: str
) -> None:
    """Ours, the user's and a bug's."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("pipelines.storyboard.format.schema.json_schema", fail)

    ended = storyreel("schema")

    assert ended.exit_code == exit_code
    assert told in ended.stderr


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The process's exit code is the command's."""
    monkeypatch.setattr("sys.argv", ["storyreel", "--version"])

    with pytest.raises(SystemExit) as exited:
        cli.main()

    assert exited.value.code == 0
    assert capsys.readouterr().out.startswith("storyreel, version ")


def test_an_animatic_is_told_and_answered(storyreel: Callable[..., Ended]) -> None:
    """To people on stderr, to programs as one object."""
    told = storyreel("animatic", "harbor.yaml", "--scale", "0.1")
    answered = storyreel("animatic", "harbor.yaml", "--scale", "0.1", "--json")

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == "outputs/harbor/harbor-animatic.mp4: 6.0 s at 102x102, 3 of 3 frames as sketch cards\n"
    assert json.loads(answered.stdout) == {
        "storyboard": "harbor",
        "frames": 3,
        "cards": 3,
        "video": "outputs/harbor/harbor-animatic.mp4",
        "video_seconds": 6.0,
    }


@pytest.mark.parametrize("scale", ["0", "2", "-1", "half", "nan", "inf"])
def test_a_scale_that_is_none_is_refused(storyreel: Callable[..., Ended], scale: str) -> None:
    """With the exit code of a wrong command line."""
    ended = storyreel("animatic", "harbor.yaml", f"--scale={scale}")

    assert ended.exit_code == 2
    assert "is no number above 0 and up to 1" in ended.stderr


def test_check_reads_every_sound(storyreel: Callable[..., Ended], tmp_path: Path) -> None:
    """A file that is no sound is told with its place."""
    (tmp_path / "noise.wav").write_text("no sound")
    (tmp_path / "harbor.yaml").write_text(f"audio: {{track: noise.wav}}\n{BOARD}")

    ended = storyreel("check", "harbor.yaml")

    assert ended.exit_code == 2
    assert ended.stderr.startswith("harbor.yaml:1:16: audio.track: noise.wav: is no sound that ffmpeg reads")
