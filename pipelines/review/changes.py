"""Compares two states of the page, to publish what has changed between them."""

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


def _identity(frame: FrameView) -> tuple[object, ...]:
    return frame.key, frame.number, frame.scene, frame.start_s
