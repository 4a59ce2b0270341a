"""The storyboard under review, as it was last read, and what can be asked of it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import Problem, StoryboardError, UsageError
from pipelines.common.settings import Settings
from pipelines.endpoints.choice import model_to_check
from pipelines.film.outputs import film_paths
from pipelines.run.checking import check_storyboard
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import FrameSpec, plan_of
from pipelines.storyboard.quote import Quote, quote_takes
from pipelines.storyboard.selection import ExtraTakes, require_prompt
from pipelines.takes.ownership import require_own_folder
from pipelines.voice.planning import plan_spoken, speak_in_thread

# The page's keys 1 to 9 pick takes; for more at once there is `storyreel reroll`.
_MAX_TAKES_AT_ONCE = 9


class OutOfDateError(UsageError):
    """The page is out of date: the storyboard or the price has changed since it was loaded."""


@dataclass(frozen=True, slots=True)
class RerollRequest:
    """A request for more takes of some frames.

    Attributes:
        keys: the frames' request keys: numbers would name other frames once the storyboard is edited.
        count: takes of each, from 1 to 9.
        prompt: instead of the frames' own; None for those.
    """

    keys: tuple[str, ...]
    count: int
    prompt: str | None


class ReviewedStoryboard:
    """A storyboard file that may be edited while it is under review.

    Attributes:
        board: as it was last read without mistakes.
        plan: its frames and films.
        notes: on it; those on its sounds are added by `check`.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        """Read a storyboard, and speak what it says.

        Args:
            path: its file.
            settings: where its files are, and which model is asked.

        Raises:
            UsageError: it is wrong, cannot be spoken, or its folder is another file's.
            StorageError: its speech could not be written.
        """
        self._path = path
        self._settings = settings
        self.board = load_storyboard(path)
        require_own_folder(self.board, settings)
        self.plan = plan_spoken(self.board, settings)
        self.notes: tuple[Problem, ...] = self.board.notes

    async def reload(self) -> None:
        """Read the file again, and speak what it says now; until then everything stays as it is.

        Raises:
            UsageError: it is wrong, cannot be spoken, names another endpoint than at first, or its folder is another
                file's; board and plan are as they were.
            StorageError: its speech could not be written; likewise.
        """
        board = await asyncio.to_thread(load_storyboard, self._path)
        self._require_same_endpoint(board)
        require_own_folder(board, self._settings)
        # It may take long: the page is served meanwhile.
        speeches = await speak_in_thread(board, self._settings)
        self.plan = plan_of(board, self._settings, speeches=speeches)
        self.board = board
        self.notes = board.notes

    def _require_same_endpoint(self, board: Storyboard) -> None:
        # The settings are those of every run here, and were made for the endpoint that the storyboard named at first.
        told = self._settings.endpoint is not None and self._settings.named_endpoint is None
        if not told and board.endpoint != self.board.endpoint:
            raise UsageError(
                f"{self._path}: names another endpoint than before; close the cutting room and open it again, to ask it"
            )

    async def check(self) -> None:
        """Look at what its films are made of besides frames, and note what is wrong or surely not meant.

        Sounds are decoded, which may take long.
        """
        board = self.board
        notes: tuple[Problem, ...]
        try:
            notes = await check_storyboard(board, self._settings, model=model_to_check(self._settings))
        except StoryboardError as error:
            notes = (*board.notes, *error.problems)
        # Read again in the meantime, it has other notes.
        if board is self.board:
            self.notes = notes

    def find_frames(self, keys: tuple[str, ...]) -> tuple[FrameSpec, ...]:
        """Return the frames of these request keys.

        Raises:
            OutOfDateError: the storyboard has no such frame any more.
        """
        by_key = {frame.request_key: frame for frame in self.plan.frames}
        if not keys or any(key not in by_key for key in keys):
            raise OutOfDateError("the storyboard has changed: this frame is not what it was; look at it again")
        return tuple(by_key[key] for key in keys)

    def extra_takes(self, request: RerollRequest) -> ExtraTakes:
        """Return the takes that a request asks for.

        Raises:
            UsageError: the count or the prompt is not allowed.
            OutOfDateError: the storyboard has no such frame any more.
        """
        if not 1 <= request.count <= _MAX_TAKES_AT_ONCE:
            raise UsageError(f"{request.count} takes at once: ask for 1 to {_MAX_TAKES_AT_ONCE}")
        prompt = None if request.prompt is None else require_prompt(request.prompt)
        return ExtraTakes(self.find_frames(request.keys), request.count, prompt)

    def quote(self, request: RerollRequest) -> Quote:
        """Price a re-roll.

        Raises:
            UsageError: as `extra_takes` does.
        """
        takes = self.extra_takes(request)
        return quote_takes(takes.to_quote, frames=len(self.plan.frames), settings=self._settings)

    def file_versions(self) -> tuple[object, ...]:
        """Return the versions of all files that the page depends on; the storyboard's own is the first."""
        folder = self._settings.output / self.board.id
        films = film_paths(folder, self.plan)
        # A run elsewhere changes the folder of frames where it publishes a pick, and ledger.csv where it generates.
        return tuple(_version(path) for path in (self._path, folder / "frames", folder / "ledger.csv", *films))


def _version(path: Path) -> tuple[int, int] | None:
    """Return values that change whenever a file is replaced; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
