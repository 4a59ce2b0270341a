"""Speaking in a command: a terminal shows how far it is, for the first time takes seconds."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from pipelines.cli.logs import is_quiet
from pipelines.cli.waiting import can_be_redrawn, waiting_since
from pipelines.common.formatting import counted, format_duration
from pipelines.common.settings import Settings
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.planning import plan_spoken

_REFRESH_HZ = 4


def plan_shown(board: Storyboard, settings: Settings) -> Plan:
    """Plan a storyboard as `plan_spoken` does, and show meanwhile what is spoken.

    Raises:
        StoryboardError: a narration cannot be spoken.
        StorageError: speech could not be written.
        UsageError: the price list is wrong.
    """
    with speech_shown(board) as observer:
        return plan_spoken(board, settings, observer=observer)


@contextlib.contextmanager
def speech_shown(*boards: Storyboard) -> Iterator[SpeechObserver]:
    """Yield an observer of what is spoken for these storyboards; a terminal shows what it sees."""
    observer = SpeechObserver()
    console = Console(stderr=True, quiet=is_quiet())
    if console.quiet or not any(board.narrations for board in boards) or not can_be_redrawn(console):
        yield observer
        return
    with Live(_SpeechView(observer), console=console, refresh_per_second=_REFRESH_HZ, transient=True):
        yield observer


class _SpeechView:
    """What is being spoken, in a line; none while nothing is."""

    def __init__(self, observer: SpeechObserver) -> None:
        self._observer = observer
        self._began = waiting_since()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line."""
        spoken, to_speak = self._observer.progress
        if spoken < to_speak:
            so_far = format_duration(time.monotonic() - self._began)
            yield Text.assemble(
                f"speaking: {spoken} of {counted(to_speak, 'narration')}", (f", {so_far} so far", "dim")
            )
