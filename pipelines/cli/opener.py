"""Opens a file or a page for a person with the program that their machine opens it with.

Not click.launch: where nobody waits for it, it takes an opener that failed for one that did not, and leaves it
standing on our stdout, where --json answers.
"""

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_S = 3.0


def open_for_user(what: Path | str, *, patience_s: float = _PATIENCE_S) -> bool:
    """Open a file, or the page at an address, as its owner is used to; return whether something took it.

    An opener that still runs after `patience_s` is taken to show the file, as a browser in the foreground does; it
    outlives us.
    """
    place, address = (what, what) if isinstance(what, str) else (str(what.absolute()), what.absolute().as_uri())
    return any(_took(command, patience_s) for command in _openers(place, address))


def _openers(place: str, address: str) -> Iterator[list[str]]:
    """Yield what to try: the desktop's own opener, then the browsers that BROWSER names, as Python reads it."""
    yield ["open" if sys.platform == "darwin" else "xdg-open", place]
    for browser in filter(None, os.environ.get("BROWSER", "").split(os.pathsep)):
        try:
            words = shlex.split(browser)
        except ValueError:
            continue
        if "%s" in browser:
            yield [word.replace("%s", address) for word in words]
        elif words:
            yield [*words, address]


def _took(command: list[str], patience_s: float) -> bool:
    try:
        # A session of its own: it must neither write between our lines nor end with our terminal.
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
        return process.wait(patience_s) == 0
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, name="opener", daemon=True).start()
        return True
