"""The whole, over real sockets: the command, Prefect, the served API, the ledger, the film."""

import json
import os
import signal
import subprocess
from decimal import Decimal
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import pytest

from tests.conftest import BIN, Board, Storyreel, clean_environment, serving, wait_until
from tests.support.accounts import LANGUAGE, QUICK, rows, spent, stats
from tests.support.patience import WAIT_S

pytestmark = pytest.mark.slow


def test_a_render_leaves_film_frames_and_ledger(storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path) -> None:
    """The embedded endpoint renders a short storyboard whole."""
    ended = storyreel_on_prefect("render", str(board()), "--json")

    folder = tmp_path / "outputs" / "film"
    assert ended.exit_code == 0, ended.stderr
    assert ended.json == {
        "storyboard": "film",
        "run_id": ended.json["run_id"],
        "state": "Completed",
        "frames": 3,
        "reused": 0,
        "generated": 3,
        "failed": 0,
        "requests": 3,
        "cost_usd": "0.000966",
        "uncertain_usd": "0",
        "estimated_usd": "0",
        "cost_thb": "0.03381",
        "neurons": "86.4",
        "simulated": True,
        "video": "outputs/film/film.mp4",
        "video_seconds": 0.75,
        "ledger": "outputs/film/ledger.csv",
        "report": "outputs/film/report.html",
        "notes": [],
        "elapsed_s": ended.json["elapsed_s"],
    }
    assert sorted(path.name for path in (folder / "frames").iterdir()) == [
        "frame_0000.png",
        "frame_0001.png",
        "frame_0002.png",
    ]
    assert [row["status"] for row in rows(folder)] == ["ok"] * 3
    assert iio.imread(folder / "frames/frame_0000.png").shape == (1024, 1024, 3)
    assert imageio_ffmpeg.count_frames_and_secs(str(folder / "film.mp4"))[0] == 9


def test_a_second_render_sends_nothing(storyreel_on_prefect: Storyreel, board: Board) -> None:
    """A take that is there is not generated again."""
    path = str(board())
    storyreel_on_prefect("render", path)

    ended = storyreel_on_prefect("render", path, "--json")

    assert (ended.exit_code, ended.json["requests"], ended.json["reused"]) == (0, 0, 3)


def test_the_ledger_equals_the_sellers_account_under_faults(
    storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path
) -> None:
    """With failures of three kinds all frames arrive, and every cent agrees to the last digit."""
    with serving("server-error=0.2", "truncate=0.1", "rate-limit=0.1", seed=7, rate_limit=0) as url:
        ended = storyreel_on_prefect(
            "render", str(board(frames=24)), "--endpoint", url, "--model", "sketch", "--json", **QUICK
        )
        account = stats(url)

    folder = tmp_path / "outputs/film"
    assert ended.exit_code == 0, ended.stderr
    assert ended.json["generated"] == 24
    assert spent(folder) == Decimal(account["billed_usd"]) == Decimal(ended.json["cost_usd"])
    assert len(rows(folder)) == account["requests"] == ended.json["requests"]


def start(board: Path, api: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a render that goes on while the test does."""
    return subprocess.Popen(
        [BIN / "storyreel", "render", str(board), "--model", "sketch", "--json", *arguments],
        cwd=board.parent,
        env=clean_environment(PREFECT_API_URL=api),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_render_is_completed_without_buying_a_kept_frame_again(
    storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path, prefect_api_url: str
) -> None:
    """After kill -9 in mid-render, a second run completes it: one image for each kept frame, the rest unknown."""
    path = board(frames=30)
    takes = tmp_path / "outputs/film/takes"
    with serving(latency_s=(1, 2)) as url:
        # Six are in flight at any time, and it is killed long before the last.
        killed = start(path, prefect_api_url, "--endpoint", url, "--rate-limit", "240")
        wait_until(lambda: len(list(takes.glob("*.png"))) > 5)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        ended = storyreel_on_prefect("render", str(path), "--endpoint", url, "--model", "sketch", "--json")
        account = stats(url)

    found = rows(tmp_path / "outputs/film")
    kept = [row["request_key"] for row in found if row["status"] == "ok"]
    assert ended.exit_code == 0, ended.stderr
    assert ended.json["reused"] > 5
    assert len(kept) == len(set(kept)) == 30
    assert {row["status"] for row in found} == {"ok", "unknown"}
    charged = sum(Decimal(row["cost_usd"] or row["reserved_usd"]) for row in found)
    assert charged >= Decimal(account["billed_usd"])


def test_ctrl_c_keeps_what_is_in_flight(
    storyreel_on_prefect: Storyreel, board: Board, tmp_path: Path, prefect_api_url: str
) -> None:
    """The first Ctrl-C sends nothing more, awaits what is paid for, writes the ledger, and exits 130."""
    with serving(latency_s=(1, 1)) as url:
        # It would take half a minute.
        interrupted = start(board(frames=60), prefect_api_url, "--endpoint", url, "--rate-limit", "120")
        wait_until(lambda: stats(url)["requests"] > 5)
        os.kill(interrupted.pid, signal.SIGINT)
        stdout, stderr = interrupted.communicate(timeout=WAIT_S)
        account = stats(url)

    found = rows(tmp_path / "outputs/film")
    assert interrupted.returncode == 130, stderr
    assert json.loads(stdout)["state"] == "Cancelled"
    assert 5 < len(found) == account["images"] < 60
    assert {row["status"] for row in found} == {"ok"}


def test_two_renders_at_once_share_the_frames(board: Board, tmp_path: Path, prefect_api_url: str) -> None:
    """No frame is generated by both of two runs of one storyboard; both end with the whole film."""
    path = board(frames=24)
    with serving(latency_s=(0.3, 0.5)) as url:
        both = [start(path, prefect_api_url, "--endpoint", url) for _ in range(2)]
        outputs = [process.communicate(timeout=WAIT_S) for process in both]
        account = stats(url)

    summaries = [json.loads(stdout) for stdout, _ in outputs]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert account["images"] == 24
    assert sum(summary["generated"] for summary in summaries) == 24
    assert all(summary["generated"] + summary["reused"] == 24 for summary in summaries)


def test_a_render_makes_every_output_and_what_lies_beside_it(storyreel_on_prefect: Storyreel, tmp_path: Path) -> None:
    """Two films, captions, the timeline for an editor; a second run writes none of the films again."""
    (tmp_path / "film.yaml").write_text(LANGUAGE)

    first = storyreel_on_prefect("render", "film.yaml", "--otio")
    folder = tmp_path / "outputs" / "film"
    written = {name: (folder / name).stat().st_mtime_ns for name in ("film.mp4", "film-small.gif")}
    second = storyreel_on_prefect("render", "film.yaml", "--otio", "--json")

    assert first.exit_code == second.exit_code == 0, first.stderr
    assert "outputs/film/film-small.gif" in first.stderr
    assert {name: (folder / name).stat().st_mtime_ns for name in written} == written
    assert (folder / "film.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:01,000\nSix in the morning\n")
    assert json.loads((folder / "film.otio").read_text())["OTIO_SCHEMA"].startswith("Timeline")
    assert second.json["video"] == "outputs/film/film.mp4"
