"""Notes on captions: letters that no font here has, and texts that are too long for the size of their letters."""

from collections.abc import Iterator

from pipelines.common.errors import Note
from pipelines.common.lettering.undrawable import find_undrawable, undrawable_message
from pipelines.film.captions import lay_out_caption, surely_fits
from pipelines.storyboard.model import Place, Storyboard


def caption_notes(board: Storyboard) -> Iterator[Note]:
    """Yield the notes on a storyboard's captions, each caption once, in storyboard order."""
    captions = dict.fromkeys(
        (frame.caption, place)
        for frame, place in zip(board.frames, board.caption_places, strict=True)
        if frame.caption is not None
    )
    for caption, place in captions:
        if message := _undrawable(caption, board):
            yield _note(board, place, message)
        if message := _shrunk(caption, board):
            yield _note(board, place, message)


def _note(board: Storyboard, place: Place, message: str) -> Note:
    return Note(str(board.path), place.line, place.column, place.where, message)


def _undrawable(caption: str, board: Storyboard) -> str:
    # An output may have another font.
    stacks = {style.font_stack for style in board.captions}
    return undrawable_message(letter for stack in stacks for letter in find_undrawable(caption, stack))


def _shrunk(caption: str, board: Storyboard) -> str:
    """Return which outputs show a caption smaller than its style says; an empty text where none does."""
    shrunk = []
    for output, style in zip(board.outputs, board.captions, strict=True):
        if not style.burn or surely_fits(caption, style, output.size):
            continue
        layout = lay_out_caption(caption, style, output.size)
        if layout.shrunk_to < 1:
            cut = "" if layout.is_whole else ", where its end is cut off"
            shrunk.append(f"{round(layout.shrunk_to * 100)}% of its size at {output.size}{cut}")
    if not shrunk:
        return ""
    return f"is too long, and shrunk to {', '.join(shrunk)}; shorten it, or split it over several frames"
