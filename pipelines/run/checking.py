"""The check of a storyboard before anything is generated: its pictures, its sounds, and what is spoken."""

import asyncio
import threading

from pipelines.common.errors import Note, StoryboardError
from pipelines.common.settings import Settings
from pipelines.endpoints.models import ImageModel
from pipelines.film.checks import check_film
from pipelines.storyboard.model import Storyboard
from pipelines.voice.notes import narration_notes
from pipelines.voice.planning import voice_folder
from pipelines.voice.speech import speak


async def check_storyboard(
    board: Storyboard, settings: Settings, *, strict: bool = False, model: ImageModel | None = None
) -> tuple[Note, ...]:
    """Check all that a storyboard's films are made of; return the notes on it, in file order. What it says is spoken.

    Args:
        board: the storyboard.
        settings: say where its speech is kept.
        strict: notes are errors.
        model: the one that is asked for its frames, which must be able to make them; None for one that is believed.

    Raises:
        StoryboardError: the model cannot make a frame, a sound cannot be read, or a narration cannot be spoken; or
            there are notes, and they are errors.
        StorageError: speech could not be written.
    """
    found = await check_film(board, model=model)
    stop = threading.Event()
    try:
        speeches = await asyncio.to_thread(speak, board, voice_folder(board, settings), stop=stop)
    finally:
        # Where this is cancelled, the thread goes on, and would be waited for.
        stop.set()
    notes = tuple(sorted([*found, *narration_notes(board, speeches)], key=lambda note: note.position))
    if strict and notes:
        raise StoryboardError(notes)
    return notes
