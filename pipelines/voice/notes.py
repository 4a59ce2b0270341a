"""Notes on narrations, once it is known how long they take."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from pipelines.common.errors import Note, Problem, StoryboardError
from pipelines.common.formatting import counted
from pipelines.storyboard.film_parts import MAX_FILM_S
from pipelines.storyboard.model import Narration, Storyboard
from pipelines.storyboard.narrated import PlannedNarration, planned_narrations
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timing import hold_lengths
from pipelines.voice.unspeakable import is_english, is_english_text


def narration_notes(board: Storyboard, speeches: Sequence[Speech]) -> list[Note]:
    """Return the notes on a storyboard's narrations.

    Args:
        board: the storyboard.
        speeches: that of each of its narrations.

    Raises:
        StoryboardError: the film is far too long; or a hold is too short for its words, and the narrator is strict.
    """
    holds_s = hold_lengths(board, speeches)
    length_s = sum(holds_s, Fraction(0))
    if length_s > MAX_FILM_S:
        message = f"the film would be {float(length_s) / 3600:.1f} hours long, more than 24"
        raise StoryboardError([Problem(str(board.path), 0, 0, "", message)])
    planned = list(planned_narrations(board, speeches))
    short = [(one.narration, _too_short(one)) for one in planned if one.missing_s]
    if short and board.narrator.strict:
        raise StoryboardError([narration.place.problem(board.path, message) for narration, message in short])
    noted = [*short, *_not_found(board, speeches)]
    return [narration.place.note(board.path, message) for narration, message in noted]


def _too_short(planned: PlannedNarration) -> str:
    """Return what is to be said of a narration whose frames are not held for as long as its words take."""
    count, held_s = planned.narration.frames, planned.held_s
    frames = "its frame is" if count == 1 else f"its {counted(count, 'frame')} are"
    return (
        f"takes {float(held_s + planned.missing_s):.2f} s, and {frames} held for {float(held_s):.2f} s: "
        f"{float(planned.missing_s):.2f} s are missing; write hold: auto, hold longer, or say less"
    )


def _not_found(board: Storyboard, speeches: Sequence[Speech]) -> Iterator[tuple[Narration, str]]:
    """Yield each English narration whose words were sought in its sound in vain, with the message."""
    for narration, speech in zip(board.narrations, speeches, strict=True):
        is_sought = is_english(board.narrator.language) and is_english_text(narration.text)
        if speech.are_estimated and is_sought:
            sound = narration.recording.name if narration.recording else "what the voice says"
            yield (
                narration,
                f"its words are not found in {sound}, and their times are estimated; "
                "correct the text, or state the storyboard's language: if it is not English",
            )
