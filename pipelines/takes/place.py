"""The place of takes: the output folder that they lie in, known by an id that travels with it.

Machines may share a ledger and not the folder. By its id each knows the takes that only another one can see from those
that are lost.
"""

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.files import publish_new_file, scratch_path

# In the output folder: an id a line. The first is the folder's own; others are those of folders that it stands for.
PLACE_FILE = ".storyreel-place"


@dataclass(frozen=True, slots=True)
class Place:
    """An output folder, as the ledger knows it; `ids` is empty as long as no run has been made in it."""

    ids: tuple[str, ...] = ()

    @property
    def id(self) -> str | None:
        """The id under which takes are kept here."""
        return self.ids[0] if self.ids else None

    def has(self, place: str | None) -> bool:
        """Return whether the takes of a place lie here, if anywhere; so do those of older versions, which have none."""
        return place is None or place in self.ids


# An output folder in which no run has been made.
NO_PLACE = Place()


def read_place(output: Path) -> Place:
    """Return the place that an output folder is; change nothing.

    Raises:
        UsageError: its file cannot be read, or holds something else than ids.
    """
    path = output / PLACE_FILE
    try:
        return _parse(path)
    except (FileNotFoundError, NotADirectoryError):
        return NO_PLACE
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read: {exc.strerror or exc}; make it readable") from exc
    except ValueError as exc:
        raise UsageError(
            f"{path}: does not hold the id of this folder, a UUID; put that back, or delete the file: the next run "
            "makes a new one"
        ) from exc


def claim_place(output: Path) -> Place:
    """Return the place that an output folder is, which is given its id if it has none.

    Of several processes at the same moment one makes it, and all return the same.

    Raises:
        UsageError: as `read_place`; or the id cannot be written.
    """
    if (place := read_place(output)).ids:
        return place
    path = output / PLACE_FILE
    try:
        with scratch_path(path) as temporary, contextlib.suppress(FileExistsError):
            temporary.write_text(f"{uuid.uuid4()}\n")
            publish_new_file(temporary, path)
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written: {exc.strerror or exc}; choose another --output") from exc
    return read_place(output)


def _parse(path: Path) -> Place:
    # With or without the mark that editors on Windows put first.
    lines = path.read_text("utf-8-sig").split()
    if not lines:
        raise ValueError("empty")
    return Place(tuple(str(uuid.UUID(line)) for line in lines))
