"""The cost of commands: wall time, processor time, and the peak memory of the largest process."""

import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

BIN = Path(sys.executable).parent
_START_TIMEOUT_S = 180
# The system counts as a process's peak also what the process that started it had by then: so a small one starts it.
_LAUNCHER = """
import json, os, sys, time
tell, command = int(sys.argv[1]), sys.argv[2:]
began = time.perf_counter()
child = os.fork()
if not child:
    os.close(tell)
    os.execvp(command[0], command)
_, status, usage = os.wait4(child, 0)
cost = [time.perf_counter() - began, usage.ru_maxrss, usage.ru_utime + usage.ru_stime]
os.write(tell, json.dumps(cost).encode())
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a command: seconds on the clock and of processors, peak resident MiB; and its output."""

    wall_s: float
    processor_s: float
    peak_mib: float
    stdout: str
    stderr: str


class Kind(StrEnum):
    """The kind of figure that a row has."""

    # Measured side by side with something else, so that it says as much on another machine.
    RATIO = "ratio"
    # Of this machine at this time.
    TIME = "time"
    MEMORY = "memory"
    # Of what comes out, not of the machine: how good pictures are.
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        name: the thing measured. Results of other versions are found by it: it holds no measured figure.
        value: in `unit`; None where it could not be measured.
        unit: `x` for ratios.
        kind: what sort of figure it is.
        against: what it is compared with.
        aim: what it should be.
        detail: figures that go with the value, for people only.
        higher_is_better: whether a higher value is the better one.
    """

    name: str
    value: float | None
    unit: str
    kind: Kind
    against: str
    aim: str = "-"
    detail: str = ""
    higher_is_better: bool = False

    @property
    def figure(self) -> str:
        """The value with its unit and its details, as the table shows it."""
        if self.value is None:
            return "not measured"
        return f"{shown(self.value)} {self.unit}" + (f" ({self.detail})" if self.detail else "")


def ratio_row(
    name: str, value: float, against: str, aim: str = "-", *, detail: str = "", higher_is_better: bool = False
) -> Row:
    """Return the row of a ratio; see `Row`."""
    return Row(name, value, "x", Kind.RATIO, against, aim, detail, higher_is_better)


def shown(value: float) -> str:
    """Return a measured figure to three digits, which is more than two runs have in common."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def run(command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> Cost:
    """Run a command to its end, which must be a good one."""
    told, tell = os.pipe()
    launching = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(tell), *command]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "pass_fds": (tell,)}
    with os.fdopen(told, "rb") as telling, subprocess.Popen(launching, cwd=cwd, env=env, **pipes) as process:
        os.close(tell)
        stdout, stderr = process.communicate()
        cost = telling.read()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}:\n{stderr.decode()}")
    wall_s, peak, processor_s = json.loads(cost)
    return Cost(wall_s, processor_s, _mib(peak), stdout.decode(), stderr.decode())


def own_processor_s() -> float:
    """Return the processor time that this process took so far, without children's, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def paired(
    first: Sequence[str], second: Sequence[str], *, rounds: int, env: dict[str, str] | None = None
) -> tuple[float, float, float]:
    """Run two commands in turn; return their median wall times and the median ratio, first over second."""
    pairs = [(run(first, env=env).wall_s, run(second, env=env).wall_s) for _ in range(rounds)]
    ratio = statistics.median(one / other for one, other in pairs)
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs), ratio


@contextlib.contextmanager
def prefect_server(home: Path) -> Iterator[dict[str, str]]:
    """Run a Prefect server; yield the environment that points to it, so that no measurement has its start in it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    env = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_API_URL": url, "DO_NOT_TRACK": "1"}
    command = [str(BIN / "prefect"), "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await(f"{url}/health")
            yield env
        finally:
            server.terminate()
            server.wait(30)


@contextlib.contextmanager
def flux_server(*options: str) -> Iterator[str]:
    """Serve the FLUX API in a process of its own; yield its address."""
    port = free_port()
    with _serving([str(BIN / "storyreel"), "serve", "--port", str(port), *options], port):
        yield _address(port)


@contextlib.contextmanager
def gallery_server(pictures: Path, latency_s: tuple[float, float], *, rate_limit: int = 0) -> Iterator[str]:
    """Serve the pictures of a folder as the FLUX API would, in a process of its own; yield its address."""
    port = free_port()
    serving = (str(port), str(pictures), *map(str, latency_s), str(rate_limit))
    command = [str(BIN / "python"), "-m", "benchmarks.gallery", *serving]
    with _serving(command, port):
        yield _address(port)


@contextlib.contextmanager
def upstream_server(endpoint: str, book: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the FLUX API in front of an endpoint, in a process of its own; yield its address and the process."""
    port = free_port()
    options = ("--engine", "upstream", "--endpoint", endpoint, "--model", "sketch", "--rate-limit", "0")
    # The code of the folder that this runs in.
    command = [str(BIN / "python"), "-m", "pipelines", "serve", "--port", str(port), *options, "--book", str(book)]
    with _serving(command, port) as server:
        yield _address(port), psutil.Process(server.pid)


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as api:
        try:
            _await(f"{_address(port)}/_stats")
            yield api
        finally:
            api.terminate()
            api.wait(30)


def get_json(url: str) -> Any:
    """Return what an address answers."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def free_port() -> int:
    """Return a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def print_table(rows: Sequence[Row]) -> None:
    """Print rows as a Markdown table."""
    print("| measured | figure | against | aim |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.name} | {row.figure} | {row.against} | {row.aim} |")


def _await(url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def _mib(peak: int) -> float:
    # Linux counts KiB, macOS bytes.
    return peak / (1024 if sys.platform == "linux" else 1 << 20)
