"""The command's log: its lines, its levels, and the options --verbose and --quiet of every subcommand."""

import io
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from rich.console import Console

from pipelines.cli.display import LiveDisplay
from pipelines.cli.log_lines import logging_to_stderr
from pipelines.cli.logs import LoggedCommand, log_level, log_options
from pipelines.cli.main import storyreel as command
from pipelines.common.errors import UsageError
from pipelines.common.settings import LogLevel
from pipelines.run.progress import Progress
from tests.conftest import Ended

LEVELS = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, with no level in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STORYREEL_LOG_LEVEL", raising=False)


def log_at_every_level() -> None:
    for level in LEVELS:
        logging.getLogger("pipelines.run.pipeline").log(level, "harbor: %d%%", level)


def level_of(*arguments: str) -> LogLevel:
    """Return the level at which a subcommand logs, given these arguments of `storyreel log`."""
    levels: list[LogLevel] = []
    log = LoggedCommand("log", callback=lambda: levels.append(log_level(click.get_current_context())))
    group = click.Group("storyreel", commands=[log], params=log_options())

    group.main(args=list(arguments), standalone_mode=False)

    return levels[0]


# Lines


@pytest.mark.parametrize("level", LEVELS)
def test_a_line_has_time_level_module_and_message(capsys: pytest.CaptureFixture[str], level: int) -> None:
    """On stderr, from the given level on."""
    with logging_to_stderr(level):
        log_at_every_level()

    printed = capsys.readouterr()
    assert printed.out == ""
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in printed.err.splitlines()] == [
        f"{logging.getLevelName(each)} pipelines.run.pipeline: harbor: {each}%" for each in LEVELS if each >= level
    ]
    assert re.match(r"\d\d:\d\d:\d\d ", printed.err)


def test_other_libraries_do_not_log_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Prefect's loggers stay as quiet as they are."""
    with logging_to_stderr(logging.DEBUG):
        logging.getLogger("prefect.flow_runs").debug("Beginning flow run")
        logging.getLogger("httpx").info("HTTP Request")

    assert capsys.readouterr().err == ""


def test_the_loggers_are_left_as_they_were() -> None:
    """A program that calls the command in its own process keeps its log."""
    logger = logging.getLogger("pipelines")
    before = (logger.level, logger.propagate, list(logger.handlers))

    with pytest.raises(UsageError), logging_to_stderr(logging.DEBUG):
        raise UsageError("it failed")

    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_a_line_is_printed_above_a_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """The display is erased, the line printed, and the display drawn again below it."""
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    progress = Progress(stage="starting")

    with (
        LiveDisplay(progress, Console(stderr=True, force_terminal=True, width=100)),
        logging_to_stderr(logging.INFO),
    ):
        logging.getLogger("pipelines.run.pipeline").info("harbor: 3 to generate")

    erased, drawn = re.escape("\r\x1b[2K"), re.escape("\x1b[1mstoryreel\x1b[0m  starting")
    line = r"\d\d:\d\d:\d\d INFO pipelines\.run\.pipeline: harbor: 3 to generate\n"
    assert re.search(erased + line + drawn, terminal.getvalue())


def test_a_reader_that_does_not_read_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run goes on while its log waits for a full pipe; the lines come in the end."""

    class FullPipe(io.StringIO):
        read_on = threading.Event()

        def write(self, text: str) -> int:
            self.read_on.wait(10)
            return super().write(text)

    pipe = FullPipe()
    monkeypatch.setattr("sys.stderr", pipe)

    with logging_to_stderr(logging.ERROR):
        for number in range(3):
            logging.getLogger("pipelines").error("line %d", number)
        written = pipe.getvalue()
        pipe.read_on.set()

    assert written == ""
    assert [line.rpartition(": ")[2] for line in pipe.getvalue().splitlines()] == ["line 0", "line 1", "line 2"]


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_reader_that_has_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The lines are lost, and the run is not."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    monkeypatch.setattr("sys.stderr", Closed())

    with logging_to_stderr(logging.INFO):
        logging.getLogger("pipelines").info("harbor: 3 to generate")


# Options


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        (["log"], LogLevel.WARNING),
        (["log", "-v"], LogLevel.INFO),
        (["-v", "log"], LogLevel.INFO),
        (["log", "--verbose"], LogLevel.INFO),
        (["log", "-vv"], LogLevel.DEBUG),
        (["-v", "log", "-v"], LogLevel.DEBUG),
        (["log", "--quiet"], LogLevel.ERROR),
        (["--quiet", "log"], LogLevel.ERROR),
    ],
)
def test_options_set_the_level(arguments: list[str], level: LogLevel) -> None:
    """Before the subcommand or after it, or both."""
    assert level_of(*arguments) == level


@pytest.mark.parametrize(
    ("arguments", "level"), [([], LogLevel.INFO), (["-vv"], LogLevel.DEBUG), (["-q"], LogLevel.ERROR)]
)
def test_options_win_over_the_variable(monkeypatch: pytest.MonkeyPatch, arguments: list[str], level: LogLevel) -> None:
    """STORYREEL_LOG_LEVEL holds where none is given."""
    monkeypatch.setenv("STORYREEL_LOG_LEVEL", "info")

    assert level_of("log", *arguments) == level


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_subcommand_takes_them(name: str) -> None:
    """As `storyreel` itself does."""
    names = [option for parameter in command.commands[name].params for option in parameter.opts]

    assert {"-v", "--verbose", "-q", "--quiet"} <= set(names)


@pytest.mark.parametrize("arguments", [["plan", "harbor.yaml", "-v", "--quiet"], ["-v", "plan", "harbor.yaml", "-q"]])
def test_they_exclude_each_other(invoke: Callable[..., Ended], arguments: list[str]) -> None:
    """Wherever they are given."""
    ended = invoke(*arguments)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == "--quiet and --verbose exclude each other; give one of them\n"


def test_a_bad_level_in_the_environment_is_refused(
    invoke: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable and the choices; --help does without it."""
    monkeypatch.setenv("STORYREEL_LOG_LEVEL", "loud")

    ended = invoke("plan", "harbor.yaml")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == "STORYREEL_LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error', got 'loud'\n"
    assert invoke("plan", "--help").exit_code == 0


# Quiet


@pytest.mark.usefixtures("first_take")
@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "harbor.yaml"],
        ["check", "harbor.yaml"],
        ["takes", "harbor.yaml"],
        ["status", "harbor.yaml"],
        ["ledger", "harbor.yaml"],
        ["new", "{name}.yaml"],
        ["reroll", "harbor.yaml", "0", "--dry-run"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_quiet_prints_nothing(invoke: Callable[..., Ended], arguments: list[str]) -> None:
    """Before the subcommand and after it."""
    after = invoke(*(argument.format(name="one") for argument in arguments), "--quiet")
    before = invoke("-q", *(argument.format(name="other") for argument in arguments))

    assert (after, before) == (Ended(0, "", ""), Ended(0, "", ""))


def test_quiet_prints_json_where_asked_for(invoke: Callable[..., Ended]) -> None:
    """On stdout, and nothing beside it."""
    ended = invoke("plan", "harbor.yaml", "--quiet", "--json")

    assert (ended.json["generate"], ended.stderr) == (3, "")


def test_quiet_prints_errors(invoke: Callable[..., Ended]) -> None:
    """In the words that they always have."""
    ended = invoke("check", "harbor.yaml", "nope.yaml", "--quiet")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("nope.yaml: there is no such file")
    assert ended.stderr.count("\n") == 1
