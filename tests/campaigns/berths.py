"""Berths: places for machines that render several storyboards in one lane, each machine until it loses its power."""

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.campaigns.clients import ClientEnd
from tests.campaigns.crew import Crew, end_of
from tests.support.machines import Machine
from tests.support.patience import WAIT_S


class Berth:
    """A place for one machine at a time; another one is started there when the last one has lost its power."""

    def __init__(self, crew: Crew, name: str) -> None:
        self._crew = crew
        self._name = name
        self._machines = 0
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The machine that is there."""
        if self._machine is None:
            self._machines += 1
            self._machine = self._crew.machine(f"{self._name}{self._machines}")
        return self._machine

    def lose_power(self, *_: object) -> None:
        """Let the machine that is there lose its power, with all that it does; a strike of a `Schedule`."""
        if self._machine is not None:
            self._machine.power_off()
            self._machine = None

    def start(self, *command: str, lane: str) -> "subprocess.Popen[str]":
        """Start a command in a lane, on the machine that is there."""
        return self._crew.start(self.machine, *command, STORYREEL_LANE=lane)


@dataclass(slots=True)
class BerthClient:
    """A command that runs in a berth; see `lanes.Client`. To kill it is to take the power from its machine."""

    berth: Berth
    process: "subprocess.Popen[str] | None" = None

    def begin(self, *command: str, environment: Mapping[str, str]) -> None:
        """Start the command; all but its lane it has from the crew."""
        self.process = self.berth.start(*command, lane=environment["STORYREEL_LANE"])

    def ended(self, *, timeout_s: float = WAIT_S) -> bool:
        """Return whether it has ended, after waiting for it no longer than that."""
        assert self.process is not None
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.process.poll() is not None

    def end(self) -> ClientEnd:
        """Wait for it to end."""
        assert self.process is not None
        done = end_of(self.process)
        return ClientEnd(done.exit_code, done.stdout + done.stderr)

    def kill(self) -> None:
        """Take the power from its machine, and from what else that one does."""
        self.berth.lose_power()

    @property
    def client(self) -> int:
        """No process of this host's: a machine has numbers of its own."""
        return 0
