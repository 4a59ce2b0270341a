"""The gate: its transactions a second beside pyrate-limiter's, the share of the limit that it reaches, its jitter."""

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.measure import Kind, Row, ratio_row
from pipelines.ledger.gate import PACE
from tests.support.postgres import Postgres, database_for, find_binaries, serving_postgres

_PASSES = 600
_PROCESSES = (1, 4, 8)
_LIMIT_A_MINUTE = 720
_PACED = 144
_TIMEOUT_S = 300


def rows(folder: Path) -> Iterator[Row]:
    """Yield the measurements, made in an empty folder; without Postgres where it is not installed."""
    with contextlib.ExitStack() as stack:
        binaries = find_binaries()
        server = stack.enter_context(serving_postgres(binaries, durable=True)) if binaries else None
        yield from _throughput(folder, server)
        yield from _pacing(folder, server)


def _throughput(folder: Path, server: Postgres | None) -> Iterator[Row]:
    for processes in _PROCESSES:
        ours = _rate("gate", f"sqlite:///{folder / f'gate-{processes}.db'}", processes)
        theirs = _rate("pyrate-sqlite", str(folder / f"pyrate-{processes}.db"), processes)
        yield _throughput_row("SQLite", processes, ours, theirs)
    for processes in _PROCESSES if server else ():
        assert server is not None
        address = database_for(folder / f"gate-{processes}", server.port)
        ours = _rate("gate", address, processes)
        theirs = _rate("pyrate-postgres", address.replace("+psycopg", ""), processes)
        yield _throughput_row("Postgres", processes, ours, theirs)


def _throughput_row(database: str, processes: int, ours: float, theirs: float) -> Row:
    name, against = f"gate on {database}, {processes} process(es)", f"pyrate-limiter's bucket ({theirs:.0f}/s)"
    return ratio_row(name, ours / theirs, against, "300/s", detail=f"{ours:.0f}/s", higher_is_better=True)


def _pacing(folder: Path, server: Postgres | None) -> Iterator[Row]:
    pace = _LIMIT_A_MINUTE / 60 * PACE
    for processes in (1, 2, 8):
        address = database_for(folder / f"pace-{processes}", server.port) if server else f"sqlite:///{folder}/pace.db"
        entered = _entered("paced-gate", address, processes, _PACED // processes, _LIMIT_A_MINUTE)
        # The last of several processes to end runs alone for no more than a place or two.
        share = (len(entered) - 1) / (entered[-1] - entered[0]) / pace
        name = f"share of the aimed pace, {processes} process(es)"
        yield ratio_row(name, share, f"{pace:.2f}/s", "0.97", higher_is_better=True)
        if processes == 1:
            off_ms = sorted(1000 * abs(later - earlier - 1 / pace) for earlier, later in pairwise(entered))
            p99 = statistics.quantiles(off_ms, n=100)[98]
            yield Row("gaps at 12/s off the interval, p99", p99, "ms", Kind.TIME, f"{1000 / pace:.1f} ms", "5 ms")


def _rate(kind: str, address: str, processes: int) -> float:
    entered = _entered(kind, address, processes, _PASSES // processes, 100_000_000)
    return (len(entered) - 1) / (entered[-1] - entered[0])


def _entered(kind: str, address: str, processes: int, times: int, rate_limit: int) -> list[float]:
    """Let processes pass a gate at the same time; return the moments, in seconds since 1970, in order."""
    command = [sys.executable, "-m", "benchmarks.gate_worker", kind, address, str(times), str(rate_limit)]
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(processes)
        ]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        printed = [worker.communicate(timeout=_TIMEOUT_S)[0] for worker in workers]
    return sorted(moment for each in printed for moment in json.loads(each))
