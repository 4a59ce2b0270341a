"""A Prefect API for one run from a terminal, where none is configured: silent, and ended when its parent ends.

Prefect would start one itself, but that one writes its log and tracebacks to the terminal, ends at a Ctrl-C that was
meant for the run, and outlives a killed run. This one runs Prefect's own server application in a process and a session
of its own, writes nothing to the terminal, and ends when its parent closes the pipe between them, or dies.
"""

import contextlib
import functools
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

from pipelines.common.errors import StoryreelError, UsageError

if TYPE_CHECKING:
    import uvicorn

# A first start makes Prefect's database: about half a minute, and more on a slow machine.
_START_TIMEOUT_S = 180
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
        port = listener.getsockname()[1]
        process = _start(listener, log)
        try:
            # The port is known before the server listens on it, so that Prefect can be imported meanwhile.
            os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
            yield functools.partial(_wait_until_healthy, port, process, log)
        finally:
            del os.environ["PREFECT_API_URL"]
            _stop(process)


def is_first_start() -> bool:
    """Return whether Prefect will have to make its database first, which takes about half a minute."""
    return not _is_configured() and not (_prefect_home() / "prefect.db").exists()


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


def _start(listener: socket.socket, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.flows.local_api", str(listener.fileno())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=[listener.fileno()],
        # A Ctrl-C in the terminal goes to the whole group; the run needs its API to the end.
        start_new_session=True,
        env={**os.environ, **_SERVER_SETTINGS},
    )


def _wait_until_healthy(port: int, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if _is_healthy(port):
            return
        time.sleep(_POLL_S)
    log.seek(0)
    raise StoryreelError(f"Prefect's API did not start: {log.read()[-2000:].decode(errors='replace').strip()}")


def _is_healthy(port: int) -> bool:
    try:
        # The socket is bound, so before the server accepts, a connection waits and is not refused.
        # Not through a proxy: Python's own way to look for one takes more spellings than httpx's.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/api/health", timeout=_HEALTH_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    # The signal to end; see `main`.
    process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
