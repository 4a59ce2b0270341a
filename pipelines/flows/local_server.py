"""Prefect's API in a process of its own: started, waited for as long as it works, started once more, ended."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
from filelock import FileLock, Timeout

from pipelines.common.errors import PrefectUnavailableError, UsageError
from pipelines.flows.local_server_main import STOP_TIMEOUT_S

# A first start makes Prefect's database: about half a minute, and many on a machine that is loaded.
_MAKING_TIMEOUT_S = 1800
# One that does nothing for so long does not start any more.
_IDLE_S = 60
_LOCK = "storyreel-first-start.lock"
_HEALTH_TIMEOUT_S = 5
_POLL_S = 0.05

# This server lives for one run: it needs no pages, no schedules, no telemetry.
_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


class LocalServer:
    """Prefect's API in a process of its own. The first one makes Prefect's database, and no other starts meanwhile."""

    def __init__(self, home: Path, listener: socket.socket, log: IO[bytes]) -> None:
        """Prepare a server.

        Args:
            home: the folder of Prefect's state.
            listener: where it is to listen.
            log: receives what it writes.
        """
        self._home = home
        self._listener = listener
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._making = FileLock(home / _LOCK)

    def start_if_free(self) -> None:
        """Start it, unless another one is just making the database.

        Raises:
            UsageError: the folder of its state cannot be used.
        """
        with contextlib.suppress(Timeout):
            self._start(timeout_s=0)

    @property
    def step(self) -> str:
        """What is waited for, in words."""
        if self._process is None:
            return "another storyreel is making Prefect's database"
        return "starting Prefect" + (", for the first time: about half a minute" if self._making.is_locked else "")

    def wait_until_up(self, on_step: Callable[[str], None]) -> None:
        """Wait until it answers; start it first where another one was making the database.

        Args:
            on_step: is told in words what is waited for.

        Raises:
            PrefectUnavailableError: it has ended, or does nothing any more.
        """
        try:
            on_step(self.step)
            if self._process is None:
                self._start(timeout_s=_MAKING_TIMEOUT_S)
                on_step(self.step)
            answers = self._answers()
            # One that has ended may have been killed, or met a lock: once more is worth it.
            if not answers and self._has_ended:
                self._end()
                self._start(timeout_s=_MAKING_TIMEOUT_S)
                answers = self._answers()
            if answers:
                return
        except Timeout as exc:
            raise PrefectUnavailableError(
                f"Prefect's API did not start: another storyreel has been making Prefect's database for more than "
                f"{_MAKING_TIMEOUT_S} s; end it, or run again when it is done"
            ) from exc
        finally:
            self._making.release()
        raise PrefectUnavailableError(f"Prefect's API did not start: {self._reason()}")

    def stop(self) -> None:
        """End it, and wait for its end."""
        self._making.release()
        self._end()

    def _end(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        # The signal to end; see `local_server_main`.
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self, *, timeout_s: float) -> None:
        # Two that make one database at once break each other; and its file is there long before it is made.
        with _folder_errors(self._home):
            self._making.acquire(timeout=timeout_s)
        if (self._home / "prefect.db").exists():
            self._making.release()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.flows.local_server_main", str(self._listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[self._listener.fileno()],
            # A Ctrl-C in the terminal goes to the whole group; the run needs its API to the end.
            start_new_session=True,
            env={**os.environ, **_SETTINGS},
        )

    @property
    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _answers(self) -> bool:
        """Wait for its first answer, for as long as it lives and works; return whether it came."""
        assert self._process is not None
        port, work = self._listener.getsockname()[1], _Work(self._process.pid)
        while not self._has_ended and work.goes_on():
            if _is_healthy(port):
                return True
            time.sleep(_POLL_S)
        return False

    def _reason(self) -> str:
        assert self._process is not None
        code = self._process.poll()
        ended = f"it has done nothing for {_IDLE_S} s" if code is None else f"it ended with exit code {code}"
        self._log.seek(0)
        said = self._log.read()[-2000:].decode(errors="replace").strip()
        return f"{ended}: {said}" if said else f"{ended}, and gave no reason"


@contextlib.contextmanager
def _folder_errors(home: Path) -> Iterator[None]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        # A lock that is held by another comes out as one of these, too.
        if isinstance(exc, Timeout):
            raise
        reason = exc.strerror or exc
        raise UsageError(
            f"{home}: Prefect cannot keep its state there: {reason}; let PREFECT_HOME name a folder"
        ) from exc


class _Work:
    """The work of a process, by its processor time: a machine may be too loaded to give it much."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done_s = 0.0
        self._last = time.monotonic()

    def goes_on(self) -> bool:
        """Return whether it has done anything in the last time."""
        now = time.monotonic()
        with contextlib.suppress(psutil.Error):
            times = self._process.cpu_times()
            if times.user + times.system > self._done_s:
                self._done_s, self._last = times.user + times.system, now
        return now - self._last < _IDLE_S


def _is_healthy(port: int) -> bool:
    try:
        # The socket is bound, so before the server accepts, a connection waits and is not refused.
        # Not through a proxy: Python's own way to look for one takes more spellings than httpx's.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/api/health", timeout=_HEALTH_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
