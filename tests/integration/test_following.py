"""Commands that are told neither endpoint nor model follow the storyboard's last real run; hints work as they stand."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import runs
from tests.conftest import Board, Ended, Storyreel, serving
from tests.support.accounts import QUICK, stats
from tests.support.dialects import tiny_dialect
from tests.support.ledger import table_rows

MODEL = "flux-1-schnell"
NAMED_BY_ANSWERS = "pipelines.server.engines.drawing.SKETCH_MODEL"


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of an endpoint whose pictures are no sketches: a run that asks it is a real one."""
    monkeypatch.setattr(NAMED_BY_ANSWERS, MODEL)
    with serving() as url:
        yield url


def endpoints(folder: Path) -> set[tuple[Any, ...]]:
    """Return what the ledger in a folder's outputs says of the endpoints of its runs."""
    with Ledger.open(f"sqlite:///{folder}/outputs/storyreel.db") as ledger:
        return set(table_rows(ledger, runs, "endpoint", "address", "dialect"))


def hint(ended: Ended, verb: str) -> list[str]:
    """Return the arguments of the command of this verb that was recommended, as a shell reads them."""
    (line,) = [line for line in ended.stderr.splitlines() if f"storyreel {verb} " in line]
    words = shlex.split(line.rpartition(": ")[0] if line.startswith("  review") else line)
    program = next(word for word in words if word.endswith("storyreel"))
    return words[words.index(program) + 1 :]


def test_commands_that_look_follow_the_last_real_run(storyreel: Storyreel, board: Board, real: str) -> None:
    """And say so in one line on stderr, whatever they print; `plan` quotes what a render would do."""
    path = str(board())
    storyreel("render", path, "--endpoint", real, **QUICK)
    said = f"film: as in its last real run: endpoint {real}, model {MODEL}\n"

    ended = {
        verb: storyreel(verb, path, *rest, "--json")
        for verb, rest in {"takes": (), "ledger": ("--verify",), "pick": ("0", "1"), "reroll": ("0", "--yes")}.items()
    }

    assert {verb: each.exit_code for verb, each in ended.items()} == dict.fromkeys(ended, 0)
    assert all(each.stderr.count(said) == 1 for each in ended.values())
    assert [len(frame["takes"]) for frame in ended["takes"].json["frames"]] == [1, 1, 1]
    assert (ended["reroll"].json["simulated"], stats(real)["images"]) == (False, 4)


def test_what_is_told_is_not_followed(storyreel: Storyreel, board: Board, real: str) -> None:
    """By an option, or by a variable."""
    path = str(board())
    storyreel("render", path, "--endpoint", real, **QUICK)

    told = [storyreel("takes", path, "--model", "sketch"), storyreel("takes", path, STORYREEL_MODEL="sketch")]

    assert [ended.stderr.count("none yet") for ended in told] == [3, 3]
    assert not any("last real run" in ended.stderr for ended in told)


