"""Notes on captions: letters that no font here has, and texts that are too long for the size of their letters."""

from collections.abc import Iterator, Sequence

from pipelines.common.errors import Note
from pipelines.common.lettering.segmentation import split_letters
from pipelines.common.lettering.undrawable import find_undrawable, undrawable_message
from pipelines.film.captions import lay_out_caption, surely_fits
from pipelines.film.spoken_captions import phrases_in, phrases_of
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import Timeline, build_timeline

# Of a phrase, in a note.
_SHOWN_LETTERS = 40


def caption_notes(board: Storyboard) -> Iterator[Note]:
    """Yield the notes on a storyboard's captions, each caption once, in storyboard order."""
    captions = dict.fromkeys(
        (frame.caption, place)
        for frame, place in zip(board.frames, board.caption_places, strict=True)
        if frame.caption is not None
    )
    for caption, place in captions:
        if message := _undrawable(caption, board):
            yield place.note(board.path, message)
        if message := _shrunk(caption, board):
            yield place.note(board.path, message)


def spoken_caption_notes(board: Storyboard, speeches: Sequence[Speech]) -> Iterator[Note]:
    """Yield the notes on captions of what is spoken, in storyboard order.

    Args:
        board: the storyboard.
        speeches: that of each of its narrations.
    """
    too_fast: dict[int, str] = {}
    for output in board.outputs if speeches else ():
        too_fast = dict(_too_fast(build_timeline(board, output, speeches=speeches))) | too_fast
    for number, narration in enumerate(board.narrations):
        if message := _undrawable(narration.text, board):
            yield narration.place.note(board.path, message)
        if number in too_fast:
            yield narration.place.note(board.path, too_fast[number])


def _too_fast(timeline: Timeline) -> Iterator[tuple[int, str]]:
    """Yield the numbers of narrations with a phrase that is not on screen for as long as it takes to read; the note."""
    # Not those that a hold's own caption covers, or cuts off.
    whole, most = set(phrases_of(timeline)), timeline.captions.letters_per_second
    for number, spoken in enumerate(timeline.spoken):
        phrases = whole.intersection(phrases_in(spoken, timeline))
        fastest = max(phrases, key=lambda phrase: phrase.letters_per_second, default=None)
        if fastest and fastest.letters_per_second > most:
            yield (
                number,
                f"{_shortened(fastest.text)!r} is spoken faster than it can be read, "
                f"{float(fastest.letters_per_second):.1f} letters a second, more than {float(most):g}; say less, set "
                "narration.speed lower or captions.letters_per_second higher",
            )


def _shortened(text: str) -> str:
    letters = split_letters(" ".join(text.split()))
    return "".join(letters) if len(letters) <= _SHOWN_LETTERS else "".join(letters[: _SHOWN_LETTERS - 3]) + "..."


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
