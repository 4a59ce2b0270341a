"""Notes on captions: letters that no font here has, and texts that are too long for the size of their letters."""

from collections.abc import Iterator

from pipelines.common.errors import Note
from pipelines.common.lettering.layout import find_undrawable
from pipelines.common.lettering.segmentation import script_name
from pipelines.film.captions import lay_out_caption, surely_fits
from pipelines.storyboard.model import Place, Storyboard

_MAX_LISTED = 10


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
    # The first font has all of these.
    if caption.isascii():
        return ""
    stacks = {style.font_stack for style in board.captions}
    letters = dict.fromkeys(letter for stack in stacks for letter in find_undrawable(caption, stack))
    if not letters:
        return ""
    scripts = ", ".join(dict.fromkeys(map(script_name, letters)))
    listed = " ".join(list(letters)[:_MAX_LISTED]) + (" ..." if len(letters) > _MAX_LISTED else "")
    return (
        f"no font here can draw {listed} ({scripts}), and codes are shown instead; install a font that can, for "
        "instance one of Debian's fonts-noto-core"
    )


def _shrunk(caption: str, board: Storyboard) -> str:
    """Return which outputs show a caption smaller than its style says; an empty text where none does."""
    shrunk = []
    for output, style in zip(board.outputs, board.captions, strict=True):
        if not style.burn or surely_fits(caption, style, output.size):
            continue
        share = lay_out_caption(caption, style, output.size).shrunk_to
        if share < 1:
            shrunk.append(f"{round(share * 100)}% of its size at {output.size}")
    if not shrunk:
        return ""
    return f"is too long, and shrunk to {', '.join(shrunk)}; shorten it, or split it over several frames"
