"""Checks of what films are made of besides frames: what is wrong is an error, what is surely not meant a note."""

import asyncio

from pipelines.common.errors import Note, StoryboardError
from pipelines.film.caption_notes import caption_notes
from pipelines.film.sound_checks import require_sounds
from pipelines.storyboard.model import Storyboard


async def check_film(board: Storyboard, *, strict: bool = False) -> tuple[Note, ...]:
    """Check what a storyboard's films are made of; return the notes on it, in file order.

    Args:
        board: the storyboard.
        strict: notes are errors.

    Raises:
        StoryboardError: a sound cannot be read; or there are notes, and they are errors.
    """
    found = [*board.notes, *await asyncio.to_thread(list, caption_notes(board)), *await require_sounds(board)]
    notes = tuple(sorted(found, key=lambda note: note.position))
    if strict and notes:
        raise StoryboardError(notes)
    return notes
