"""What tests share: ledger, storyboards, a real Prefect API, a real Postgres, the command as its users run it."""

import contextlib
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import settings

from pipelines.cli import main as cli
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.server.config import EngineKind, ServerConfig, parse_fault
from pipelines.server.engines.drawing import PAINTERS
from pipelines.server.engines.plain import PlainEngine
from pipelines.server.running import serve_in_thread
from tests.campaigns.tally import TALLY, Tally, as_markdown
from tests.support.builders import run
from tests.support.faults import failing
from tests.support.ledger import Clock, gate_of, opened
from tests.support.local_flows import local_flows
from tests.support.patience import WAIT_S
from tests.support.postgres import POSTGRES_PORT, Postgres, find_binaries, serving_postgres

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Return the one JSON object on stdout."""
        return json.loads(self.stdout)


# Runs the command with these arguments, and with these variables in its environment.
Storyreel = Callable[..., Ended]
# Writes a storyboard; see the fixture `board`.
Board = Callable[..., Path]


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without any setting of Prefect or storyreel, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STORYREEL_"))}
    return {**kept, **more}


def wait_until(condition: Callable[[], bool], *, poll_s: float = 0.05) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(poll_s)


@pytest.fixture(autouse=True, scope="session")
def _no_fonts_of_this_machine() -> Iterator[None]:
    """Let only the fonts from packages count: what is drawn, and noted, is then the same on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.common.lettering.typefaces._font_folders", list)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark tests by what they want, and group those that share what is dear to start, before pytest-xdist looks."""
    for item in items:
        marks = set(marks_of(item))
        for mark in marks:
            item.add_marker(mark)
        if group := group_of(item, marks):
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure the coverage of fast tests only: measuring makes Python half as fast again."""
    coverage = Coverage.current()
    if coverage is None or item.get_closest_marker("slow") is None:
        return (yield)
    coverage.stop()
    try:
        return (yield)
    finally:
        coverage.start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all campaigns as one table."""
    properties = [pair for report in terminalreporter.getreports("") for pair in report.user_properties]
    tallies = [Tally(**figures) for name, figures in properties if name == TALLY]
    if tallies:
        terminalreporter.section("campaigns")
        terminalreporter.write_line(as_markdown(tallies))


def marks_of(item: pytest.Function) -> Iterator[str]:
    """Yield the marks of a test, from its fixtures and its file."""
    fixtures = set(item.fixturenames)
    on_postgres = hasattr(item, "callspec") and item.callspec.params.get("database") == "postgres"
    if fixtures & {"prefect", "prefect_api_url"}:
        yield "prefect"
    if fixtures & {"postgres", "postgres_binaries"} or on_postgres:
        yield "postgres"
    if "browser" in item.path.stem:
        yield "browser"
    if item.path.stem.startswith("test_film"):
        yield "ffmpeg"
    if item.path.parent.name == "campaigns":
        yield "campaign"


def group_of(item: pytest.Function, marks: set[str]) -> str | None:
    """Return the group of a test: the tests of a group run in one process, one after another.

    A browser, a Prefect API and a Postgres are each started once in a process that needs them.
    """
    if item.get_closest_marker("xdist_group"):
        return None
    # A module that has a Prefect server and a worker of its own.
    if "browser" in marks or "prefect" in item.fixturenames:
        return item.path.stem
    return next((mark for mark in ("prefect", "postgres") if mark in marks), None)


@pytest.fixture(scope="session")
def prefect_api_url(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[str]:
    """Yield the address of a Prefect API that serves the whole session, all processes of it."""
    # Starting one takes as long as half of the tests that want it, so a group that is none must not pass unseen.
    (tmp_path_factory.getbasetemp().parent / f"prefect-{testrun_uid}").touch(exist_ok=False)
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=int(WAIT_S)):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def postgres_binaries() -> Path:
    """Return where Postgres's programs are; without them the test is skipped."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("Postgres is not installed (Debian: apt-get install postgresql)")
    return binaries


@pytest.fixture(scope="session")
def postgres(postgres_binaries: Path) -> Iterator[Postgres]:
    """Yield a Postgres that serves the whole session."""
    with serving_postgres(postgres_binaries) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let the ledger of a module's tests be on each kind of database in turn; yield its kind."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "postgres":
            patch.setenv(POSTGRES_PORT, str(request.getfixturevalue("postgres").port))
        yield request.param


@pytest.fixture
def storyreel_on_prefect(
    tmp_path: Path, prefect_api_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Storyreel:
    """Return a function that runs the command in this process, in a folder of its own, its flows by Prefect."""
    enter_folder(tmp_path, monkeypatch)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api_url)
    return partial(run_command, monkeypatch, capfd)


@pytest.fixture
def storyreel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], plain_sketches: None
) -> Storyreel:
    """Return a function that runs the command in this process, in a folder of its own, its flows without Prefect."""
    enter_folder(tmp_path, monkeypatch)
    monkeypatch.setattr("pipelines.cli.prefect_run.prefect_flows", local_flows)
    return partial(run_command, monkeypatch, capfd)


def enter_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test's current folder be this one, without any setting of Prefect or storyreel."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)


def run_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str, **environment: str
) -> Ended:
    """Run the command with these settings in its environment."""
    capfd.readouterr()
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        exit_code = cli.run(arguments)
    said = capfd.readouterr()
    return Ended(exit_code, said.out, said.err)


@pytest.fixture
def plain_sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the endpoint that a run embeds draw flat colours: a sketch takes longer than all the rest of a small run."""
    monkeypatch.setitem(PAINTERS, EngineKind.SKETCH, PlainEngine)


@pytest.fixture
def board(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a short storyboard of `frames` small, quick frames."""

    def write(name: str = "film.yaml", *, frames: int = 3, more: str = "") -> Path:
        prompts = "\n".join(f"  - a quiet harbor, view {number}" for number in range(frames))
        path = tmp_path / name
        path.write_text(
            "title: A quiet harbor\n"
            "output: {fps: 12, size: 192x192}\n"
            "defaults: {aspect: 1:1, steps: 1, hold: 250ms}\n"
            f"{more}prompts:\n{prompts}\n"
        )
        return path

    return write


@contextlib.contextmanager
def serving(*faults: str, **config: Any) -> Iterator[str]:
    """Serve the FLUX API with these faults for as long as the block lasts; yield its address.

    Its pictures are plain, unless a test asks for sketches: drawing them takes longer than all the rest of a test.
    """
    config = {"engine": EngineKind.PLAIN, **config}
    with serve_in_thread(ServerConfig(faults=tuple(parse_fault(fault) for fault in faults), **config)) as url:
        yield url


@pytest.fixture
def no_clones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file system clone files, as most have no clones: a file is shared by a second name."""
    monkeypatch.setattr(fcntl, "ioctl", failing(errno.EOPNOTSUPP))


@pytest.fixture
def clock() -> Clock:
    """Return the clock that a test's ledger goes by."""
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Open a new ledger."""
    with opened(tmp_path, clock=clock) as opened_ledger:
        yield opened_ledger


@pytest.fixture
def gate(ledger: Ledger) -> Gate:
    """Return the gate of a run that has just begun."""
    return gate_of(ledger, run())


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a storyboard named board.yaml."""

    def write_text(text: str) -> Path:
        path = tmp_path / "board.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text
