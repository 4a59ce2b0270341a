"""The command on a real terminal: stdin and stderr are a pseudo-terminal, stdout is a pipe."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.conftest import Ended, clean_environment, wait_until
from tests.support.patience import WAIT_S

REPOSITORY = Path(__file__).parents[2]
CTRL_C, CTRL_D = b"\x03", b"\x04"
# What a live display sends between its letters: colours, and moves of the cursor.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class TerminalSession:
    """One call of the command on a terminal; what it prints there is read as it comes."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._printed = bytearray()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def sent(self) -> str:
        """What the command has sent to the terminal so far, colours and moves of the cursor included."""
        return self._printed.decode(errors="replace")

    @property
    def printed(self) -> str:
        """What stands on the terminal so far, as text."""
        return _ESCAPES.sub("", self.sent).replace("\r\n", "\n")

    def wait_for(self, text: str) -> Self:
        """Wait until the command has printed this, or has ended."""
        wait_until(lambda: text in self.printed or not self._reading.is_alive())
        assert text in self.printed, self.printed
        return self

    def press(self, keys: bytes) -> Self:
        """Press these keys."""
        os.write(self._terminal, keys)
        return self

    def end(self) -> Ended:
        """Wait until the command has ended; return what became of it."""
        stdout = self.process.communicate(timeout=WAIT_S)[0]
        self._reading.join(WAIT_S)
        return Ended(self.process.returncode, stdout.decode(), self.printed)

    def _read(self) -> None:
        # EIO: no process has the terminal open any more.
        with contextlib.suppress(OSError):
            while data := os.read(self._terminal, 1024):
                self._printed += data


def _take_terminal() -> None:
    # Its controlling terminal: only then are keys signals.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Ignored in what a shell has started in the background, and in all that such a program starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def on_terminal(*arguments: str, cwd: Path, **environment: str) -> Iterator[TerminalSession]:
    """Run the command on a terminal of its own, its flows without Prefect; end it, whatever happens."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.local_command", *arguments],
        cwd=cwd,
        env=clean_environment(**{"PYTHONPATH": str(REPOSITORY), "TERM": "xterm", "COLUMNS": "200", **environment}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509 - no other threads' locks are needed
    ) as process:
        os.close(theirs)
        try:
            yield TerminalSession(process, ours)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
