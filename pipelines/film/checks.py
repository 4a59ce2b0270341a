"""Checks of what films are made of besides frames: what is wrong is an error, what is surely not meant a note."""

from pipelines.common.errors import Note, StoryboardError
from pipelines.film.sound_checks import require_sounds
from pipelines.storyboard.model import Storyboard


async def check_film(board: Storyboard, *, strict: bool = False) -> tuple[Note, ...]:
    """Check what a storyboard's films are made of; return the notes on it, its own first.

    Args:
        board: the storyboard.
        strict: notes are errors.

    Raises:
        StoryboardError: a sound cannot be read; or there are notes, and they are errors.
    """
    notes = (*board.notes, *await require_sounds(board))
    if strict and notes:
        raise StoryboardError(notes)
    return notes
