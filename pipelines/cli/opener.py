"""Opening a file or a page with the program that the user's machine opens it with.

click.launch does not do: unless it waits for the opener, it cannot tell whether that failed; and the opener writes to
our stdout, which is for --json.
"""

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# Long enough for an opener to fail, short enough not to be waited for.
_GRACE_PERIOD_S = 3.0


def open_for_user(target: Path | str, *, grace_period_s: float = _GRACE_PERIOD_S) -> bool:
    """Open a file, or the page at an address; return whether a program accepted it.

    A program that still runs after `grace_period_s` seconds counts as one that shows the target, as a browser in the
    foreground does. It goes on when this process ends.
    """
    if isinstance(target, Path):
        # Absolute, so that a name like -film.mp4 is not read as an option.
        path, address = str(target.absolute()), target.absolute().as_uri()
    else:
        path = address = target
    return any(_accepts(command, grace_period_s) for command in _openers(path, address))


def _openers(path: str, address: str) -> Iterator[list[str]]:
    """Yield the commands to try: the desktop's own opener, then those of BROWSER, read as Python's webbrowser does."""
    yield ["open" if sys.platform == "darwin" else "xdg-open", path]
    for browser in filter(None, os.environ.get("BROWSER", "").split(os.pathsep)):
        try:
            words = shlex.split(browser)
        except ValueError:
            # An unclosed quote: the other browsers may still be good.
            continue
        if "%s" in browser:
            yield [word.replace("%s", address) for word in words]
        elif words:
            yield [*words, address]


def _accepts(command: list[str], grace_period_s: float) -> bool:
    """Start a program; return whether it ended well, or still runs after the grace period."""
    try:
        # A session of its own, without our streams: it must not write between our lines, nor end with our terminal.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError):
        return False
    try:
        return process.wait(grace_period_s) == 0
    except subprocess.TimeoutExpired:
        # It must be waited for at some time, or it would stay as a zombie for as long as we run.
        threading.Thread(target=process.wait, name="opener", daemon=True).start()
        return True
