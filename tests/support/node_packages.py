"""Packages of npm, for clients in JavaScript: fetched once, and kept."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.support.patience import WAIT_S

_BUILD = Path(__file__).parents[2] / "build"


class NoPackagesError(Exception):
    """They cannot be had here; the message says why."""


def node_packages(*wanted: str) -> Path:
    """Return the folder `node_modules` with these packages, each given as `name@version`.

    Raises:
        NoPackagesError: npm is not installed, or cannot be reached.
    """
    folder = _BUILD / f"npm-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / "complete").exists():
            _install(wanted, folder)
            (folder / "complete").touch()
    return folder / "node_modules"


def _install(wanted: tuple[str, ...], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NoPackagesError("there is no npm here (Debian: apt-get install npm)")
    # Without a network it says so at once.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
    try:
        subprocess.run([npm, "install", *options, *wanted], cwd=folder, check=True, capture_output=True, timeout=WAIT_S)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NoPackagesError(f"npm cannot fetch {' '.join(wanted)}: {exc}") from exc
