"""The whole, over real sockets: the command, the served API, the ledger, the film."""

import csv
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import imageio_ffmpeg
import pytest
from PIL import Image

from tests.conftest import BIN, Ended, clean_environment, serving, wait_until

pytestmark = pytest.mark.slow

Storyreel = Callable[..., Ended]
Board = Callable[..., Path]

# Fast enough for tests: no pause between tries is long, no minute is full.
QUICK = {"STORYREEL_RATE_LIMIT": "60000", "STORYREEL_MAX_RETRY_AFTER_S": "5"}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "ledger.csv").open(newline="") as ledger:
        return list(csv.DictReader(ledger))


def spent(folder: Path) -> Decimal:
    """Return the sum of what was billed: images that were kept, and those that were of no use."""
    return sum((Decimal(row["cost_usd"]) for row in rows(folder) if row["status"] in ("ok", "unusable")), Decimal(0))


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url.rstrip('/')}/_stats", timeout=10) as answer:
        return dict(json.load(answer))


def test_a_render_leaves_film_frames_and_ledger(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """The embedded endpoint renders a short storyboard whole."""
    ended = storyreel("render", str(board()), "--json")

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
        "cost_thb": "0.03381",
        "neurons": "86.4",
        "simulated": True,
        "video": "outputs/film/film.mp4",
        "video_seconds": 0.75,
        "ledger": "outputs/film/ledger.csv",
        "report": "outputs/film/report.html",
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


def test_a_second_render_sends_nothing(storyreel: Storyreel, board: Board) -> None:
    """A take that is there is not generated again."""
    path = str(board())
    storyreel("render", path)

    ended = storyreel("render", path, "--json")

    assert (ended.exit_code, ended.json["requests"], ended.json["reused"]) == (0, 0, 3)


def test_reordering_and_retiming_buy_nothing_and_editing_buys_one(
    storyreel: Storyreel, board: Board, tmp_path: Path
) -> None:
    """Only frames whose request changed are generated; no number of the earlier storyboard lingers."""
    path = board(frames=4)
    storyreel("render", str(path))
    lines = path.read_text().replace("250ms", "500ms").splitlines()
    path.write_text("\n".join([*lines[:-4], lines[-1], lines[-3], "  - something else"]))

    ended = storyreel("render", str(path), "--json")

    frames = tmp_path / "outputs/film/frames"
    assert (ended.json["generated"], ended.json["reused"], ended.json["video_seconds"]) == (1, 2, 1.5)
    assert sorted(path.name for path in frames.iterdir()) == ["frame_0000.png", "frame_0001.png", "frame_0002.png"]
    with Image.open(frames / "frame_0000.png") as first:
        assert first.info["prompt"] == "a quiet harbor, view 3"


def test_the_ledger_equals_the_sellers_account_under_faults(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """With failures of three kinds all frames arrive, and every cent agrees to the last digit."""
    with serving("server-error=0.2", "truncate=0.1", "rate-limit=0.1", seed=7, rate_limit=0) as url:
        ended = storyreel("render", str(board(frames=24)), "--endpoint", url, "--model", "sketch", "--json", **QUICK)
        account = stats(url)

    folder = tmp_path / "outputs/film"
    assert ended.exit_code == 0, ended.stderr
    assert ended.json["generated"] == 24
    assert spent(folder) == Decimal(account["billed_usd"]) == Decimal(ended.json["cost_usd"])
    assert len(rows(folder)) == account["requests"] == ended.json["requests"]


@pytest.mark.parametrize(
    ("fault", "exit_code", "status"),
    [
        ("rate-limit", 4, "rate_limited"),
        ("server-error", 4, "failed"),
        ("authentication", 5, "refused"),
        ("refused", 4, "failed"),
        ("hang", 4, "unknown"),
        ("reset", 4, "unknown"),
        ("truncate", 4, "unusable"),
        ("corrupt", 4, "unusable"),
        ("html", 4, "unusable"),
        ("jpeg", 0, "ok"),
        ("wrong-size", 0, "ok"),
    ],
)
def test_each_fault_for_ever_ends_in_its_exit_code(
    storyreel: Storyreel, board: Board, tmp_path: Path, fault: str, exit_code: int, status: str
) -> None:
    """An endpoint that always fails in one way ends the run in bounded time, with rows that say so."""
    bounds = {
        "STORYREEL_MAX_RESENDS": "1",
        "STORYREEL_MAX_RATE_LIMITED": "3",
        "STORYREEL_READ_TIMEOUT_S": "1",
        "STORYREEL_TOTAL_TIMEOUT_S": "2",
    }
    with serving(f"{fault}=1", rate_limit=0) as url:
        ended = storyreel(
            "render", str(board(frames=2)), "--endpoint", url, "--model", "sketch", "--json", **QUICK, **bounds
        )
        account = stats(url)

    found = rows(tmp_path / "outputs/film")
    assert ended.exit_code == exit_code, ended.stderr
    assert {row["status"] for row in found} == {status}
    assert len(found) == account["requests"]
    assert "Traceback" not in ended.stderr


def test_jpeg_takes_become_png_frames_and_keep_their_bytes(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """A JPEG labelled PNG is kept as it came and shown as a real PNG."""
    with serving("jpeg=1") as url:
        storyreel("render", str(board(frames=1)), "--endpoint", url, "--model", "sketch", **QUICK)

    folder = tmp_path / "outputs/film"
    (row,) = rows(folder)
    assert (folder / row["file"]).read_bytes().startswith(b"\xff\xd8\xff")
    with Image.open(folder / "frames/frame_0000.png") as frame:
        assert frame.format == "PNG"


def test_of_several_storyboards_the_worst_end_decides(storyreel: Storyreel, board: Board) -> None:
    """A frame that fails is less than a budget that refuses, though it comes first; both are named."""
    refused, dear = str(board("refused.yaml", frames=1)), str(board("dear.yaml", more="budget: {usd: 0.0001}\n"))
    with serving("refused=1", rate_limit=0) as url:
        ended = storyreel("render", refused, dear, "--endpoint", url, "--model", "sketch", "--json", **QUICK)

    errors = [render["error"] for render in ended.json["renders"]]
    assert ended.exit_code == 3
    assert ended.stderr.endswith(f"{refused}: {errors[0]}\n{dear}: {errors[1]}\n")


def test_a_budget_refuses_before_the_first_request(storyreel: Storyreel, board: Board) -> None:
    """No request leaves when the quote exceeds the budget."""
    with serving() as url:
        ended = storyreel(
            "render", str(board()), "--endpoint", url, "--model", "sketch", "--budget", "0.0009", "--json"
        )
        account = stats(url)

    assert (ended.exit_code, ended.json["requests"], account["requests"]) == (3, 0, 0)


def test_a_run_that_may_stop_at_its_cap_buys_what_fits(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """Two of three frames today, exit code 3; the third on another day."""
    path = str(board(more="budget: {usd: 0.0007, on_exceed: stop}\n"))
    with serving() as url:
        first = storyreel("render", path, "--endpoint", url, "--model", "sketch", "--json", **QUICK)
        second = storyreel("render", path, "--endpoint", url, "--model", "sketch", "--json", **QUICK)
        account = stats(url)

    assert (first.exit_code, first.json["generated"], first.json["video"]) == (3, 2, None)
    assert first.json["error"].startswith("the budget of 0.0007 USD is used up (0.000644 USD spent or reserved); ")
    assert (second.exit_code, second.json["reused"], second.json["generated"]) == (0, 2, 1)
    assert Decimal(account["billed_usd"]) == spent(tmp_path / "outputs/film") == Decimal("0.000966")


@pytest.mark.parametrize(
    ("more", "environment", "name"),
    [
        ("budget: {total_usd: 0.0007}\n", {}, "the storyboard's budget"),
        ("", {"STORYREEL_BUDGET_DAILY_USD": "0.0007"}, "the day's budget"),
    ],
)
def test_a_budget_that_runs_share_stops_them_together(
    storyreel: Storyreel, board: Board, more: str, environment: dict[str, str], name: str
) -> None:
    """What an earlier run spent counts; the one that would pass the cap stops."""
    path = str(board(more=more))
    with serving() as url:
        given = ("render", path, "--endpoint", url, "--model", "sketch", "--json")
        ended = [storyreel(*given, **QUICK, **environment) for _ in range(2)]
        account = stats(url)

    assert [(each.exit_code, each.json["generated"]) for each in ended] == [(3, 2), (3, 0)]
    assert all(each.json["error"].startswith(f"{name} of 0.0007 USD is used up") for each in ended)
    assert account["images"] == 2


def test_a_run_that_must_afford_the_worst_sends_nothing(storyreel: Storyreel, board: Board) -> None:
    """`on_exceed: refuse` wants room for every re-send."""
    path = str(board(more="budget: {usd: 0.003, on_exceed: refuse}\n"))
    with serving() as url:
        ended = storyreel("render", path, "--endpoint", url, "--model", "sketch", "--json", **QUICK)
        account = stats(url)

    assert (ended.exit_code, account["requests"]) == (3, 0)
    assert "may cost, with every re-send, 0.003864 USD" in ended.json["error"]


def test_an_unanswered_attempt_is_named_and_settled_by_hand(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """It stays charged until somebody knows better; then the ledger says who, when and why."""
    path = str(board(frames=1))
    bounds = {"STORYREEL_MAX_RESENDS": "0", "STORYREEL_READ_TIMEOUT_S": "1"}
    with serving("hang=1", rate_limit=0) as url:
        storyreel("render", path, "--endpoint", url, "--model", "sketch", **QUICK, **bounds)
    named = storyreel("ledger", path)

    settled = storyreel("ledger", path, "--settle", "1", "--cost", "0", "--why", "not on the invoice", "--verify")

    (row,) = rows(tmp_path / "outputs/film")
    assert "attempt 1 is unknown, and charged at what was reserved" in named.stderr
    assert (settled.exit_code, "unknown, and charged" in settled.stderr) == (0, False)
    assert (row["status"], row["cost_usd"], row["settled_why"]) == ("unknown", "0", "not on the invoice")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--settle", "1"], "--settle ATTEMPT and --cost USD|none go together"),
        (["--cost", "0"], "--settle ATTEMPT and --cost USD|none go together"),
        (["--settle", "1", "--cost", "free"], "--cost free: must be an amount in US dollars like 0.000652, or none"),
        (["--settle", "9", "--cost", "none"], "attempt 9: film has none of this number; see its ledger.csv"),
        (["--settle", "1", "--cost", "0"], "attempt 1: is ok, not unknown; nothing to settle"),
    ],
)
def test_a_settlement_that_makes_no_sense_is_refused(
    storyreel: Storyreel, board: Board, arguments: list[str], complaint: str
) -> None:
    """With exit code 2, and in words."""
    path = str(board(frames=1))
    storyreel("render", path)

    ended = storyreel("ledger", path, *arguments)

    assert (ended.exit_code, ended.stderr) == (2, f"{complaint}\n")


def test_a_sketch_is_never_taken_for_the_film(storyreel: Storyreel, board: Board) -> None:
    """A run that asked for another model stops at the first sketch, with the cure."""
    with serving(latency_s=(0.2, 0.2)) as url:
        ended = storyreel("render", str(board(frames=30)), "--endpoint", url, "--json")
        account = stats(url)

    assert ended.exit_code == 5
    assert "--model sketch" in ended.stderr
    assert account["requests"] < 30


def test_an_endpoint_that_is_down_is_named(storyreel: Storyreel, board: Board) -> None:
    """Nothing listens: the run ends with exit code 5 and costs nothing."""
    ended = storyreel("render", str(board()), "--endpoint", "http://127.0.0.1:9", "--json", STORYREEL_MAX_CONNECTS="2")

    assert (ended.exit_code, ended.json["cost_usd"]) == (5, "0")
    assert "http://127.0.0.1:9" in ended.stderr


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
    storyreel: Storyreel, board: Board, tmp_path: Path, prefect_api_url: str
) -> None:
    """After kill -9 in mid-render, a second run completes it: one image for each kept frame, the rest unknown."""
    path = board(frames=30)
    takes = tmp_path / "outputs/film/takes"
    with serving(latency_s=(0.3, 0.6)) as url:
        killed = start(path, prefect_api_url, "--endpoint", url)
        wait_until(lambda: len(list(takes.glob("*.png"))) > 5)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        ended = storyreel("render", str(path), "--endpoint", url, "--model", "sketch", "--json")
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
    storyreel: Storyreel, board: Board, tmp_path: Path, prefect_api_url: str
) -> None:
    """The first Ctrl-C sends nothing more, awaits what is paid for, writes the ledger, and exits 130."""
    with serving(latency_s=(1, 1)) as url:
        interrupted = start(board(frames=60), prefect_api_url, "--endpoint", url)
        wait_until(lambda: stats(url)["requests"] > 5)
        os.kill(interrupted.pid, signal.SIGINT)
        stdout, stderr = interrupted.communicate(timeout=60)
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
        outputs = [process.communicate(timeout=120) for process in both]
        account = stats(url)

    summaries = [json.loads(stdout) for stdout, _ in outputs]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert account["images"] == 24
    assert sum(summary["generated"] for summary in summaries) == 24
    assert all(summary["generated"] + summary["reused"] == 24 for summary in summaries)


LANGUAGE = """
output: [{fps: 12, size: 64x48}, {preset: gif, size: 32x24, name: small}]
defaults: {aspect: 4:3, hold: 1s, transition: {type: dissolve, duration: 500ms}, motion: push_in}
scenes:
  - shots: [{prompt: a harbor, caption: Six in the morning}, {prompt: a lighthouse}, {prompt: the sea}]
"""


def test_a_render_makes_every_output_and_what_lies_beside_it(storyreel: Storyreel, tmp_path: Path) -> None:
    """Two films, captions, the timeline for an editor; a second run writes none of the films again."""
    (tmp_path / "film.yaml").write_text(LANGUAGE)

    first = storyreel("render", "film.yaml", "--otio")
    folder = tmp_path / "outputs" / "film"
    written = {name: (folder / name).stat().st_mtime_ns for name in ("film.mp4", "film-small.gif")}
    second = storyreel("render", "film.yaml", "--otio", "--json")

    assert first.exit_code == second.exit_code == 0, first.stderr
    assert "outputs/film/film-small.gif" in first.stderr
    assert {name: (folder / name).stat().st_mtime_ns for name in written} == written
    assert (folder / "film.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:01,000\nSix in the morning\n")
    assert json.loads((folder / "film.otio").read_text())["OTIO_SCHEMA"].startswith("Timeline")
    assert second.json["video"] == "outputs/film/film.mp4"


def test_a_sound_that_cannot_be_read_buys_nothing(storyreel: Storyreel, tmp_path: Path) -> None:
    """It is told with its place, exit code 2, before the first request."""
    (tmp_path / "noise.ogg").write_text("no sound")
    (tmp_path / "film.yaml").write_text("audio: {track: noise.ogg}\nprompts: [a harbor]\n")

    with serving() as url:
        ended = storyreel("render", "film.yaml", "--endpoint", url, "--model", "sketch")
        asked = stats(url)["requests"]

    assert (ended.exit_code, asked) == (2, 0)
    assert "film.yaml:1:16: audio.track: noise.ogg: is no sound that ffmpeg reads" in ended.stderr


def test_editing_a_caption_buys_nothing_and_encodes_one_segment(storyreel: Storyreel, tmp_path: Path) -> None:
    """The other pieces are there already."""
    board, segments = tmp_path / "film.yaml", tmp_path / "outputs/film/segments"
    text = LANGUAGE.replace(
        "[{fps: 12, size: 64x48}, {preset: gif, size: 32x24, name: small}]", "{fps: 12, size: 64x48}"
    )
    board.write_text(text)
    storyreel("render", "film.yaml")
    before = {path.name for path in segments.iterdir()}
    board.write_text(text.replace("Six", "Seven"))

    ended = storyreel("render", "film.yaml", "--json")

    after = {path.name for path in segments.iterdir()}
    assert (ended.exit_code, ended.json["requests"]) == (0, 0)
    # The caption's hold, and the transition that begins under it.
    assert (len(before), len(after), len(after - before)) == (5, 5, 2)
