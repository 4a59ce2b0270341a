"""The wait before anything is generated: the command itself, and a storyboard of 10,000 frames."""

import csv
import os
import statistics
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.measure import BIN, Row, flux_server, paired, ratio_row, run
from benchmarks.rendering import write_board

_FRAMES, _FEW = 10_000, 12
_ROUNDS = 5
_STARTS = 15


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    python, storyreel = str(BIN / "python"), str(BIN / "storyreel")
    env = _with_bytecode(folder / "bytecode")
    run([storyreel, "--help"], env=env)
    ours, theirs, ratio = paired([storyreel, "--help"], [python, "-c", "pass"], rounds=_STARTS, env=env)
    against = f"python -c pass ({theirs * 1000:.0f} ms)"
    yield ratio_row("storyreel --help", ratio, against, "3", detail=f"{ours * 1000:.0f} ms")
    yield from _first_request(storyreel, folder / "first-request", env)
    yield from _nothing_to_generate(storyreel, folder)
    board = str(write_board(folder / "many.yaml", _FRAMES))
    load = [python, "-c", f"import yaml; yaml.safe_load(open({board!r}))"]
    for verb in ("check", "plan"):
        ours, theirs, ratio = paired([storyreel, verb, board, "--json"], load, rounds=3)
        against = f"yaml.safe_load of the same file ({theirs:.1f} s)"
        yield ratio_row(f"{verb} of {_FRAMES:,} frames", ratio, against, "2 s", detail=f"{ours:.2f} s")


def _with_bytecode(folder: Path) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as they are on installation, and kept in a folder.

    Where Python writes no bytecode, each start would measure its compiler.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PYTHONPYCACHEPREFIX": str(folder)}


def _first_request(storyreel: str, folder: Path, env: dict[str, str]) -> Iterator[Row]:
    """Measure how soon a render with a Prefect of its own asks for an image, beside the import of Prefect."""
    folder.mkdir()
    board = str(write_board(folder / "first.yaml", 1))
    env = {**env, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
    env.pop("PREFECT_API_URL", None)
    pairs = []
    with flux_server("--rate-limit", "0") as url:
        for number in range(_ROUNDS + 1):
            output = folder / f"outputs-{number}"
            began_s = time.time()
            run([storyreel, "render", board, "--endpoint", url, "--model", "sketch", "--output", str(output)], env=env)
            sent_s = _first_sent_s(output / "first/ledger.csv") - began_s
            pairs.append((sent_s, run([str(BIN / "python"), "-c", "import prefect"], env=env).wall_s))
    # The first one makes Prefect's database.
    asked_s, imported_s = (statistics.median(each) for each in zip(*pairs[1:], strict=True))
    ratio = statistics.median(asked / imported for asked, imported in pairs[1:])
    against = f"python -c 'import prefect' ({imported_s:.1f} s)"
    yield ratio_row("from the command to its first request", ratio, against, "3.5", detail=f"{asked_s:.1f} s")


def _first_sent_s(ledger: Path) -> float:
    """Return when the first attempt of a ledger was sent, in seconds since 1970."""
    with ledger.open(newline="") as file:
        return min(datetime.fromisoformat(attempt["sent_at"]).timestamp() for attempt in csv.DictReader(file))


def _nothing_to_generate(storyreel: str, folder: Path) -> Iterator[Row]:
    """Measure a render that finds everything as it is, beside the command that only looks."""
    output = ["--output", str(folder / "outputs")]
    board = str(write_board(folder / "few.yaml", _FEW))
    run([storyreel, "render", board, *output])
    ours, theirs, ratio = paired(
        [storyreel, "render", board, *output], [storyreel, "plan", board, *output], rounds=_ROUNDS
    )
    yield ratio_row("render with nothing to generate", ratio, f"plan ({theirs:.2f} s)", "1.7", detail=f"{ours:.2f} s")
