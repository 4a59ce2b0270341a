"""Checks of what films are made of besides frames: what is wrong is an error, what is surely not meant a note."""

import asyncio

from pipelines.common.errors import Note, StoryboardError
from pipelines.endpoints.models import ImageModel
from pipelines.film.caption_notes import caption_notes
from pipelines.film.sound_checks import require_sounds
from pipelines.storyboard.endpoint_notes import endpoint_issues
from pipelines.storyboard.model import Storyboard


async def check_film(board: Storyboard, *, model: ImageModel | None = None) -> list[Note]:
    """Check what a storyboard's films are made of besides what is spoken; return the notes on it.

    Args:
        board: the storyboard.
        model: the one that is asked for its frames, which must be able to make them; None for one that is believed.

    Raises:
        StoryboardError: the model cannot make a frame, or a sound cannot be read.
    """
    found = [*board.notes, *(_require_able(model, board) if model else ())]
    return [*found, *await asyncio.to_thread(list, caption_notes(board)), *await require_sounds(board)]


def _require_able(model: ImageModel, board: Storyboard) -> list[Note]:
    """Require that a model can make a storyboard's frames; return the notes on what it makes otherwise."""
    issues = endpoint_issues(board, model)
    notes = [issue for issue in issues if isinstance(issue, Note)]
    if len(notes) < len(issues):
        raise StoryboardError(issues)
    return notes
