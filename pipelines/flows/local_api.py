"""A Prefect API for one run from a terminal, where none is configured: silent, and ended when its parent ends.

Prefect would start one itself, but that one writes its log and tracebacks to the terminal, ends at a Ctrl-C that was
meant for the run, and outlives a killed run. This one runs Prefect's own server application in a process and a session
of its own, writes nothing to the terminal, and ends when its parent closes the pipe between them, or dies.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
from filelock import FileLock, Timeout

from pipelines.common.errors import StoryreelError, UsageError

if TYPE_CHECKING:
    import uvicorn

# A first start makes Prefect's database: about half a minute, and many on a machine that is loaded.
_MAKING_TIMEOUT_S = 1800
# One that does nothing for so long does not start any more.
_IDLE_S = 60
_LOCK = "storyreel-first-start.lock"
_STOP_TIMEOUT_S = 15
_HEALTH_TIMEOUT_S = 5
_POLL_S = 0.05

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# This server lives for one run: it needs no pages, no schedules, no telemetry.
_SERVER_SETTINGS = {
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
# Prefect's log of the run goes to the API, where it can be read later, and not to the terminal.
_CLIENT_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL": "CRITICAL",
}


@contextlib.contextmanager
def prefect_api() -> Iterator[Callable[[], None]]:
    """Point Prefect at the API that the user configured, else at one that lives as long as this block.

    Enter it before Prefect is imported, for Prefect reads its settings once; then call what it yields to wait until the
    API is up, for importing Prefect and starting its API each take seconds.

    Raises:
        UsageError: the environment names a proxy that Prefect cannot use.
        StoryreelError: the API did not start; the message holds the end of its log.
    """
    _require_usable_proxies()
    for name, value in _CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    if _is_configured():
        yield lambda: None
        return
    with (
        _home(),
        _loopback_without_proxy(),
        socket.create_server(("127.0.0.1", 0)) as listener,
        tempfile.TemporaryFile() as log,
    ):
        server = _LocalServer(listener, log)
        try:
            server.start_if_free()
            # The port is known before the server listens on it, so that Prefect can be imported meanwhile.
            os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            yield server.wait_until_healthy
        finally:
            os.environ.pop("PREFECT_API_URL", None)
            server.stop()


def is_first_start() -> bool:
    """Return whether Prefect will have to make its database first, which takes about half a minute."""
    return not _is_configured() and not _has_database()


def _has_database() -> bool:
    return (_prefect_home() / "prefect.db").exists()


def drain_prefect() -> None:
    """Wait until all that Prefect has logged and recorded has reached its API."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=_STOP_TIMEOUT_S)


@contextlib.contextmanager
def _home() -> Iterator[None]:
    """Give Prefect a temporary folder for its state where the home folder is not writable, as in many containers."""
    if "PREFECT_HOME" in os.environ or os.access(Path.home(), os.W_OK):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="storyreel-prefect-") as folder:
        os.environ["PREFECT_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["PREFECT_HOME"]


def _require_usable_proxies() -> None:
    """Refuse a proxy of a kind that httpx, and so Prefect's client, cannot even be made with.

    Raises:
        UsageError: there is one.
    """
    for name, value in os.environ.items():
        # Without a scheme, httpx takes it for http.
        kind = urlsplit(value).scheme if "://" in value else "http"
        if name.upper() in _PROXIES and kind not in ("http", "https"):
            raise UsageError(
                f"{name}: names a proxy that cannot be used, of the kind {kind!r}; name an http:// one, or unset it; "
                "nothing was sent"
            )


@contextlib.contextmanager
def _loopback_without_proxy() -> Iterator[None]:
    """Let Prefect ask its API on this machine through no proxy, whatever the environment says."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    excepted = ",".join([*filter(None, before.values()), *_LOOPBACK])
    os.environ.update(dict.fromkeys(before, excepted))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prefect_home() -> Path:
    return Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()


def _is_configured() -> bool:
    if os.environ.get("PREFECT_API_URL"):
        return True
    # Prefect's own reading of its profiles would need its import, which takes seconds and reads the settings for good.
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", _prefect_home() / "profiles.toml"))
    try:
        profiles = tomllib.loads(path.read_text())
    except (OSError, ValueError):
        return False
    active = os.environ.get("PREFECT_PROFILE", profiles.get("active"))
    return bool(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"))


class _LocalServer:
    """Prefect's API in a process of its own. The first one makes Prefect's database, and no other starts meanwhile."""

    def __init__(self, listener: socket.socket, log: IO[bytes]) -> None:
        """Prepare a server.

        Args:
            listener: where it is to listen.
            log: receives what it writes.
        """
        self._listener = listener
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._making = FileLock(_prefect_home() / _LOCK)

    def start_if_free(self) -> None:
        """Start it, unless another one is just making the database."""
        with contextlib.suppress(Timeout):
            self._start(timeout_s=0)

    def wait_until_healthy(self) -> None:
        """Wait until it answers; start it first where another one was making the database.

        Raises:
            StoryreelError: it has ended, or does nothing any more.
        """
        try:
            for is_last in (False, True):
                if self._process is None:
                    self._start(timeout_s=_MAKING_TIMEOUT_S)
                if self._answers():
                    return
                if is_last or self._process is None or self._process.poll() is None:
                    break
                # One that has ended may have been killed, or met a lock: once more is worth it.
                self._end()
        except Timeout as exc:
            raise StoryreelError(
                f"Prefect's API did not start: another storyreel has been making Prefect's database for more than "
                f"{_MAKING_TIMEOUT_S} s; end it, or run again when it is done"
            ) from exc
        finally:
            self._making.release()
        raise StoryreelError(f"Prefect's API did not start: {self._reason()}")

    def stop(self) -> None:
        """End it, and wait for its end."""
        self._making.release()
        self._end()

    def _end(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        # The signal to end; see `main`.
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self, *, timeout_s: float) -> None:
        # Two that make one database at once break each other; and its file is there long before it is made.
        with _folder_errors():
            self._making.acquire(timeout=timeout_s)
        if _has_database():
            self._making.release()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.flows.local_api", str(self._listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[self._listener.fileno()],
            # A Ctrl-C in the terminal goes to the whole group; the run needs its API to the end.
            start_new_session=True,
            env={**os.environ, **_SERVER_SETTINGS},
        )

    def _answers(self) -> bool:
        """Wait for its first answer, for as long as it lives and works; return whether it came."""
        assert self._process is not None
        port, work = self._listener.getsockname()[1], _Work(self._process.pid)
        while self._process.poll() is None and work.goes_on():
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
def _folder_errors() -> Iterator[None]:
    home = _prefect_home()
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


def main() -> None:
    """Serve Prefect's API on the socket whose descriptor is given, until standard input ends."""
    import uvicorn

    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


def _stop_at_end_of_input(server: "uvicorn.Server") -> None:
    # Not through sys.stdin, whose lock this thread would still hold as the interpreter shuts down.
    while os.read(0, 1024):
        pass
    # While it starts it does not look, and making Prefect's database takes long. The next start goes on with that.
    if not server.started:
        os._exit(1)
    server.should_exit = True
    # Its own shutdown may hang, and no process is left that would end it.
    time.sleep(_STOP_TIMEOUT_S)
    os._exit(1)


if __name__ == "__main__":
    main()
