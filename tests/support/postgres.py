"""A real Postgres of our own, in a temporary folder: started, killed and started again at will."""

import contextlib
import getpass
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.support.patience import WAIT_S

# Where it is set, ledger stand in the Postgres on this port.
POSTGRES_PORT = "TEST_POSTGRES_PORT"
_LOOPBACK = "127.0.0.1"
# It refuses to run as root; Debian's package brings a user for it.
_USER = "postgres" if os.geteuid() == 0 else getpass.getuser()


def find_binaries() -> Path | None:
    """Return the folder of Postgres's programs, of the newest version that is installed; None where there is none."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return versions[-1] if versions else None


class Postgres:
    """A server on a loopback port, and on the same port of another address if one is given; its data is in `folder`."""

    def __init__(self, binaries: Path, folder: Path, *, durable: bool, address: str | None = None) -> None:
        self._binaries = binaries
        self._folder = folder
        self._durable = durable
        self._addresses = [_LOOPBACK, *([address] if address else [])]
        with socket.create_server((_LOOPBACK, 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        initdb = [f"{binaries}/initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "storyreel", "-E", "UTF8", "-N"]
        subprocess.run(initdb, check=True, capture_output=True, timeout=WAIT_S, **self._as_user())
        if address:
            with (folder / "data/pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {address}/24 trust\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [f"{self._binaries}/postgres", "-D", f"{self._folder}/data", "-h", ",".join(self._addresses)]
        options = ["-p", str(self.port), "-k", str(self._folder), "-c", "max_connections=200"]
        if not self._durable:
            options += ["-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(command + options, stdout=log, stderr=log, **self._as_user())
        self._process = process
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                connect(self.port, "postgres").close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Kill the server and all its sessions at once, as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(WAIT_S)

    def stop(self) -> None:
        """End it, whatever is going on."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _as_user(self) -> dict[str, Any]:
        return {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}


def connect(port: int, database: str) -> "psycopg.Connection[tuple[object, ...]]":
    """Open a connection of a test's own."""
    return psycopg.connect(
        host=_LOOPBACK, port=port, user="storyreel", dbname=database, connect_timeout=int(WAIT_S), autocommit=True
    )


def database_for(folder: Path, port: int, *, host: str = _LOOPBACK) -> str:
    """Return the address of the database that stands for a folder's own, made on first use.

    Those who use the address reach the server at `host`.
    """
    name = f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    with connect(port, "postgres") as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"postgresql+psycopg://storyreel@{host}:{port}/{name}"


@contextlib.contextmanager
def serving_postgres(binaries: Path, *, durable: bool = False, address: str | None = None) -> Iterator[Postgres]:
    """Run a server for as long as the block lasts; one that is not `durable` outlives a kill, but no power cut.

    Args:
        binaries: the folder of Postgres's programs.
        durable: whether what is committed outlives a power cut.
        address: another one of this host where it listens too, and whose network (/24) may connect.
    """
    with tempfile.TemporaryDirectory(prefix="storyreel-postgres-") as folder:
        server = Postgres(binaries, Path(folder), durable=durable, address=address)
        server.start()
        try:
            yield server
        finally:
            server.stop()
