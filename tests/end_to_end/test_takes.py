"""Takes, picks and the cutting room as their users run them: the command, real sockets, real signals."""

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import imageio.v3 as iio
import pytest

from tests.conftest import BIN, Board, Ended, Storyreel, clean_environment, serving, wait_until
from tests.support.accounts import rows
from tests.support.patience import WAIT_S

pytestmark = pytest.mark.slow


def numbers(ended: Ended) -> list[list[int]]:
    """Return the takes of each frame, as `storyreel takes --json` lists them."""
    return [[take["take"] for take in frame["takes"]] for frame in ended.json["frames"]]


def test_another_take_is_quoted_bought_and_picked(
    storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path
) -> None:
    """The first take stays what it is; the film changes with the pick, and only then."""
    path, folder = str(board()), tmp_path / "outputs/film"
    storyreel_on_prefect("render", path)
    film, frame = (folder / "film.mp4").read_bytes(), iio.imread(folder / "frames/frame_0001.png")

    rerolled = storyreel_on_prefect("reroll", path, "1", "--takes", "2", "--json", "--yes")

    assert rerolled.exit_code == 0, rerolled.stderr
    assert "2 more takes of 1 frame: 0.000644 USD, at worst 0.002576 USD, simulated" in rerolled.stderr
    assert (rerolled.json["generated"], rerolled.json["cost_usd"]) == (2, "0.000644")
    assert [(take["frame"], take["take"]) for take in rerolled.json["takes"]] == [(1, 2), (1, 3)]
    assert all((tmp_path / take["file"]).is_file() for take in rerolled.json["takes"])
    assert (folder / "film.mp4").read_bytes() == film

    picked = storyreel_on_prefect("pick", path, "1", "3", "--json")

    assert picked.exit_code == 0, picked.stderr
    assert (picked.json["frame"], picked.json["take"], picked.json["requests"]) == (1, 3, 0)
    assert (folder / "film.mp4").read_bytes() != film
    assert (iio.imread(folder / "frames/frame_0001.png") != frame).any()
    listed = storyreel_on_prefect("takes", path, "--json")
    assert numbers(listed) == [[1], [1, 2, 3], [1]]
    assert [frame["shown"] for frame in listed.json["frames"]] == [1, 3, 1]
    assert [(row["frame"], row["take"]) for row in rows(folder)] == [
        ("0", "1"), ("1", "1"), ("2", "1"), ("1", "2"), ("1", "3"),
    ]  # fmt: skip
    assert storyreel_on_prefect("ledger", path, "--verify").exit_code == 0


def test_an_interrupted_reroll_keeps_what_came_and_goes_on_from_there(
    storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path, prefect_api_url: str
) -> None:
    """What was in flight is awaited; the numbers of the rest are given to the next re-roll."""
    path = board()
    with serving(latency_s=(1.0, 1.0), rate_limit=0) as url:
        options = ["--endpoint", url, "--model", "sketch"]
        storyreel_on_prefect("render", str(path), *options)
        many = ["0-2", "--takes", "9", "--rate-limit", "120", "--yes"]
        command = [str(BIN / "storyreel"), "reroll", str(path), *many, *options]
        environment = clean_environment(PREFECT_API_URL=prefect_api_url)
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as rerolling:
            wait_until(lambda: len(list((tmp_path / "outputs/film/takes").glob("*.png"))) > 4)
            rerolling.send_signal(signal.SIGINT)
            rerolling.communicate(timeout=WAIT_S)

        assert rerolling.returncode == 130
        there = numbers(storyreel_on_prefect("takes", str(path), *options[2:], "--json"))
        generated = sum(map(len, there))
        assert 5 <= generated < 30
        assert all(row["status"] == "ok" for row in rows(tmp_path / "outputs/film"))
        again = storyreel_on_prefect("reroll", str(path), "0-2", *options, "--json", "--yes")
        assert [take["take"] for take in again.json["takes"]] == [len(takes) + 1 for takes in there]


@contextlib.contextmanager
def reviewing(*arguments: str, cwd: Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command's cutting room; end it, whatever happens."""
    command = [str(BIN / "storyreel"), "review", *arguments]
    with subprocess.Popen(
        command, cwd=cwd, env=clean_environment(**environment), stderr=subprocess.PIPE, text=True
    ) as room:
        try:
            yield room
        finally:
            room.kill()


def test_the_cutting_room_opens_and_closes(board: Board, tmp_path: Path) -> None:
    """It says where it is, serves its page, and Ctrl-C closes it; a port that is taken is told."""
    path = board()
    with reviewing(str(path), "--no-open", cwd=tmp_path) as room:
        assert room.stderr is not None
        said = room.stderr.readline()
        address = said.split()[-4]
        assert said == f"the cutting room of {path} is at {address} (Ctrl-C closes it)\n"
        assert "A quiet harbor" in httpx.get(address, timeout=WAIT_S).text
        port = address.split(":")[2].split("/")[0]
        with reviewing(str(path), "--no-open", "--port", port, cwd=tmp_path) as second:
            refused = second.communicate(timeout=WAIT_S)[1]
        assert re.fullmatch(f"--port {port}: cannot be listened on: .*; choose another, or 0 for a free one\n", refused)
        room.send_signal(signal.SIGINT)
        rest = room.communicate(timeout=WAIT_S)[1]

    assert (second.returncode, room.returncode, rest) == (2, 0, "")


def test_without_a_browser_the_address_is_for_people(board: Board, tmp_path: Path) -> None:
    """Where nothing opens a page, that is said, and the room is open all the same."""
    with reviewing(str(board()), cwd=tmp_path, PATH=str(tmp_path)) as room:
        assert room.stderr is not None
        room.stderr.readline()
        said = room.stderr.readline()

    assert said == "no browser on this machine opens it; open that address yourself\n"
