"""The main job: processor time a frame, the share of the rate limit, re-rendering, memory."""

import csv
import datetime
import json
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.assembling import paint_sketches
from benchmarks.measure import (
    BIN,
    Cost,
    Kind,
    Row,
    flux_server,
    gallery_server,
    get_json,
    prefect_server,
    ratio_row,
    run,
)
from benchmarks.naive import prefect_map_rate, sequential_rate

_FRAMES = 360
_PAINTED = 48
_ROUNDS = 3
_LIMIT_A_MINUTE = 720
_LATENCY_S = (3.0, 10.0)
_MODEL = ("--model", "sketch", "--json")
_UNBOUND = ("--rate-limit", "1000000")


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
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
        yield from _processor(folder, env, url)
    beside = f"{peaks[100]:.0f} MiB at 100"
    yield Row("peak memory, 2,000 frames", peaks[2000], "MiB", Kind.MEMORY, beside)
    yield ratio_row("peak memory, 2,000 frames over 100", peaks[2000] / peaks[100], beside, "1.25")


def _processor(folder: Path, env: dict[str, str], url: str) -> Iterator[Row]:
    """Measure the processor time of the client alone: no ffmpeg, no servers."""
    # Of another aspect than any board before: what was generated for one storyboard serves the next.
    board = write_board(folder / "processor.yaml", _FRAMES, aspect="4:3")
    # The board's folder is where the outputs go; the benchmarks are imported from here.
    env = {**env, "PYTHONPATH": str(Path.cwd())}

    def own_s(*command: str) -> float:
        return float(run([str(BIN / "python"), "-m", *command], cwd=board.parent, env=env).stdout.split()[-1])

    render = ("benchmarks.own_cost", "render", str(board), *_MODEL, "--endpoint", url, *_UNBOUND)
    generated_s = own_s(*render)
    home = board.parent / "outputs/processor"
    for made in (home / "segments", home / "thumbnails"):
        shutil.rmtree(made)
    (home / "processor.mp4").unlink()
    # These two have nothing to generate, and no Prefect; the flow of empty tasks has nothing else.
    drawn_s, again_s = own_s(*render), own_s(*render)
    flow_s = own_s("benchmarks.naive", "tasks", str(_FRAMES))
    generating_ms, drawing_ms, task_ms = (
        1000 * seconds / _FRAMES for seconds in (generated_s - drawn_s - flow_s, drawn_s - again_s, flow_s)
    )
    name = "client processor time a frame: to generate and keep it"
    yield Row(name, generating_ms, "ms", Kind.TIME, f"beyond a Prefect flow of empty tasks ({task_ms:.1f} ms)", "15 ms")
    name = "client processor time a frame: its part of the film and its thumbnail"
    yield Row(name, drawing_ms, "ms", Kind.TIME, "a re-render")


def _unchanged(folder: Path, env: dict[str, str]) -> Iterator[Row]:
    """Render 2,000 frames again (those of the memory run), beside a flow that does nothing."""
    again, nothing = [], []
    for _ in range(_ROUNDS):
        again.append(_render(folder / "memory-2000.yaml", env))
        nothing.append(run([str(BIN / "python"), "-m", "benchmarks.naive", "tasks", "0"], env=env))
    requests = sum(json.loads(cost.stdout)["requests"] for cost in again)
    empty_s = statistics.median(cost.wall_s for cost in nothing)
    beyond_s = statistics.median(cost.wall_s for cost in again) - empty_s
    against, detail = f"beyond an empty Prefect flow ({empty_s:.1f} s)", f"{requests} requests"
    yield Row("re-render of 2,000 unchanged frames", beyond_s, "s", Kind.TIME, against, "3 s, 0", detail)


def _at_the_limit(folder: Path, env: dict[str, str]) -> Iterator[Row]:
    """Measure beside an API that paints nothing: a real one does its work elsewhere."""
    board = write_board(folder / "limit.yaml", _FRAMES, aspect="16:9")
    painted = folder / "painted-for-limit"
    painted.mkdir()
    paint_sketches(painted, _PAINTED)
    latency = "{:g}-{:g}".format(*_LATENCY_S)
    with gallery_server(painted, _LATENCY_S, rate_limit=_LIMIT_A_MINUTE) as url:
        cost = _render(board, env, "--endpoint", url)
        stats = get_json(f"{url}/_stats")
    elapsed_s = json.loads(cost.stdout)["elapsed_s"]
    generating_s, last_latency_s = time_to_generate(folder / "outputs/limit/ledger.csv")
    ideal_s = _FRAMES * 60 / _LIMIT_A_MINUTE + last_latency_s
    refused = stats["by_status"].get("429", 0)
    name = f"{_FRAMES} frames at {_LIMIT_A_MINUTE}/min, latency {latency} s"
    beside, detail = f"{ideal_s:.1f} s", f"{refused} x 429"
    yield ratio_row(f"{name}: generating over ideal", generating_s / ideal_s, beside, "1.05, 0", detail=detail)
    yield ratio_row(f"{name}: whole render over ideal", elapsed_s / ideal_s, beside, "1.10")
    yield from _compared(painted, env, _FRAMES / elapsed_s)


def _compared(painted: Path, env: dict[str, str], rate: float) -> Iterator[Row]:
    with gallery_server(painted, _LATENCY_S) as url:
        alone = sequential_rate(url, requests=6)
        mapped = prefect_map_rate(url, env, requests=40)
    name, against = "times as fast as one request after another", "flux-api.md's loop, extrapolated from 6"
    yield ratio_row(name, rate / alone, against, higher_is_better=True)
    name, against = "times as fast as Prefect's own map", "Prefect .map + rate_limit, from 40"
    yield ratio_row(name, rate / mapped, against, higher_is_better=True)


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


def time_to_generate(ledger: Path) -> tuple[float, float]:
    """Return how long it took from the first attempt sent to the last finished, and that last one's latency."""
    with ledger.open(newline="") as file:
        attempts = list(csv.DictReader(file))
    last = max(attempts, key=lambda row: row["finished_at"])
    started = min(row["sent_at"] for row in attempts)
    took = datetime.datetime.fromisoformat(last["finished_at"]) - datetime.datetime.fromisoformat(started)
    return took.total_seconds(), float(last["latency_s"])
