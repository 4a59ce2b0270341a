"""Machines for tests, made of Linux namespaces: addresses, processes, a name and folders of their own. Only for root.

    with machine_room(tmp_path, "database", "endpoint") as room:
        ...  # let the database listen on room.address("database"), the endpoint on room.address("endpoint")
        first = room.machine("first", shared={tmp_path / "shared": tmp_path / "shared"})
        process = first.run(["storyreel", "render", "film.yaml"], environment, cwd=tmp_path / "shared")
        first.cut_off("database")

Each service has a network of its own, with one cable to each machine: pulling one cuts off one service from one
machine, without a word to either. Machines have no other way out, and end with this process, however that ends.
"""

import contextlib
import ipaddress
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.support.patience import WAIT_S

# Kept for tests of networks (RFC 2544): no host that anybody wants to reach has one of these addresses.
_SUBNETS = tuple(ipaddress.IPv4Network("198.18.0.0/15").subnets(new_prefix=24))
_TRIAL = "ip link add reel type bridge && ip link add name one type veth peer name other && mount -t tmpfs a /mnt"
_PROGRAMS = ("bash", "env", "ip", "mount", "nsenter", "unshare")
_HOLDER = ("unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
# What Python needs under faketime.
_WRONG_CLOCK = Path(__file__).parent / "wrong_clock"
# Linux's: a stopped process, one that is traced, one that has ended.
_AT_REST = "TtZX"
# Connections in these states still have to tell the other end of theirs (Linux's tcp_states.h): open, and FIN is sent.
_UNTOLD = ("01", "04", "09", "0B")
# As long a system that is killed tries to tell: the other end may be cut off.
_GOODBYE_S = 2.0
# The folder of the tests is empty on each machine but for what it shares, which is carried past the cover.
_BEGIN = """\
set -e
hostname "$1"
mount -t tmpfs none /dev/shm
mount -t tmpfs none /mnt
folder=$2
shift 2
shared=("$@")
for number in $(seq 0 2 $((${#shared[@]} - 1))); do
    mkdir "/mnt/$number"
    mount --bind "${shared[number]}" "/mnt/$number"
done
mount -t tmpfs none "$folder"
for number in $(seq 0 2 $((${#shared[@]} - 1))); do
    mkdir -p "${shared[number + 1]}"
    mount --move "/mnt/$number" "${shared[number + 1]}"
done
umount /mnt
ip link set lo up
echo ready
while read -r; do :; done
"""


@dataclass(frozen=True, slots=True)
class Network:
    """The network of one service: a bridge on this host that has the service's address."""

    number: int

    @property
    def bridge(self) -> str:
        """The name of its device."""
        return f"reel{self.number}"

    def address(self, host: int) -> str:
        """Return an address in it; the service's host is 1."""
        return str(_SUBNETS[self.number][host])

    def cable(self, host: int) -> str:
        """Return the name of this end of the cable to a host."""
        return f"{self.bridge}m{host}"

    def remove(self, host: int) -> None:
        """Take a host's cable away, if it has not gone with its machine: the kernel takes its time over that."""
        device = self.cable(host)
        subprocess.run(["ip", "link", "delete", device], check=False, capture_output=True)
        wait_until(lambda: not Path(f"/sys/class/net/{device}").exists())

    def plug_in(self, host: int) -> None:
        """Connect a host's cable."""
        _ip("link", "set", self.cable(host), "master", self.bridge, "up")

    def unplug(self, host: int) -> None:
        """Pull a host's cable: whatever it or the service sends is lost, and neither is told."""
        _ip("link", "set", self.cable(host), "nomaster")


class Machine:
    """A machine that runs; see `MachineRoom.machine`.

    Attributes:
        name: its host name.
    """

    def __init__(self, name: str, host: int, networks: Mapping[str, Network], holder: "subprocess.Popen[str]") -> None:
        self.name = name
        self._host = host
        self._networks = networks
        self._holder = holder
        self._init = _child(holder.pid)
        self._started: list[subprocess.Popen[str]] = []

    def address(self, service: str) -> str:
        """Return the address that a service sees it under."""
        return self._networks[service].address(self._host)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path, clock_off: str = ""
    ) -> "subprocess.Popen[str]":
        """Start a program in a folder of this machine; its output is piped.

        Args:
            command: the program and its arguments.
            environment: all of its environment.
            cwd: the folder, as the machine sees it.
            clock_off: by what its clock is wrong, in faketime's words, such as `+1h`; the test is skipped where
                faketime is not installed.
        """
        if clock_off:
            command, environment = _with_clock(command, environment, clock_off)
        process = subprocess.Popen(
            [*self._entering("mount", "pid", "net", "uts"), "env", "--chdir", str(cwd), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    @staticmethod
    def signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
        """Send a signal to a program that `run` started; what `Popen` would send it to only waits for it."""
        os.kill(_child(process.pid), number)

    def kill(self) -> None:
        """Kill every process at once; the system lives long enough to close their connections."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + _GOODBYE_S
        while self._has_connections() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._end()

    def power_off(self) -> None:
        """Kill every process at once, and let nobody hear of it: a machine that is gone says no goodbye."""
        for service in self._networks:
            self.cut_off(service)
        self._end()

    def suspend(self) -> None:
        """Stop every process where it is."""
        while awake := [process for process in self._processes() if _state(process) not in _AT_REST]:
            for process in awake:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            time.sleep(0.01)

    def resume(self) -> None:
        """Let every process go on."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        self._wake_waiters()

    def cut_off(self, service: str) -> None:
        """Lose whatever goes between it and a service, from now on, in both directions."""
        self._networks[service].unplug(self._host)

    def restore(self, service: str) -> None:
        """Undo `cut_off`."""
        self._networks[service].plug_in(self._host)

    def close(self) -> None:
        """End it, whatever is going on."""
        if self._holder.poll() is None:
            self.kill()
        for process in self._started:
            process.communicate(timeout=WAIT_S)
        self._holder.communicate()
        for network in self._networks.values():
            network.remove(self._host)

    def connect(self, service: str) -> None:
        """Lay the cable to the network of a service."""
        network, address = self._networks[service], self.address(service)
        # A device's name has 15 letters.
        device = f"to-{service}"[:15]
        peer = ["peer", "name", device, "address", _mac(address), "netns", str(self._init)]
        _ip("link", "add", network.cable(self._host), "type", "veth", *peer)
        network.plug_in(self._host)
        within = self._entering("net")
        _ip("address", "add", f"{address}/24", "dev", device, within=within)
        _ip("link", "set", device, "up", within=within)
        # Known to each other for good: else the loss of a cable would be noticed after some seconds.
        _introduce(network.address(1), device, within=within)
        _introduce(address, network.bridge)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)
        self._holder.wait(WAIT_S)
        self._wake_waiters()

    def _has_connections(self) -> bool:
        """Return whether it has connections that the other end may take for open."""
        try:
            _, *rows = Path(f"/proc/{self._init}/net/tcp").read_text().splitlines()
        except OSError:
            return False
        return any(row.split()[3] in _UNTOLD for row in rows)

    def _entering(self, *namespaces: str) -> list[str]:
        return ["nsenter", "--target", str(self._init), *(f"--{name}" for name in namespaces), "--"]

    def _processes(self) -> list[int]:
        """Return its processes, without the first, which only waits for the end."""
        namespace = Path(f"/proc/{self._init}/ns/pid").readlink()
        found = []
        for path in Path("/proc").glob("[0-9]*/ns/pid"):
            with contextlib.suppress(OSError):
                if path.readlink() == namespace:
                    found.append(int(path.parts[2]))
        return [process for process in found if process != self._init]

    def _wake_waiters(self) -> None:
        # nsenter stops with the program that it waits for, and would not see its end.
        for process in self._started:
            process.send_signal(signal.SIGCONT)


class MachineRoom:
    """Machines, and the networks of the services that they reach; see `machine_room`."""

    def __init__(self, folder: Path, networks: Mapping[str, Network], stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._networks = networks
        self._stack = stack
        self._machines = 0

    def address(self, service: str) -> str:
        """Return the address of this host that a service is to listen on."""
        return self._networks[service].address(1)

    def machine(self, name: str, *, shared: Mapping[Path, Path]) -> Machine:
        """Start a machine, with a cable to each service.

        Args:
            name: its host name.
            shared: the folders of this host that it sees, and where: in the room's folder, which is empty there else,
                and the machine's own.
        """
        self._machines += 1
        machine = Machine(name, 10 + self._machines, self._networks, self._hold(name, shared))
        self._stack.callback(machine.close)
        for service in self._networks:
            machine.connect(service)
        return machine

    def _hold(self, name: str, shared: Mapping[Path, Path]) -> "subprocess.Popen[str]":
        """Start the process that holds a machine's namespaces; it and they end when its stdin does."""
        paths = [str(path) for pair in shared.items() for path in pair]
        holder = subprocess.Popen(
            [*_HOLDER, "bash", "-c", _BEGIN, "bash", name, str(self._folder), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            raise RuntimeError(holder.communicate()[1])
        return holder


@contextlib.contextmanager
def machine_room(folder: Path, *services: str) -> Iterator[MachineRoom]:
    """Yield a room without machines yet; skip the test where there can be none.

    Args:
        folder: each machine has an empty one of its own in its place, but for what it shares.
        services: the names of the services; each has a network of its own.
    """
    if missing := why_not():
        pytest.skip(f"machines of namespaces cannot be made here: {missing}")
    with contextlib.ExitStack() as stack:
        networks = {service: stack.enter_context(_network()) for service in services}
        # Machines go before their networks.
        with contextlib.ExitStack() as machines:
            yield MachineRoom(folder, networks, machines)


def why_not() -> str | None:
    """Return why no machines can be made here; None where they can."""
    if os.geteuid():
        return "that wants root"
    if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
        return f"{', '.join(missing)} not found (Debian: apt-get install iproute2 util-linux)"
    tried = subprocess.run([*_HOLDER, "bash", "-c", _TRIAL], check=False, capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else None


@contextlib.contextmanager
def _network() -> Iterator[Network]:
    """Yield a network that no other test has."""
    network = next(filter(_make_bridge, map(Network, range(len(_SUBNETS)))))
    try:
        _ip("address", "add", f"{network.address(1)}/24", "dev", network.bridge)
        _ip("link", "set", network.bridge, "up")
        yield network
    finally:
        _ip("link", "delete", network.bridge)


def _make_bridge(network: Network) -> bool:
    """Make a network's bridge; return whether it was not there yet."""
    command = ["ip", "link", "add", network.bridge, "address", _mac(network.address(1)), "type", "bridge"]
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    if made.returncode and "File exists" not in made.stderr:
        raise RuntimeError(f"{command}: {made.stderr}")
    return not made.returncode


def _ip(*arguments: str, within: Sequence[str] = ()) -> None:
    done = subprocess.run([*within, "ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr}")


def _introduce(address: str, device: str, *, within: Sequence[str] = ()) -> None:
    to = ["lladdr", _mac(address), "dev", device, "nud", "permanent"]
    _ip("neighbour", "replace", address, *to, within=within)


def _mac(address: str) -> str:
    """Return a locally administered hardware address that no other address has."""
    return ":".join(f"{byte:02x}" for byte in (2, 0, *ipaddress.ip_address(address).packed))


def _child(process: int) -> int:
    """Return the one child of a process, once it is there."""
    children = Path(f"/proc/{process}/task/{process}/children")
    wait_until(lambda: bool(children.read_text()), poll_s=0.005)
    return int(children.read_text().split()[0])


def _state(process: int) -> str:
    """Return the letter of a process's state; X for one that is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _with_clock(
    command: Sequence[str], environment: Mapping[str, str], off: str
) -> tuple[list[str], Mapping[str, str]]:
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed (Debian: apt-get install faketime)")
    # The wall clock alone is wrong: not the time that passes, nor the dates that the disk has.
    real = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    path = os.pathsep.join((str(_WRONG_CLOCK), environment.get("PYTHONPATH", "")))
    return ["faketime", "-f", off, *command], {**environment, **real, "PYTHONPATH": path}
