"""Renders that have nothing to generate: they need no Prefect, and say how long they took."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.flows.handover import RunFlow
from tests.conftest import Board, Storyreel
from tests.support.local_flows import local_flows

START_S = 0.3


@pytest.fixture
def starts(storyreel: Storyreel, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let Prefect take a while to start; return when it was, each time."""
    started: list[float] = []

    @contextlib.contextmanager
    def slow_flows() -> Iterator[RunFlow]:
        started.append(time.monotonic())
        time.sleep(START_S)
        with local_flows() as run_flow:
            yield run_flow

    monkeypatch.setattr("pipelines.cli.prefect_run.prefect_flows", slow_flows)
    return started


def test_what_is_there_is_not_orchestrated(
    storyreel: Storyreel, board: Board, starts: list[float], tmp_path: Path
) -> None:
    """Neither nothing at all, nor a changed caption, nor a film that is gone."""
    path = board(frames=2)
    first = storyreel("render", str(path), "--json")
    again = storyreel("render", str(path), "--json")
    path.write_text(f"captions: {{color: '#ffcc00'}}\n{path.read_text()}")
    (tmp_path / "outputs/film/film.mp4").unlink()
    changed = storyreel("render", str(path), "--json")

    assert len(starts) == 1
    assert [ended.exit_code for ended in (first, again, changed)] == [0, 0, 0]
    assert [(ended.json["generated"], ended.json["reused"]) for ended in (first, again, changed)] == [
        (2, 0),
        (0, 2),
        (0, 2),
    ]
    assert (tmp_path / "outputs/film/film.mp4").is_file()


def test_a_refusal_that_plan_could_tell_comes_before_prefect(
    storyreel: Storyreel, board: Board, starts: list[float], tmp_path: Path
) -> None:
    """The run is in the ledger all the same, as one over its budget."""
    ended = storyreel("render", str(board(frames=2)), "--budget", "0.0001", "--json")

    assert starts == []
    assert (ended.exit_code, ended.json["state"], ended.json["requests"]) == (3, "OverBudget", 0)
    assert (tmp_path / "outputs/film/ledger.csv").is_file()


def test_sounds_are_read_while_prefect_starts(
    storyreel: Storyreel, board: Board, starts: list[float], tmp_path: Path
) -> None:
    """One that is none refuses the run before anything waits for Prefect, or is sent."""
    path = board(frames=2)
    path.write_text(f"audio: noise.mp3\n{path.read_text()}")
    (tmp_path / "noise.mp3").write_bytes(b"no sound at all")

    ended = storyreel("render", str(path))

    assert len(starts) == 1
    assert ended.exit_code == 2
    assert "noise.mp3" in ended.stderr
    assert not (tmp_path / "outputs").exists()


def test_of_several_storyboards_the_first_that_generates_starts_prefect(
    storyreel: Storyreel, board: Board, starts: list[float], tmp_path: Path
) -> None:
    """Once; and those with nothing to generate are done without it."""
    done = board(frames=1)
    storyreel("render", str(done))
    starts.clear()
    others = [tmp_path / f"{name}.yaml" for name in ("second", "third")]
    for number, other in enumerate(others):
        other.write_text(done.read_text().replace("view", f"{number}. view"))

    ended = storyreel("render", str(done), *map(str, others), "--json")

    assert ended.exit_code == 0
    assert [made["generated"] for made in ended.json["renders"]] == [0, 1, 1]
    assert len(starts) == 1


def test_the_time_that_is_told_is_that_which_a_person_waited(
    storyreel: Storyreel, board: Board, starts: list[float]
) -> None:
    """Prefect's start is part of it; of several storyboards, each has its own."""
    path = board(frames=1)
    first = storyreel("render", str(path), "--json").json["elapsed_s"]
    began = time.monotonic()
    again = storyreel("render", str(path), "--json").json["elapsed_s"]
    waited = time.monotonic() - began

    assert first >= START_S
    assert 0 < again <= waited
