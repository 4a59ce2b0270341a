"""Machines with a common ledger and folders of their own: the takes of one are not generated again by another."""

import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines import api
from pipelines.run.scheduling import StopSignal
from pipelines.takes.place import PLACE_FILE
from tests.conftest import Board, Ended, Storyreel
from tests.support.ledger import NO_SUCH_PID

# Renders, or whatever else, on the machine of this name.
Machine = Callable[..., Ended]


@pytest.fixture
def on(storyreel: Storyreel, tmp_path: Path) -> Machine:
    """Return a function that runs the command on one of several machines: an output folder each, one ledger."""

    def run(machine: str, *arguments: str) -> Ended:
        settings = {"STORYREEL_DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db", "STORYREEL_OUTPUT": machine}
        return storyreel(*arguments, **settings)

    return run


@pytest.fixture
def film(board: Board, on: Machine) -> str:
    """A storyboard of three frames that was rendered on the first machine."""
    path = str(board())
    assert on("first", "render", path).exit_code == 0
    return path


def query(folder: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        return ledger.execute(sql).fetchall()


def kept(folder: Path) -> list[Any]:
    """Return every attempt: its storyboard, its file, and the place of that."""
    return query(folder, "SELECT storyboard, file, place FROM attempts ORDER BY attempt_id")


def place_of(output: Path) -> str:
    return (output / PLACE_FILE).read_text().strip()


def counts(ended: Ended) -> tuple[int, int, int]:
    """Return how a render ended, and how many takes it generated and reused."""
    return ended.exit_code, ended.json["generated"], ended.json["reused"]


def test_a_take_is_kept_with_its_place(film: str, tmp_path: Path) -> None:
    """The id of the output folder, which the first run there has made."""
    place = place_of(tmp_path / "first")

    assert place == str(uuid.UUID(place))
    assert [each[2] for each in kept(tmp_path)] == [place] * 3


@pytest.mark.parametrize(
    "command",
    [("render",), ("plan",), ("plan", "--json"), ("reroll", "0", "--yes"), ("reroll", "0", "--dry-run")],
    ids=" ".join,
)
def test_takes_of_another_place_are_not_generated_again(
    on: Machine, film: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Refused before Prefect starts, with the cures; nothing is forgotten, and nothing made here."""
    before = kept(tmp_path)
    monkeypatch.delattr("pipelines.cli.prefect_run.prefect_flows")
    verb, *rest = command

    ended = on("second", verb, film, *rest)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"film: 3 of its takes lie in another output folder, whose {PLACE_FILE} holds {place_of(tmp_path / 'first')}: "
        "nothing was sent or changed; let this machine see that folder and name it by --output or STORYREEL_OUTPUT, or "
        f"copy it here whole, with its {PLACE_FILE}; if it is gone for good, add its id to second/{PLACE_FILE} as a "
        "line, and what is missing is generated again, which costs again\n"
    )
    assert (kept(tmp_path), (tmp_path / "second").exists()) == (before, False)


def test_programs_are_refused_alike(film: str, tmp_path: Path) -> None:
    """A pick is not entered either."""
    settings = api.Settings(output=tmp_path / "second", database_url=f"sqlite:///{tmp_path}/ledger.db")
    board = api.load_storyboard(film)
    calls: list[Callable[[], object]] = [
        lambda: api.quote(board, settings),
        lambda: api.quote(board, settings, frames=0),
        lambda: api.render(board, settings),
        lambda: api.reroll(board, 0, settings=settings),
        lambda: api.pick(board, 0, 1, settings),
    ]

    for call in calls:
        with pytest.raises(api.UsageError, match=r"^film: 3 of its takes lie in another output folder"):
            call()
    assert query(tmp_path, "SELECT * FROM picks") == []


@pytest.mark.parametrize("command", ["takes", "status", "check", "animatic"])
def test_a_command_that_looks_makes_no_place(on: Machine, film: str, tmp_path: Path, command: str) -> None:
    """It looks at what is here."""
    ended = on("second", command, film)

    assert (ended.exit_code, (tmp_path / "second" / PLACE_FILE).exists()) == (0, False), ended.stderr


def test_the_list_of_takes_says_which_lie_elsewhere(on: Machine, film: str, tmp_path: Path) -> None:
    """They are not called lost; where they lie, nothing is said."""
    place = place_of(tmp_path / "first")

    here, there = (on(machine, "takes", film) for machine in ("first", "second"))

    assert there.stderr.splitlines()[0] == (
        f"film: 3 of its takes lie in another output folder, whose {PLACE_FILE} holds {place}; not listed here"
    )
    assert "another output folder" not in here.stderr


def test_an_animatic_says_why_it_shows_cards(on: Machine, film: str) -> None:
    """Takes that lie elsewhere are not missing."""
    ended = on("second", "animatic", film)

    assert ended.exit_code == 0
    assert ended.stderr.startswith("film: 3 of its takes lie in another output folder, whose ")
    assert ended.stderr.splitlines()[0].endswith("; cards stand for them")


def test_the_account_tells_takes_that_lie_elsewhere_from_lost_ones(on: Machine, film: str, tmp_path: Path) -> None:
    """It does not say that they should be rendered again."""
    here = on("first", "ledger", film, "--verify")
    (tmp_path / "second").mkdir()

    there = on("second", "ledger", film, "--verify")

    assert here.exit_code == 0
    place = place_of(tmp_path / "first")
    assert there.stderr.count(f"lies in another output folder, of the id {place}: verify it where that is seen") == 3
    assert "generate another" not in there.stderr


@pytest.mark.parametrize("with_place", [True, False])
def test_a_copied_folder_pays_nothing(on: Machine, film: str, tmp_path: Path, with_place: bool) -> None:
    """What is here is here, whatever its place says."""
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    if not with_place:
        (tmp_path / "second" / PLACE_FILE).unlink()

    ended = on("second", "render", film, "--json")

    assert counts(ended) == (0, 0, 3)
    assert (place_of(tmp_path / "second") == place_of(tmp_path / "first")) is with_place


def test_one_take_that_was_not_copied_is_enough(on: Machine, film: str, tmp_path: Path) -> None:
    """The film needs every one of them."""
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    (tmp_path / "second" / PLACE_FILE).unlink()
    next((tmp_path / "second/film/takes").glob("*.png")).unlink()

    ended = on("second", "render", film)

    assert ended.exit_code == 2
    assert ended.stderr.startswith("film: 1 of its takes lies in another output folder, whose ")


def test_takes_deleted_here_are_generated_again(on: Machine, film: str, tmp_path: Path) -> None:
    """Whoever deletes them in their own place wants that."""
    shutil.rmtree(tmp_path / "first/film/takes")

    planned = on("first", "plan", film, "--json")
    ended = on("first", "render", film, "--json")

    assert planned.json["generate_again"]["gone"] == 3
    assert counts(ended) == (0, 3, 0)


def test_takes_of_an_older_version_are_lost_where_they_are_not(on: Machine, film: str, tmp_path: Path) -> None:
    """Their place is not known: as before, they are looked for here."""
    query(tmp_path, "UPDATE attempts SET place = NULL")

    ended = on("second", "render", film, "--json")

    assert counts(ended) == (0, 3, 0)
    assert [each[1] is None for each in kept(tmp_path)] == [True] * 3 + [False] * 3


def test_a_folder_stands_for_those_that_are_gone_for_good(on: Machine, film: str, tmp_path: Path) -> None:
    """Once their ids are in its file, alone or after its own, what is missing is generated again."""
    gone = place_of(tmp_path / "first")
    for output, text in (("second", f"{gone}\n"), ("third", f"{uuid.UUID(int=7)}\n{gone}\n")):
        (tmp_path / output).mkdir()
        (tmp_path / output / PLACE_FILE).write_text(text)

        assert on(output, "plan", film, "--json").json["generate_again"]["gone"] == 3

    assert counts(on("third", "render", film, "--json")) == (0, 3, 0)
    assert kept(tmp_path)[-1][2] == str(uuid.UUID(int=7))
    assert on("first", "render", film, "--json").exit_code == 0


def test_takes_of_another_storyboard_elsewhere_refuse_nothing(
    on: Machine, film: str, board: Board, tmp_path: Path
) -> None:
    """They would have served if they were here; they stay that one's, and this one has its own."""
    before = kept(tmp_path)

    ended = on("second", "render", str(board("trailer.yaml")), "--json")

    assert counts(ended) == (0, 3, 0)
    assert kept(tmp_path)[:3] == before
    assert on("first", "render", film, "--json").json["reused"] == 3


def test_a_spoiled_place_is_refused(on: Machine, film: str, tmp_path: Path) -> None:
    """By whatever looks for takes; its file is named, and the cure."""
    (tmp_path / "first" / PLACE_FILE).write_text("studio\n")

    ended = [on("first", verb, film) for verb in ("plan", "render", "takes")]

    assert {each.exit_code for each in ended} == {2}
    assert {each.stderr.splitlines()[-1] for each in ended} == {
        f"first/{PLACE_FILE}: does not hold the id of this folder, a UUID; put that back, or delete the file: the next "
        "run makes a new one"
    }


def test_a_take_that_was_sent_elsewhere_and_not_closed_is_not_sent_here(on: Machine, film: str, tmp_path: Path) -> None:
    """Only the folder of the run that died over it can tell what came of it; there it is found."""
    query(tmp_path, "UPDATE attempts SET status = NULL, file = NULL, finished_at = NULL")
    query(tmp_path, f"UPDATE runs SET finished_at = NULL, state = NULL, pid = {NO_SUCH_PID}")

    elsewhere = on("second", "render", film)
    unclosed = query(tmp_path, "SELECT count(*) FROM attempts WHERE status IS NULL")
    here = on("first", "render", film, "--json")

    assert elsewhere.exit_code == 2
    assert elsewhere.stderr.startswith("film: 3 of its takes lie in another output folder, whose ")
    assert unclosed == [(3,)]
    assert counts(here) == (0, 0, 3)


def test_a_take_that_another_machine_has_just_kept_is_waited_for(
    on: Machine, film: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared folder may show its file late; nothing is written off, and nothing generated again."""
    take = min((tmp_path / "first/film/takes").glob("*.png"))
    hidden = tmp_path / take.name
    take.rename(hidden)
    query(tmp_path, "UPDATE runs SET host = 'another'")
    looks = iter(range(100))
    pause = StopSignal.pause

    async def look_again(signal: StopSignal, seconds: float) -> None:
        # The folder shows it at the third look.
        if next(looks) == 2:
            hidden.rename(take)
        await pause(signal, min(seconds, 0.01))

    monkeypatch.setattr(StopSignal, "pause", look_again)

    ended = on("first", "render", film, "--json")

    assert counts(ended) == (0, 0, 3)
    assert next(looks) > 2
