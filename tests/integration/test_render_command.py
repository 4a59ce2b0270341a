"""The command over real sockets, its flows without Prefect: what is generated, what it costs, how it ends."""

from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Board, Ended, Storyreel, serving
from tests.support.accounts import LANGUAGE, QUICK, rows, spent, stats


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
    bounds = {"STORYREEL_MAX_RESENDS": "1", "STORYREEL_MAX_RATE_LIMITED": "3"}
    if fault == "hang":
        bounds |= {"STORYREEL_READ_TIMEOUT_S": "0.5", "STORYREEL_TOTAL_TIMEOUT_S": "1"}
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
    assert "the cost of attempt 1 is not known, and charged at what was reserved" in named.stderr
    assert (settled.exit_code, "is not known" in settled.stderr) == (0, False)
    assert (row["status"], row["cost_usd"], row["settled_why"]) == ("unknown", "0", "not on the invoice")


def test_a_settlement_that_makes_no_sense_is_refused(storyreel: Storyreel, board: Board) -> None:
    """With exit code 2, and in words."""
    path = str(board(frames=1))
    storyreel("render", path)
    unfinished = "--settle ATTEMPT and --cost USD|none go together"
    complaints = {
        ("--settle", "1"): unfinished,
        ("--cost", "0"): unfinished,
        ("--settle", "1", "--cost", "free"): "--cost free: must be an amount in US dollars like 0.000652, or none",
        ("--settle", "9", "--cost", "none"): "attempt 9: film has none of this number; see its ledger.csv",
        ("--settle", "1", "--cost", "0"): "attempt 1: its cost is known, 0.000322 USD (stated); nothing to settle",
    }

    ended = {arguments: storyreel("ledger", path, *arguments) for arguments in complaints}

    assert ended == {arguments: Ended(2, "", f"{complaint}\n") for arguments, complaint in complaints.items()}


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
