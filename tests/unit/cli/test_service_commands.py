"""The commands about accounts, runs and the machine: ledger, status, serve, completion."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.server.config import FaultKind
from tests.conftest import Ended, clean_environment
from tests.support.patience import WAIT_S
from tests.unit.cli.conftest import BOARD

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.usefixtures("first_take")
def test_ledger_shows_the_account(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Real and simulated apart; the CSV where it is asked for."""
    for_people = invoke("ledger", "harbor.yaml")
    for_programs = invoke("ledger", "harbor.yaml", "--json", "--csv", "account.csv")

    certain = {"estimated_usd": "0", "uncertain_usd": "0"}
    nothing = {"requests": 0, "by_status": {}, "cost_usd": "0", "cost_thb": "0", "neurons": "0"}
    one = {"requests": 1, "by_status": {"ok": 1}, "cost_usd": "0.000652", "cost_thb": "0.02282", "neurons": "57.6"}
    assert for_people.stderr == "harbor\n  simulated  1 request (1 ok): 0.000652 USD, 0.02282 THB, 57.6 neurons\n"
    assert for_programs.json == {
        "storyboard": "harbor",
        "real": {**nothing, **certain},
        "simulated": {**one, **certain},
        "unsettled": [],
        "pace": {"http://flux.test": 1.0},
    }
    assert (tmp_path / "account.csv").read_text().count("\n") == 2


def test_ledger_verifies(invoke: Callable[..., Ended], first_take: Path) -> None:
    """All agrees, until a take is tampered with."""
    invoke("ledger", "harbor.yaml", "--csv", "outputs/harbor/ledger.csv")
    sound = invoke("ledger", "harbor.yaml", "--verify")
    first_take.write_bytes(b"54321")

    tampered = invoke("ledger", "harbor.yaml", "--verify", "--json")

    assert sound.exit_code == 0
    assert sound.stderr.endswith("harbor: the ledger, the takes and the price list agree\n")
    assert tampered.exit_code == 4
    assert tampered.json["differences"] == [
        f"attempt 1: its take takes/{first_take.name} is not the one that was generated: the sha-256 differs"
    ]


@pytest.mark.parametrize("verb", ["ledger", "status"])
def test_before_the_first_render_there_is_nothing_to_show(
    invoke: Callable[..., Ended], tmp_path: Path, verb: str
) -> None:
    """Nothing is made by looking."""
    ended = invoke(verb, "harbor.yaml")

    assert (ended.exit_code, ended.stderr) == (
        2,
        "outputs: there is no ledger here yet; render a storyboard first, or choose its --output\n",
    )
    assert not (tmp_path / "outputs").exists()


@pytest.mark.usefixtures("first_take")
def test_status_shows_what_a_run_does(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """To people on stderr, to programs as one object; the database is not touched."""
    before = (tmp_path / "outputs/storyreel.db").read_bytes()

    for_people = invoke("status", "harbor.yaml")
    for_programs = invoke("status", "harbor.yaml", "--json", "--output", "outputs")

    (run,) = for_programs.json["runs"]
    assert (for_people.exit_code, for_people.stdout) == (0, "")
    assert (for_programs.exit_code, for_programs.stderr) == (0, "")
    assert for_people.stderr.startswith("harbor: running since ")
    assert for_people.stderr.endswith(": starting\n  spent   0.000652 USD for 1 request, simulated\n")
    assert (run["run_id"], run["state"], run["spent_usd"]) == ("run-1", "running", "0.000652")
    assert (tmp_path / "outputs/storyreel.db").read_bytes() == before


@pytest.mark.usefixtures("first_take")
def test_status_of_a_storyboard_that_was_never_rendered_says_so(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """Another one was."""
    (tmp_path / "forest.yaml").write_text(BOARD)

    ended = invoke("status", "forest.yaml")

    assert (ended.exit_code, ended.stderr) == (
        2,
        "forest: was never rendered here; see `storyreel render`, or choose its --output\n",
    )


def test_status_imports_no_prefect(tmp_path: Path) -> None:
    """It answers at once."""
    (tmp_path / "harbor.yaml").write_text(BOARD)
    program = (
        "import sys; from pipelines.cli.main import run; run(['status', 'harbor.yaml'])\n"
        "print([name for name in ('prefect', 'cv2', 'PIL', 'rich') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert asked.stdout == "[]\n"


def test_serve_helps_with_every_kind_of_fault(invoke: Callable[..., Ended]) -> None:
    """Told apart by whether the image is billed; the option takes each of them."""
    shown = invoke("serve", "--help").stdout
    kinds = re.findall(r"Kinds of fault that bill (?:nothing|the image):\n +(.+)\n", shown)

    assert sorted(", ".join(kinds).split(", ")) == sorted(FaultKind)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(invoke: Callable[..., Ended], shell: str) -> None:
    """It asks the command itself."""
    ended = invoke("completion", shell)

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
        bash, cwd=tmp_path, env=completing(tmp_path), capture_output=True, text=True, timeout=WAIT_S, check=False
    )

    assert (done.stderr, done.stdout.split()) == ("", completed)


def imported_packages(import_times: str) -> set[str]:
    """Return the packages in what `python -X importtime` writes."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in import_times.splitlines()}


HEAVY = {"asyncio", "prefect", "pydantic", "sqlalchemy", "httpx", "numpy", "yaml", "jinja2", "rich", "PIL", "cv2"}


def test_completion_is_quick(tmp_path: Path) -> None:
    """It imports nothing heavy: a shell asks at every Tab."""
    environment = completing(tmp_path, flags="-X importtime")
    asked = {"_STORYREEL_COMPLETE": "bash_complete", "COMP_WORDS": "storyreel plan ", "COMP_CWORD": "2"}

    done = subprocess.run(
        ["storyreel"], env={**environment, **asked}, capture_output=True, text=True, timeout=WAIT_S, check=False
    )

    assert done.stdout == "file,\n"
    assert "click" in imported_packages(done.stderr)
    assert imported_packages(done.stderr).isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["render", "--help"]])
def test_help_is_quick(tmp_path: Path, arguments: list[str]) -> None:
    """It imports nothing heavy either."""
    done = subprocess.run(
        ["storyreel", *arguments],
        env=completing(tmp_path, flags="-X importtime"),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )

    assert "click" in imported_packages(done.stderr)
    assert imported_packages(done.stderr).isdisjoint(HEAVY)
