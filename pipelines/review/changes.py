"""Compares two states of the page, to publish what has changed between them, and remembers when what changed."""

from collections.abc import Iterator
from dataclasses import replace

from pipelines.report.models import FrameView, PageView
from pipelines.review.events import Changed, Event, Reloaded


def page_changes(before: PageView, after: PageView) -> Iterator[Event]:
    """Yield the event that tells a page in the state `before` of the state `after`; nothing where they are the same."""
    # Other frames, or frames in other places, mean other cards: the page is loaded again as a whole.
    if [_identity(frame) for frame in before.frames] != [_identity(frame) for frame in after.frames]:
        yield Reloaded()
        return
    pairs = zip(before.frames, after.frames, strict=True)
    numbers = tuple(new.number for old, new in pairs if new != old)
    if numbers or replace(before, made_at=after.made_at, scenes=after.scenes) != after:
        yield Changed(numbers)


class PageHistory:
    """The page as it was last built, and when each of its frames last changed.

    Attributes:
        page: None as long as none was built.
        version: how often it has changed.
    """

    def __init__(self) -> None:
        self.page: PageView | None = None
        self.version = 0
        self._changed: dict[int, int] = {}
        self._reloaded = 0

    def update(self, page: PageView) -> list[Event]:
        """Keep the page as it is now; return the events that tell a page of the version before of it."""
        events = list(page_changes(self.page, page)) if self.page else []
        self.page = page
        for event in events:
            self.version += 1
            match event:
                case Changed(numbers):
                    self._changed |= dict.fromkeys(numbers, self.version)
                case Reloaded():
                    self._changed.clear()
                    self._reloaded = self.version
        return events

    def changes_since(self, version: int) -> Event | None:
        """Return the event that tells a page of this version what it has missed; None if it has missed nothing."""
        if version < self._reloaded:
            return Reloaded()
        if version == self.version:
            return None
        return Changed(tuple(sorted(number for number, changed in self._changed.items() if changed > version)))


def _identity(frame: FrameView) -> tuple[object, ...]:
    return frame.key, frame.number, frame.scene, frame.start_s
