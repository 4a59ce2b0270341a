"""The commands that are recommended next: they work as they stand, typed in the same folder."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pipelines.common.settings import Settings

# The options that say which takes a command is about; the others are of one run alone.
_REPEATED = ("endpoint", "dialect", "model", "output")


def next_command(
    verb: str, path: Path, options: Mapping[str, object] | None = None, *, program: str = "storyreel"
) -> str:
    """Return a command line of storyreel, quoted for a shell.

    Args:
        verb: the subcommand.
        path: the storyboard's file, as it was named.
        options: values by the names of the options; None for one that is left out, True for a flag.
        program: the command's own name or path.
    """
    # A name like -film.yaml would be read as an option.
    words = [program, verb, f"./{path}" if str(path).startswith("-") else str(path)]
    for name, value in (options or {}).items():
        if value is True:
            words.append(f"--{name}")
        elif value is not None:
            words += [f"--{name}={value}"] if str(value).startswith("-") else [f"--{name}", str(value)]
    return shlex.join(words)


def own_program() -> str:
    """Return a command that runs storyreel from here: its name if it is on PATH, else its path beside this Python."""
    if shutil.which("storyreel"):
        return "storyreel"
    path = Path(sys.executable).with_name("storyreel")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def options_to_repeat(given: Mapping[str, object], settings: "Settings", *, follows: bool = False) -> dict[str, object]:
    """Return the options with which a command that follows looks at the takes of a run.

    An endpoint that holds a password or a query is not among them: it would stand in the terminal's history.

    Args:
        given: the options that the run was given.
        settings: the run's.
        follows: whether without any, another run would be followed.
    """
    # Here and not above: `check` and `new` have hints, and no endpoint.
    from pipelines.endpoints.choice import dialect_to_tell

    options = {name: given.get(name) for name in _REPEATED}
    options["dialect"] = dialect_to_tell(settings.dialect, settings.endpoint) if given.get("dialect") else None
    if holds_secrets(given.get("endpoint")) or settings.named_endpoint:
        options["endpoint"] = options["dialect"] = None
        if not settings.simulated:
            # With a model alone it would ask the embedded endpoint; with neither it follows this run.
            options["model"] = None
    elif follows:
        options["model"] = settings.effective_model
    return options


def holds_secrets(endpoint: object) -> bool:
    """Return whether an endpoint's address has a part that may be a secret: a user, a password, a query."""
    url = urlsplit(str(endpoint or ""))
    return "@" in url.netloc or bool(url.query or url.fragment)
