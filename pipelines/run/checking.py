"""The check of a storyboard before anything is generated: its pictures, its sounds, and what is spoken."""

import asyncio

from pipelines.common.errors import Note, StoryboardError
from pipelines.common.settings import Settings
from pipelines.endpoints.models import ImageModel
from pipelines.film.caption_notes import spoken_caption_notes
from pipelines.film.checks import check_film
from pipelines.storyboard.model import Storyboard
from pipelines.voice.notes import narration_notes
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.planning import speak_in_thread


async def check_storyboard(
    board: Storyboard,
    settings: Settings,
    *,
    strict: bool = False,
    model: ImageModel | None = None,
    observer: SpeechObserver | None = None,
) -> tuple[Note, ...]:
    """Check all that a storyboard's films are made of; return the notes on it, in file order. What it says is spoken.

    Args:
        board: the storyboard.
        settings: say where its speech is kept.
        strict: notes are errors.
        model: the one that is asked for its frames, which must be able to make them; None for one that is believed.
        observer: sees what is spoken.

    Raises:
        StoryboardError: the model cannot make a frame, a sound cannot be read, or a narration cannot be spoken; or
            there are notes, and they are errors.
        StorageError: speech could not be written.
    """
    found = await check_film(board, model=model)
    speeches = await speak_in_thread(board, settings, observer=observer)
    found += [*narration_notes(board, speeches), *await asyncio.to_thread(list, spoken_caption_notes(board, speeches))]
    notes = tuple(sorted(found, key=lambda note: note.position))
    if strict and notes:
        raise StoryboardError(notes)
    return notes
