"""The machines that tests are made on: what they see of each other, and what can be done to them."""

import datetime
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.support.machines import Machine, MachineRoom, machine_room
from tests.support.patience import WAIT_S

ENVIRONMENT = dict(os.environ)
# Counts aloud, one number once the one before is acknowledged.
COUNTING = """\
import socket, sys, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for number in range(10_000):
    connection.sendall(b"%d\\n" % number)
    connection.recv(1)
    time.sleep(0.02)
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MachineRoom]:
    (tmp_path / "shared").mkdir()
    with machine_room(tmp_path, "ear", "other") as room:
        yield room


def output(machine: Machine, *command: str, cwd: Path, clock_off: str = "") -> str:
    """Return what a program prints, which must end well."""
    process = machine.run(command, ENVIRONMENT, cwd=cwd, clock_off=clock_off)
    said, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    return said


@contextmanager
def hearing(host: str) -> Iterator[tuple[int, list[str]]]:
    """Acknowledge all that is said on a port; yield the port, and what was heard, the end of a connection as `end`."""
    heard: list[str] = []
    with socket.create_server((host, 0)) as listener:

        def hear() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    while said := connection.recv(100):
                        heard.append(said.decode())
                        connection.sendall(b".")
                heard.append("end")

        threading.Thread(target=hear, daemon=True).start()
        yield listener.getsockname()[1], heard


def grows(heard: list[str]) -> bool:
    """Return whether more is heard within a second."""
    before, deadline = len(heard), time.monotonic() + 1
    while len(heard) <= before + 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(heard) > before + 5


def test_a_machine_sees_what_it_shares_and_nothing_else(room: MachineRoom, tmp_path: Path) -> None:
    """Its name, its processes, its addresses and its folders are its own; the shared one is where it was put."""
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "shared/board").write_text("ours\n")
    north = room.machine("north", shared={tmp_path / "shared": tmp_path / "studio"})
    south = room.machine("south", shared={})

    look = f"hostname; ls; cat studio/board; ls -d /proc/1 /proc/{os.getpid()} 2>&-"
    seen = output(north, "bash", "-c", f"{look} || true", cwd=tmp_path)

    assert seen.split() == ["north", "studio", "ours", "/proc/1"]
    assert output(south, "bash", "-c", "hostname; ls", cwd=tmp_path).split() == ["south"]
    assert len({machine.address(service) for machine in (north, south) for service in ("ear", "other")}) == 4


def test_a_clock_is_wrong_where_it_is_asked_to_be(room: MachineRoom, tmp_path: Path) -> None:
    """By an hour, for one program."""
    machine = room.machine("north", shared={})

    off_s, right_s = (int(output(machine, "date", "+%s", cwd=tmp_path, clock_off=off)) for off in ("+1h", ""))

    assert 0 <= right_s + 3600 - off_s < WAIT_S
    assert abs(right_s - datetime.datetime.now(datetime.UTC).timestamp()) < WAIT_S


def test_a_machine_is_cut_off_suspended_and_killed(room: MachineRoom, tmp_path: Path) -> None:
    """While it cannot be heard nobody is told; a kill ends its connections, a loss of power does not."""
    machine, other = (room.machine(name, shared={}) for name in ("north", "south"))
    host = room.address("ear")
    with hearing(host) as (port, heard), hearing(host) as (other_port, other_heard):
        counting = (sys.executable, "-c", COUNTING, host)
        process = machine.run([*counting, str(port)], ENVIRONMENT, cwd=tmp_path)
        silenced = other.run([*counting, str(other_port)], ENVIRONMENT, cwd=tmp_path)
        wait_until(lambda: bool(heard) and bool(other_heard))

        machine.cut_off("ear")
        assert not grows(heard)
        wait_until(lambda: grows(other_heard))
        machine.restore("ear")
        wait_until(lambda: grows(heard))
        machine.suspend()
        assert (grows(heard), process.poll()) == (False, None)
        machine.resume()
        wait_until(lambda: grows(heard))
        machine.kill()
        other.power_off()

        assert (process.wait(WAIT_S), silenced.wait(WAIT_S)) == (-signal.SIGKILL, -signal.SIGKILL)
        wait_until(lambda: heard[-1] == "end")
        assert (grows(other_heard), other_heard[-1] == "end") == (False, False)


def test_a_signal_reaches_the_program(room: MachineRoom, tmp_path: Path) -> None:
    """As `kill` would send it; one that is sent from a terminal may be ignored, by whoever started the tests."""
    shared = tmp_path / "shared"
    machine = room.machine("north", shared={shared: shared})
    waiting = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(1000)"
    process = machine.run([sys.executable, "-c", waiting, str(shared / "begun")], ENVIRONMENT, cwd=tmp_path)
    wait_until((shared / "begun").exists)

    machine.signal(process, signal.SIGTERM)

    assert (process.wait(WAIT_S), machine.name) == (-signal.SIGTERM, "north")
