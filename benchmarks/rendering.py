"""The main job: processor time a frame, the share of the rate limit, re-rendering, memory."""

import csv
import datetime
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import BIN, Cost, Row, flux_server, get_json, prefect_server, run
from benchmarks.naive import prefect_map_rate, sequential_rate

_FRAMES = 360
_LIMIT_A_MINUTE = 720
_LATENCY_S = (3.0, 10.0)
_MODEL = ("--model", "sketch", "--json")
_UNBOUND = ("--rate-limit", "1000000")


def rows(folder: Path) -> Iterator[Row]:
    """Measure, in a folder of our own."""
    with prefect_server(folder / "prefect") as env:
        yield from _processor_and_memory(folder, env)
        yield from _unchanged(folder, env)
        yield from _at_the_limit(folder, env)


def _processor_and_memory(folder: Path, env: dict[str, str]) -> Iterator[Row]:
    peaks = {}
    with flux_server("--rate-limit", "0") as url:
        for frames in (100, 2000):
            board = write_board(folder / f"memory-{frames}.yaml", frames)
            peaks[frames] = _render(board, env, "--endpoint", url, *_UNBOUND).peak_mib
        per_frame_ms = 1000 * _own_processor_s(folder, env, url) / _FRAMES
    yield Row("client processor time a frame", f"{per_frame_ms:.1f} ms", "a re-render subtracted", "25 ms")
    ratio = peaks[2000] / peaks[100]
    yield Row("peak memory, 2,000 frames over 100", f"{ratio:.2f}", f"{peaks[100]:.0f} MiB at 100", "1.25")


def _own_processor_s(folder: Path, env: dict[str, str], url: str) -> float:
    """Return the processor time that buying frames took the client alone: no ffmpeg, no servers."""
    board = write_board(folder / "processor.yaml", _FRAMES)
    command = [str(BIN / "python"), "-m", "benchmarks.own_cost", "render", str(board), *_MODEL, "--endpoint", url]
    # The board's folder is where the outputs go; the benchmarks are imported from here.
    env = {**env, "PYTHONPATH": str(Path.cwd())}
    bought, again = (run([*command, *_UNBOUND], cwd=board.parent, env=env).stderr.split()[-1] for _ in range(2))
    return float(bought) - float(again)


def _unchanged(folder: Path, env: dict[str, str]) -> Iterator[Row]:
    """Render 2,000 frames again (bought by the memory run), beside a flow that does nothing."""
    again = _render(folder / "memory-2000.yaml", env)
    nothing = run([str(BIN / "python"), "-m", "benchmarks.naive", "nothing"], env=env)
    requests = json.loads(again.stdout)["requests"]
    beyond_s = again.wall_s - nothing.wall_s
    figure = f"{beyond_s:.1f} s, {requests} requests"
    yield Row(
        "re-render of 2,000 unchanged frames", figure, f"an empty Prefect flow ({nothing.wall_s:.1f} s)", "3 s, 0"
    )


def _at_the_limit(folder: Path, env: dict[str, str]) -> Iterator[Row]:
    board = write_board(folder / "limit.yaml", _FRAMES, aspect="4:3")
    latency = "{:g}-{:g}".format(*_LATENCY_S)
    with flux_server("--rate-limit", str(_LIMIT_A_MINUTE), "--latency", latency) as url:
        cost = _render(board, env, "--endpoint", url)
        stats = get_json(f"{url}/_stats")
    elapsed_s = json.loads(cost.stdout)["elapsed_s"]
    buying_s, last_latency_s = _buying_s(folder / "outputs/limit/ledger.csv")
    ideal_s = _FRAMES * 60 / _LIMIT_A_MINUTE + last_latency_s
    refused = stats["by_status"].get("429", 0)
    name = f"{_FRAMES} frames at {_LIMIT_A_MINUTE}/min, latency {latency} s"
    yield Row(f"{name}: buying over ideal", f"{buying_s / ideal_s:.3f}, {refused} x 429", f"{ideal_s:.1f} s", "1.05, 0")
    yield Row(f"{name}: whole render over ideal", f"{elapsed_s / ideal_s:.3f}", f"{ideal_s:.1f} s", "1.10")
    yield from _compared(env, _FRAMES / elapsed_s, latency)


def _compared(env: dict[str, str], rate: float, latency: str) -> Iterator[Row]:
    with flux_server("--rate-limit", "0", "--latency", latency) as url:
        alone = sequential_rate(url, requests=6)
        mapped = prefect_map_rate(url, env, requests=40)
    yield Row("the same, times as fast", f"{rate / alone:.0f}", "flux-api.md's loop, extrapolated from 6", "-")
    yield Row("the same, times as fast", f"{rate / mapped:.1f}", "Prefect .map + rate_limit, from 40", "-")


def write_board(path: Path, frames: int, *, aspect: str = "1:1") -> Path:
    """Write a storyboard of many frames whose film costs next to nothing."""
    prompts = "\n".join(f"  - a harbor, view {number}" for number in range(frames))
    path.write_text(
        "title: Many\noutput: {fps: 2, size: 16x16}\n"
        f"defaults: {{aspect: {aspect}, hold: 1s}}\nmax_frames: {frames}\nprompts:\n{prompts}\n"
    )
    return path


def _render(board: Path, env: dict[str, str], *options: str) -> Cost:
    return run([str(BIN / "storyreel"), "render", str(board), *_MODEL, *options], cwd=board.parent, env=env)


def _buying_s(ledger: Path) -> tuple[float, float]:
    """Return how long it took from the first attempt sent to the last finished, and that last one's latency."""
    with ledger.open(newline="") as file:
        attempts = list(csv.DictReader(file))
    last = max(attempts, key=lambda row: row["finished_at"])
    started = min(row["sent_at"] for row in attempts)
    took = datetime.datetime.fromisoformat(last["finished_at"]) - datetime.datetime.fromisoformat(started)
    return took.total_seconds(), float(last["latency_s"])
