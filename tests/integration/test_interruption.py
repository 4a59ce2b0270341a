"""Ctrl-C and SIGTERM, sent to a real process: what it says at once, what it waits for, what it says in the end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from tests.conftest import Board, clean_environment, serving, wait_until
from tests.support.accounts import rows, stats
from tests.support.patience import WAIT_S
from tests.support.terminal import CTRL_C, REPOSITORY, TerminalSession, on_terminal

INTERRUPTED = "interrupted: what was paid for is kept; run again to complete"


class Rendering:
    """A render of three frames in a process and a session of its own; its lines are read as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(line.rstrip("\n") for line in self.process.stderr)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def wait_for_line(self, text: str) -> None:
        wait_until(lambda: any(text in line for line in tuple(self.lines)) or not self._reading.is_alive())
        assert any(text in line for line in self.lines), self.lines

    def end(self) -> tuple[int, dict[str, Any]]:
        """Wait until it has ended; return its exit code, and its one JSON object."""
        assert self.process.stdout is not None
        stdout = self.process.stdout.read()
        code = self.process.wait(WAIT_S)
        self._reading.join(WAIT_S)
        return code, json.loads(stdout)

    def notices(self) -> list[str]:
        """Return what was said of stopping, in order."""
        return [line for line in self.lines if ": stopping: " in line]


@contextlib.contextmanager
def rendering(path: Path, url: str, *arguments: str, **environment: str) -> Iterator[Rendering]:
    """Render by an endpoint; end it, whatever happens."""
    command = [sys.executable, "-m", "tests.support.local_command", "render", str(path), "--json"]
    with subprocess.Popen(
        [*command, "--endpoint", url, "--model", "sketch", *arguments],
        cwd=path.parent,
        env=clean_environment(PYTHONPATH=str(REPOSITORY), **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Rendering(process)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_says_what_is_awaited_and_for_how_long(
    board: Board, tmp_path: Path, number: signal.Signals
) -> None:
    """At once; the number follows the answers; all of them are kept, and nothing is uncertain."""
    with serving(latency_s=(5, 5)) as url, rendering(board(frames=30), url, "--concurrency", "3") as render:
        wait_until(lambda: stats(url)["requests"] == 3)
        render.signal(number)
        code, result = render.end()

    first, *later = render.notices()
    assert (code, result["state"], result["uncertain_usd"]) == (130, "Cancelled", "0")
    assert first == "film: stopping: waiting for 3 answers, at most 25 s; Ctrl-C again gives them up"
    assert later[0].startswith("film: stopping: waiting for ")
    assert later[-1] == "film: stopping: nothing is in flight, the run ends"
    assert render.lines[-1] == result["error"] == INTERRUPTED
    assert [row["status"] for row in rows(tmp_path / "outputs/film")] == ["ok"] * 3


@pytest.mark.parametrize("again", [True, False])
def test_answers_that_are_given_up_are_told_as_uncertain(board: Board, tmp_path: Path, again: bool) -> None:
    """After a grace period that ended and after a second Ctrl-C alike: how many, and at most how much."""
    patience = "60" if again else "1"
    with (
        serving(latency_s=(600, 600)) as url,
        rendering(board(frames=3), url, STORYREEL_STOP_PATIENCE_S=patience) as render,
    ):
        wait_until(lambda: stats(url)["requests"] == 3)
        render.signal(signal.SIGINT)
        render.wait_for_line("stopping: waiting for 3 answers, at most ")
        if again:
            render.signal(signal.SIGINT)
        code, result = render.end()

    uncertain = "3 requests got no answer and may have been billed: at most 0.000966 USD, simulated"
    assert (code, result["state"], result["uncertain_usd"]) == (130, "Cancelled", "0.000966")
    assert render.lines[-1] == result["error"] == f"{INTERRUPTED}. {uncertain}"
    assert "Traceback" not in "\n".join(render.lines)
    assert [row["status"] for row in rows(tmp_path / "outputs/film")] == ["unknown"] * 3


def test_a_run_with_nothing_in_flight_says_that_it_ends(board: Board, tmp_path: Path) -> None:
    """The next request would be a minute away."""
    with serving() as url, rendering(board(), url, "--rate-limit", "1") as render:
        wait_until(lambda: bool(list((tmp_path / "outputs/film/takes").glob("*.png"))))
        render.signal(signal.SIGINT)
        code, result = render.end()

    assert (code, result["generated"], result["error"]) == (130, 1, INTERRUPTED)
    # The take has its name a moment before its attempt is closed.
    assert render.notices()[-1] == "film: stopping: nothing is in flight, the run ends"


def test_the_live_display_says_that_the_run_stops(board: Board, tmp_path: Path) -> None:
    """In the place of the step that it was at, and without a time left."""
    with serving(latency_s=(600, 600)) as url:
        given = ("--endpoint", url, "--model", "sketch", "--json")
        with on_terminal("render", str(board(frames=1)), *given, cwd=tmp_path) as session:
            wait_until(lambda: stats(url)["requests"] == 1)
            session.press(CTRL_C).wait_for("stopping: waiting for 1 answer, at most 2")
            ended = session.press(CTRL_C).end()

    stopped = ended.stderr.partition("stopping: waiting")[2]
    assert ended.exit_code == 130
    assert ("generating frames" in stopped, "time left" in stopped) == (False, False)
    assert ended.stderr.endswith(
        f"{INTERRUPTED}. 1 request got no answer and may have been billed: at most 0.000322 USD, simulated\n"
    )


@contextlib.contextmanager
def reviewing(path: Path, url: str, **environment: str) -> Iterator[tuple[TerminalSession, str]]:
    """Open the review page of a storyboard from a terminal; yield that, and the page's address."""
    given = ("--endpoint", url, "--model", "sketch", "--no-open", "--rate-limit", "60000")
    with on_terminal("review", str(path), *given, cwd=path.parent, **environment) as session:
        said = session.wait_for("(Ctrl-C closes it)").printed
        yield session, said.split()[-4]


def ask_for_a_take(path: Path, address: str) -> None:
    """Send what the page would send for another take of the first frame."""
    key = plan_frames(load_storyboard(path), model="sketch").frames[0].request_key
    body = {"keys": [key], "count": 2, "prompt": None}
    origin = {"Origin": "/".join(address.split("/")[:3])}
    price = httpx.post(f"{address}quotes", json=body, headers=origin, timeout=WAIT_S).json()["cost_usd"]
    httpx.post(f"{address}rerolls", json={**body, "confirmed_usd": price}, headers=origin, timeout=WAIT_S)


@pytest.mark.parametrize("again", [True, False])
def test_closing_the_review_says_what_it_waits_for_and_what_is_uncertain(
    board: Board, tmp_path: Path, again: bool
) -> None:
    """As a render does: a second Ctrl-C gives up, and so does the end of the grace period."""
    path, patience = board(), "60" if again else "1"
    with (
        serving(latency_s=(600, 600)) as url,
        reviewing(path, url, STORYREEL_STOP_PATIENCE_S=patience) as (session, address),
    ):
        ask_for_a_take(path, address)
        wait_until(lambda: stats(url)["requests"] == 2)
        session.press(CTRL_C).wait_for("stopping: waiting for 2 answers, at most ")
        ended = (session.press(CTRL_C) if again else session).end()

    assert ended.exit_code == 0
    assert ended.stderr.endswith(
        "the review was closed: what was paid for is kept; run again to complete. "
        "2 requests got no answer and may have been billed: at most 0.000644 USD, simulated\n"
    )
    assert [row["status"] for row in rows(tmp_path / "outputs/film")] == ["unknown"] * 2
