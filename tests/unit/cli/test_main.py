"""The command as a whole: help, wrong command lines, and an exit code for whatever happens."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from pipelines.cli import main as cli
from pipelines.cli.main import storyreel as command
from pipelines.common.errors import StoryreelError
from tests.conftest import Ended, clean_environment

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render"], "Missing argument 'BOARDS...'"),
        (["rendr", "x"], "No such command 'rendr'"),
        (["render", "nope.yaml"], "nope.yaml: there is no such file"),
        (["render", "harbor.yaml", "--budget", "cheap"], "--budget: must be an amount in US dollars like 0.25, got "),
        (["render", "harbor.yaml", "--budget", "$1"], "like 0.25, got '$1'; write 1\n"),
        (["render", "harbor.yaml", "--endpoint", "ftp://x"], "--endpoint: must be an http:// or https:// address"),
        (["render", "harbor.yaml", "--rate-limit", "0"], "--rate-limit: "),
        (["render", "harbor.yaml", "harbor.yaml"], "has the same id as"),
        (["plan", "harbor.yaml", "--concurrency", "5"], "No such option"),
        (["serve", "--fault", "x=1"], "--fault x=1: unknown kind of fault"),
        (["serve", "--latency", "slow"], "--latency slow: give seconds"),
        (["serve", "--host", "0.0.0.0"], "set STORYREEL_SERVE_TOKEN"),
    ],
)
def test_a_wrong_command_line_is_refused(invoke: Callable[..., Ended], arguments: list[str], message: str) -> None:
    """Exit code 2, and nothing on stdout."""
    ended = invoke(*arguments)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr


@pytest.mark.parametrize("name", ["", *sorted(command.commands)])
def test_every_verb_helps_with_an_example(invoke: Callable[..., Ended], name: str) -> None:
    """`--help` of the command and of each verb."""
    ended = invoke(*filter(None, [name]), "--help")

    assert ended.exit_code == 0
    assert "Example:\n    storyreel " in ended.stdout


def test_every_verb_has_a_line_that_fits(invoke: Callable[..., Ended]) -> None:
    """Click cuts longer ones off with dots."""
    ended = invoke("--help")

    assert all(f"\n  {name} " in ended.stdout for name in command.commands)
    assert "..." not in ended.stdout.partition("\nCommands:\n")[2]


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (StoryreelError("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "interrupted: what was paid for is kept"),
        (click.Abort(), 130, "interrupted"),
        (ZeroDivisionError("oops"), 1, "this is a bug in storyreel"),
    ],
)
def test_whatever_happens_has_an_exit_code(
    invoke: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    exit_code: int,
    message: str,
) -> None:
    """Ours, the user's and a bug's."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("pipelines.storyboard.format.schema.json_schema", fail)

    ended = invoke("schema")

    assert ended.exit_code == exit_code
    assert message in ended.stderr


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The process's exit code is the command's."""
    monkeypatch.setattr("sys.argv", ["storyreel", "--version"])

    with pytest.raises(SystemExit) as exited:
        cli.main()

    assert exited.value.code == 0
    assert capsys.readouterr().out.startswith("storyreel, version ")


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    """`python -m pipelines` is the command."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "check", "nope.yaml"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nope.yaml: there is no such file")


ODD = os.fsdecode(b"odd\x1b[31m\xff.yaml")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["check", ODD], r"odd\x1b[31m\xff.yaml: ok, 1 frame, 4.0 s"),
        (["plan", ODD], r"a \x1b]0;title\x07 of \u202e"),
        (
            ["check", f"no-{ODD}"],
            r"no-odd\x1b[31m\xff.yaml: there is no such file; `storyreel new` writes one to start from",
        ),
        (["plan", "harbor.yaml", "--\x1b[31m"], r"Error: No such option '--\x1b[31m'."),
        (["\x9b31m"], r"Error: No such command '\x9b31m'."),
    ],
)
def test_names_and_titles_do_not_act_on_the_terminal(
    invoke: Callable[..., Ended], tmp_path: Path, arguments: list[str], line: str
) -> None:
    """A storyboard from somebody else, or a file that a pattern of the shell has found."""
    title = r"a \x1b]0;title\x07 of \u202e"
    (tmp_path / ODD).write_text(f'title: "{title}"\nprompts: [a]\n')

    ended = invoke(*arguments)

    assert line in ended.stderr.splitlines()
    assert ended.stderr.replace("\n", "").isprintable()


def test_json_does_not_act_on_the_terminal_either(invoke: Callable[..., Ended], tmp_path: Path) -> None:
    """It says the same to a program."""
    (tmp_path / ODD).write_text("prompts: [a]\n")

    ended = invoke("check", ODD, "--json", "--quiet")

    assert ended.stdout.replace("\n", "").isprintable()
    assert ended.json["storyboards"][0]["path"] == ODD


def test_the_traceback_of_a_bug_is_printable(invoke: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that was not foreseen may quote anything."""

    def fail() -> None:
        raise ZeroDivisionError("\x1b[2J")

    monkeypatch.setattr("pipelines.storyboard.format.schema.json_schema", fail)

    ended = invoke("schema")

    assert ended.stderr.replace("\n", "").isprintable()
    assert r"ZeroDivisionError: \x1b[2J" in ended.stderr
