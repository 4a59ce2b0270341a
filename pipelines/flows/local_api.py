"""A Prefect API for one run from a terminal, where none is configured: silent, and ended when its parent ends.

Prefect would start one itself, but that one writes its log and tracebacks to the terminal, ends at a Ctrl-C that was
meant for the run, and outlives a killed run. This one runs Prefect's own server application in a process and a session
of its own, writes nothing to the terminal, and ends when its parent closes the pipe between them, or dies.
"""

import contextlib
import os
import socket
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipelines.common.addresses import without_secrets
from pipelines.common.errors import PrefectUnavailableError, UsageError
from pipelines.common.network_environment import require_readable_certificates, require_usable_proxies
from pipelines.flows.local_server import LocalServer

_DRAIN_TIMEOUT_S = 15
# Before there was a storyreel.
_OLDEST_CLOCK = datetime(2025, 1, 1, tzinfo=UTC)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Prefect's log of the run goes to the API, where it can be read later, and not to the terminal.
_CLIENT_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL": "CRITICAL",
}


class ConfiguredApi:
    """The API that the user configured."""

    step = "asking Prefect's API"

    def wait_until_up(self, on_step: Callable[[str], None]) -> None:
        """Ask it once, as Prefect's own client does, which also waits for one that is just starting.

        Raises:
            PrefectUnavailableError: it gives no good answer.
        """
        from prefect.client.orchestration import get_client

        on_step(self.step)
        with get_client(sync_client=True) as client:
            if error := client.api_healthcheck():
                raise PrefectUnavailableError(
                    f"Prefect's API at {without_secrets(str(client.api_url))} cannot be reached: {error}; start it, or "
                    "unset PREFECT_API_URL, for one on this machine for the time of the run; nothing was sent"
                )


@contextlib.contextmanager
def prefect_api() -> Iterator[LocalServer | ConfiguredApi]:
    """Point Prefect at the API that the user configured, else at one that lives as long as this block.

    Enter it before Prefect is imported, for Prefect reads its settings once. The API starts in the background, and is
    to be waited for.

    Raises:
        UsageError: the environment names a proxy or certificates that Prefect cannot use, there is no folder for its
            state, or the clock was never set.
    """
    require_usable_proxies()
    require_readable_certificates()
    for name, value in _CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    if is_configured():
        yield ConfiguredApi()
        return
    _require_a_clock()
    with (
        _home(),
        _loopback_without_proxy(),
        socket.create_server(("127.0.0.1", 0)) as listener,
        tempfile.TemporaryFile() as log,
    ):
        server = LocalServer(_prefect_home(), listener, log)
        try:
            server.start_if_free()
            # The port is known before the server listens on it, so that Prefect can be imported meanwhile.
            os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            yield server
        finally:
            os.environ.pop("PREFECT_API_URL", None)
            server.stop()


def is_configured() -> bool:
    """Return whether the user has configured a Prefect API: by PREFECT_API_URL, or in Prefect's active profile."""
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


def drain_prefect() -> None:
    """Wait until all that Prefect has logged and recorded has reached its API."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=_DRAIN_TIMEOUT_S)


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


def _require_a_clock() -> None:
    """Refuse a clock that was never set, as on a machine without a battery: with it, Prefect's API never answers.

    Raises:
        UsageError: this machine has one.
    """
    now = datetime.now(UTC)
    if now < _OLDEST_CLOCK:
        raise UsageError(f"the clock of this machine says {now:%Y-%m-%d %H:%M} UTC; set it, then run again")


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
