"""Narrations as they are planned: each with its voice, its speech, and the time that its frames give it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines.storyboard.model import Narration, Narrator, Storyboard
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timing import hold_lengths
from pipelines.storyboard.voices import command_of


@dataclass(frozen=True, slots=True)
class PlannedNarration:
    """A narration that is planned.

    Attributes:
        narration: its text, and the frames that it is spoken over.
        speech: its recording.
        voice: the name of what speaks: of a voice, of a program, or of a sound file.
        held_s: exact seconds for which its frames are held.
    """

    narration: Narration
    speech: Speech
    voice: str
    held_s: Fraction

    @property
    def missing_s(self) -> Fraction:
        """Exact seconds by which its frames are held too short for its words; 0 where they are not."""
        return max(self.speech.words[-1].end_s - self.held_s, Fraction(0))


def planned_narrations(board: Storyboard, speeches: Sequence[Speech]) -> Iterator[PlannedNarration]:
    """Yield a storyboard's narrations as they are planned.

    Args:
        board: the storyboard.
        speeches: that of each of its narrations.

    Raises:
        ValueError: there are not as many speeches as narrations.
    """
    holds_s = hold_lengths(board, speeches) if board.narrations else []
    for narration, speech in zip(board.narrations, speeches, strict=True):
        held_s = sum(holds_s[narration.frame : narration.frame + narration.frames], Fraction(0))
        yield PlannedNarration(narration, speech, _voice_name(narration, board.narrator), held_s)


def _voice_name(narration: Narration, narrator: Narrator) -> str:
    if narration.recording:
        return narration.recording.name
    # What a program is given may be nobody else's business.
    command = command_of(narrator.voice)
    return Path(command[0]).name if command else narrator.voice
