"""Cloudflare's own runtime, workerd, that runs the Worker with Workers AI's binding before a stub of Workers AI."""

import base64
import contextlib
import json
import select
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from tests.support.endpoint import Answer, Endpoint, served
from tests.support.patience import WAIT_S
from tests.support.pictures import picture_bytes

_REPOSITORY = Path(__file__).parents[2]
_WORKER = _REPOSITORY / "worker"
_VERSION = "1.20261117.1"
# A hundred megabytes and more: they are fetched once, and not for each session of tests.
_FOLDER = _REPOSITORY / "build" / f"workerd-{_VERSION}"
_STOP_S = 10
# workerd's own wiring of an AI binding: its module in front of a service, here a server that speaks plain HTTP.
_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      modules = [(name = "index.js", esModule = embed "index.js")],
      compatibilityDate = "%(date)s",
      bindings = [
        (name = "%(binding)s", wrapped = (
          moduleName = "cloudflare-internal:ai-api",
          innerBindings = [(name = "fetcher", service = "workers-ai")],
        )),
        %(token)s
      ],
    )),
    (name = "workers-ai", external = (address = "%(workers_ai)s", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);
"""


class NoWorkerdError(Exception):
    """There is no workerd here; the message says why."""


def find_workerd() -> Path:
    """Return the program, fetched from npm where it is not here yet.

    Raises:
        NoWorkerdError: npm is not installed, has no workerd for this machine, or cannot be reached.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(_FOLDER / ".lock"):
        return _program() or _fetch()


def _program() -> Path | None:
    # Not the package's own command, which is a script that would start this one as a child.
    return next(_FOLDER.glob("node_modules/@cloudflare/workerd-*/bin/workerd"), None)


def _fetch() -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NoWorkerdError("there is no npm here (Debian: apt-get install npm)")
    # Without a network it says so at once.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
    command = [npm, "install", *options, f"workerd@{_VERSION}"]
    try:
        subprocess.run(command, cwd=_FOLDER, check=True, capture_output=True, timeout=WAIT_S)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NoWorkerdError(f"npm cannot fetch workerd: {exc}") from exc
    program = _program()
    if program is None:
        raise NoWorkerdError("npm has no workerd for this machine")
    return program


def picture_answer(picture: bytes) -> Answer:
    """Return Workers AI's answer with a picture."""
    return _json_answer(200, {"image": base64.b64encode(picture).decode()})


def error_answer(number: int, description: str) -> Answer:
    """Return Workers AI's answer with one of its errors."""
    return _json_answer(500, {"internalCode": number, "description": description, "name": "AiError"})


def _json_answer(status: int, body: object) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


@dataclass
class Deployment:
    """A Worker that is being run, and the Workers AI that it asks.

    Attributes:
        url: the Worker's address.
        workers_ai: what it is asked, and with which headers.
        answer: what Workers AI answers with from now on.
    """

    url: str
    workers_ai: Endpoint
    answer: Answer = field(default_factory=lambda: picture_answer(picture_bytes("JPEG", (1024, 1024))))


@contextlib.contextmanager
def deployed(workerd: Path, folder: Path, *, token: str | None = None) -> Iterator[Deployment]:
    """Run the Worker on a free port for as long as the block lasts.

    Args:
        workerd: the program.
        folder: where its configuration is written.
        token: the Worker's secret TOKEN; None for none.
    """
    with served(lambda _body, _number: deployment.answer) as workers_ai:
        config = _write_config(folder, workers_ai.url.removeprefix("http://"), token)
        with _running([str(workerd), "serve", str(config), "--control-fd=1"], folder / "log") as url:
            deployment = Deployment(url, workers_ai)
            yield deployment


def _write_config(folder: Path, workers_ai: str, token: str | None) -> Path:
    """Write what `wrangler deploy` would make of wrangler.toml, for this machine."""
    wrangler: dict[str, Any] = tomllib.loads((_WORKER / "wrangler.toml").read_text())
    shutil.copy(_WORKER / wrangler["main"], folder / "index.js")
    values = {
        "date": wrangler["compatibility_date"],
        "binding": wrangler["ai"]["binding"],
        "token": "" if token is None else f'(name = "TOKEN", text = "{token}"),',
        "workers_ai": workers_ai,
    }
    path = folder / "config.capnp"
    path.write_text(_CONFIG % values)
    return path


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[str]:
    """Run workerd; yield the address that it listens on."""
    with log.open("wb") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{_read_port(process.stdout, log)}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _read_port(stdout: IO[bytes], log: Path) -> int:
    readable, _, _ = select.select([stdout], [], [], WAIT_S)
    # One line of JSON; it is empty where workerd could not start, and has ended.
    line = stdout.readline() if readable else b""
    assert line, log.read_text()
    return int(json.loads(line)["port"])
