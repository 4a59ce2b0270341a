"""Many clients in little time: a process that has imported what they need forks each of them.

    python -m tests.campaigns.clients [local]

A client runs the storyreel command in a process of its own, with its own number and its own life, and can be killed
at a boundary or at any moment; only the seconds that importing Prefect takes are shared. A local one does without it.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from pipelines.common.errors import IncompleteError
from tests.campaigns import killing
from tests.conftest import clean_environment
from tests.support.patience import WAIT_S

_ROOT = Path(__file__).parents[2]
_LOCAL = "local"
# What is slow to import; none of it imports by name what `killing` wraps.
_SLOW_IMPORTS = ("prefect.artifacts", "prefect.flow_engine", "prefect.task_engine", "prefect.events.worker",
                 "pipelines.server.running", "pipelines.storyboard.loader", "pipelines.cli.main")  # fmt: skip
_SLOW_LOCAL_IMPORTS = ("tests.support.local_command", "psycopg", "pipelines.storyboard.loader")


@dataclass(frozen=True, slots=True)
class ClientEnd:
    """The end of a client: its exit code, and what it printed."""

    code: int
    output: str

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.code == -signal.SIGKILL

    @property
    def left_behind(self) -> bool:
        """Whether it ended because the run died that was to make the film; then it is to be begun again."""
        return self.code == IncompleteError.exit_code and "the run that makes the film died" in self.output


class Forker:
    """The process that forks clients, one at a time."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        self._client = 0
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait until it has imported what clients need: not as it is started, so that several import side by side."""
        assert self._process.stdout is not None
        if not self._ready:
            assert self._process.stdout.readline() == "ready\n"
            self._ready = True

    def begin(
        self, *command: str, environment: Mapping[str, str], boundary: str = killing.NEVER, passing: int = 1
    ) -> None:
        """Start the command; it is killed at the n-th passing of the boundary."""
        job = {"environment": dict(environment), "log": str(self._log), "arguments": [boundary, str(passing), *command]}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.wait_until_ready()
        print(json.dumps(job), file=self._process.stdin, flush=True)
        self._client = int(self._process.stdout.readline())

    @property
    def client(self) -> int:
        """The process number of the client that was begun last."""
        return self._client

    def kill(self) -> None:
        """Kill the client, if it has not ended; its end is still to be waited for."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._client, signal.SIGKILL)

    def ended(self, *, timeout_s: float = WAIT_S) -> bool:
        """Return whether the client has ended, after waiting for it no longer than that."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], timeout_s)[0])

    def end(self) -> ClientEnd:
        """Wait for the client to end."""
        assert self.ended(), f"a client hangs: {self._log.read_text()[-4000:]}"
        assert self._process.stdout is not None
        return ClientEnd(int(self._process.stdout.readline()), self._log.read_text()[-4000:])

    def run(
        self, *command: str, environment: Mapping[str, str], boundary: str = killing.NEVER, passing: int = 1
    ) -> ClientEnd:
        """Start the command and wait for its end."""
        self.begin(*command, environment=environment, boundary=boundary, passing=passing)
        return self.end()


@contextlib.contextmanager
def forker(folder: Path, name: str, *, api: str | None = None) -> Iterator[Forker]:
    """Start a forker in `folder`; in the end, whatever still runs is killed.

    `api` is the address of the clients' Prefect API; None for local ones.
    """
    with_prefect = {"PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "CRITICAL"} if api else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.clients", *([] if api else [_LOCAL])],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(_ROOT), **with_prefect),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Forker(process, folder / f"{name}.log")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _fork_clients(jobs: IO[str], *, local: bool) -> None:
    for name in _SLOW_LOCAL_IMPORTS if local else _SLOW_IMPORTS:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in jobs:
        client = os.fork()
        if not client:
            _become_client(**json.loads(line), local=local)
        print(client, flush=True)
        _, status = os.waitpid(client, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become_client(environment: dict[str, str], log: str, arguments: list[str], *, local: bool) -> NoReturn:
    os.environ.update(environment)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if local:
        # Not at the top of the file: it imports all of the command, for which Prefect's clients have no use yet.
        from tests.support.local_command import do_without_prefect

        do_without_prefect()
    sys.exit(killing.main(*arguments))


if __name__ == "__main__":
    _fork_clients(sys.stdin, local=_LOCAL in sys.argv[1:])