def test_the_last_real_run_is_followed_and_no_simulated_one(
    storyreel: Storyreel, board: Board, real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sketches that were drawn since change nothing; another storyboard has no run to follow."""
    path, other = str(board()), str(board("other.yaml"))
    storyreel("render", path, "--endpoint", real, **QUICK)
    monkeypatch.setattr(NAMED_BY_ANSWERS, "sketch")
    sketches = storyreel("render", path)

    ended = storyreel("takes", path), storyreel("takes", other)

    assert sketches.exit_code == 0
    assert [each.stderr.count("last real run") for each in ended] == [1, 0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_dialect_is_followed_too(storyreel: Storyreel, board: Board, real: str, tmp_path: Path, host: str) -> None:
    """It is told, and named in hints, only where the address does not tell it."""
    address, tells = real.replace("127.0.0.1", host), host == "localhost"
    with tiny_dialect(tmp_path):
        path = str(board())
        rendered = storyreel("render", path, "--endpoint", address, "--dialect", "tiny", **QUICK)

        rerolled = storyreel("reroll", path, "0", "--yes", "--json")
        (note,) = storyreel("plan", path, "--json").json["notes"]

    dialect, option = ("", "") if tells else (", dialect tiny", " --dialect tiny")
    assert f"film: as in its last real run: endpoint {address}{dialect}, model {MODEL}\n" in rerolled.stderr
    assert (rerolled.json["state"], stats(real)["images"]) == ("Completed", 4)
    assert f" review {path} --endpoint {address}{option}:" in rendered.stderr
    assert note.endswith(f"add --endpoint {address}{option}")
    assert endpoints(tmp_path) == {(real, address, "tiny")}


def test_a_model_is_followed_by_the_name_that_it_was_given(storyreel: Storyreel, board: Board, real: str) -> None:
    """Of one that no list has, an endpoint knows no other; its takes are those of the short name."""
    path, full = str(board()), f"@cf/black-forest-labs/{MODEL}"
    storyreel("render", path, "--endpoint", real, "--model", full, **QUICK)

    taken = storyreel("takes", path, "--json").json["frames"]
    (note,) = storyreel("plan", path, "--endpoint", real, "--model", "other", "--json").json["notes"]
    rendered = storyreel("render", path, "--endpoint", real, "--json", **QUICK)

    assert [len(frame["takes"]) for frame in taken] == [1, 1, 1]
    assert (rendered.json["reused"], rendered.json["requests"]) == (3, 0)
    assert note.endswith(f"to quote that, add --model {full}")


def test_a_command_without_a_ledger_follows_nothing_and_makes_none(
    storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """It looks, and leaves nothing behind."""
    ended = storyreel("takes", str(board()))

    assert (ended.exit_code, ended.stderr.count("none yet")) == (0, 3)
    assert not (tmp_path / "outputs").exists()


def test_a_plan_says_what_the_last_real_run_asked(storyreel: Storyreel, board: Board, real: str) -> None:
    """It quotes what a render with the same options would do; with what the note names, that quote reuses its takes."""
    path = str(board())
    storyreel("render", path, "--endpoint", real, **QUICK)

    simulated = storyreel("plan", path)
    (note,) = storyreel("plan", path, "--json").json["notes"]
    named = storyreel("plan", path, *shlex.split(note.rpartition(" add ")[2]), "--json")

    assert f"  note        {note}\n" in simulated.stderr
    assert "3: 3 to generate, 0 to reuse" in simulated.stderr
    assert note == (
        f"the last real run asked {real} for model {MODEL}; this quote is of sketch from embedded: "
        f"to quote that, add --endpoint {real}"
    )
    assert (named.json["reuse"], named.json["notes"]) == (3, [])


def test_a_plan_for_another_model_names_the_option_that_reuses(storyreel: Storyreel, board: Board, real: str) -> None:
    """The endpoint that is told stays."""
    path = str(board())
    storyreel("render", path, "--endpoint", real, **QUICK)

    (note,) = storyreel("plan", path, "--endpoint", real, "--model", "flux-2", "--json").json["notes"]

    assert note.endswith(f"to quote that, add --model {MODEL}")


@pytest.mark.parametrize("name", ["film.yaml", "my film; no.yaml", "-film.yaml"])
def test_the_hint_after_a_render_works_as_it_stands(storyreel: Storyreel, board: Board, real: str, name: str) -> None:
    """It carries what the run was given, whatever the names; another verb with the same arguments sees its takes."""
    board(name)
    given = ["--endpoint", real, "--model", MODEL, "--output", "my films"]
    ended = storyreel("render", *given, "--", name, **QUICK)

    _, *arguments = hint(ended, "review")

    assert arguments[1:] == given
    planned = storyreel("plan", *arguments, "--json")
    assert (planned.exit_code, planned.json["reuse"]) == (0, 3)


def test_a_hint_holds_no_password_and_finds_the_takes_all_the_same(
    storyreel: Storyreel, board: Board, real: str
) -> None:
    """The run that used it is followed."""
    secret = real.replace("http://", "http://me:hunter2@") + "?key=hunter3"
    ended = storyreel("render", str(board()), "--endpoint", secret, "--model", MODEL, **QUICK)

    _, *arguments = hint(ended, "review")

    assert ended.exit_code == 0, ended.stderr
    assert "hunter" not in ended.stderr
    assert "none yet" not in storyreel("takes", *arguments).stderr


def test_the_hint_after_sketches_shows_sketches(
    storyreel: Storyreel, board: Board, real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a real run could be followed; where there is none, nothing need be said."""
    path, other = str(board()), str(board("other.yaml"))
    storyreel("render", path, "--endpoint", real, **QUICK)
    monkeypatch.setattr(NAMED_BY_ANSWERS, "sketch")

    sketches, first = storyreel("render", path), storyreel("render", other)

    assert hint(sketches, "review") == ["review", path, "--model", "sketch"]
    assert hint(first, "review") == ["review", other]


def test_a_pick_that_finds_no_film_names_the_render_that_makes_it(
    storyreel: Storyreel, board: Board, real: str, tmp_path: Path
) -> None:
    """With the endpoint that was followed: a render follows none."""
    path = board(frames=2)
    storyreel("render", str(path), "--endpoint", real, "--output", "films", **QUICK)
    path.write_text(path.read_text() + "  - a lighthouse\n")

    picked = storyreel("pick", str(path), "0", "1", "--output", "films")
    rendered = storyreel(*hint(picked, "render"), "--json", **QUICK)

    assert (rendered.json["reused"], rendered.json["generated"], rendered.json["state"]) == (2, 1, "Completed")
    assert stats(real)["images"] == 3
