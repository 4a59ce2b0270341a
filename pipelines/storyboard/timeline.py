"""Storyboard -> Timeline: holds, transitions and chapters in whole video frames."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from pipelines.storyboard.model import BoardFrame, CaptionStyle, Motion, Output, Place, Smooth, SoundMix, Storyboard
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timing import cut_points, half_transition, hold_lengths


@dataclass(frozen=True, slots=True)
class Hold:
    """A frame on screen: `length` video frames from video frame `start`.

    Attributes:
        frame: its number.
        start, length: from the middle of the transition into it to the middle of the one out of it.
        transition: the type of the transition out of it; None for a cut.
        half: the video frames that this transition takes of this hold, and also of the next one.
        motion: over the frame, as long as any of it is on screen.
        caption: shown from `start` to the next hold's.
        smooth: in-betweens lead from the middle of this hold to the middle of the next.
    """

    frame: int
    start: int
    length: int
    transition: str | None = None
    half: int = 0
    motion: Motion | None = None
    caption: str | None = None
    smooth: Smooth | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """A scene on screen, in video frames: from `start` up to, not including, `end`."""

    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """A narration in the film.

    Attributes:
        speech: the voice.
        start: the video frame with which it begins.
        end: the video frame at which it must have ended: the next narration begins there, or the film ends.
    """

    speech: Speech
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The film's time, in whole video frames: holds follow one another without gap or overlap.

    Attributes:
        title: the film's.
        output: what to make.
        holds, chapters: what is on screen.
        captions: their font, size, place and colours.
        sound: the film's sounds, and how they are mixed.
        spoken: the film's narrations, in their order.
        digest: hex sha-256 of the whole storyboard, resolved; the file's own place does not count.
    """

    title: str
    output: Output
    holds: tuple[Hold, ...]
    chapters: tuple[Chapter, ...]
    captions: CaptionStyle = field(default_factory=CaptionStyle)
    sound: SoundMix = field(default_factory=SoundMix)
    # Not in the repr: films that say nothing keep the identity that they had before there was narration.
    spoken: tuple[Spoken, ...] = field(default=(), repr=False)
    digest: str = ""

    @property
    def video_frames(self) -> int:
        """The length of the film in video frames."""
        # Holds have no gaps, so the last one ends where the film does.
        last = self.holds[-1]
        return last.start + last.length

    @property
    def duration_s(self) -> Fraction:
        """Exact length of the film in seconds."""
        return self.video_frames / self.output.fps

    @property
    def spoken_s(self) -> Fraction:
        """Exact seconds of the film in which there is speech, its pauses included."""
        fps = self.output.fps
        lengths = (min(each.speech.length_s, (each.end - each.start) / fps) for each in self.spoken)
        return sum(lengths, Fraction(0))

    @property
    def spoken_words(self) -> int:
        """How many words of narration are spoken before they are cut off, if they are."""
        fps = self.output.fps
        return sum(word.start_s < (each.end - each.start) / fps for each in self.spoken for word in each.speech.words)


def build_timeline(board: Storyboard, output: Output | None = None, *, speeches: Sequence[Speech] = ()) -> Timeline:
    """Return the timeline of the film that `output`, by default the first, asks for.

    Args:
        board: the storyboard.
        output: one of its outputs.
        speeches: that of each of its narrations.

    Raises:
        ValueError: there are not as many speeches as narrations.
    """
    output = output or board.output
    cuts = cut_points(hold_lengths(board, speeches), output.fps)
    holds = tuple(_holds(board.frames, cuts, output.fps))
    return Timeline(
        board.title,
        output,
        holds,
        tuple(_chapters(board, cuts)),
        board.captions_of(output),
        board.sound,
        tuple(_spoken(board, speeches, cuts)),
        _digest(board),
    )


def _spoken(board: Storyboard, speeches: Sequence[Speech], cuts: Sequence[int]) -> Iterator[Spoken]:
    starts = [cuts[narration.frame] for narration in board.narrations]
    for speech, (start, end) in zip(speeches, pairwise((*starts, cuts[-1])), strict=True):
        yield Spoken(speech, start, end)


def _digest(board: Storyboard) -> str:
    # Without folders and line numbers: moving the storyboard, or a comment in it, makes no other film.
    sounds = [replace(sound, file=Path(sound.file.name), place=Place(0, 0, "")) for sound in board.sound.sounds]
    hashed = replace(board, path=Path(), sound=replace(board.sound, sounds=tuple(sounds)), notes=(), caption_places=())
    # A dataclass's repr names every field, so none can be forgotten here.
    spoken = repr((board.narrator, board.narrations)) if board.narrations else ""
    mixed = repr(board.sound.further) if board.sound.further else ""
    return hashlib.sha256(f"{hashed!r}{spoken}{mixed}".encode()).hexdigest()


def _holds(frames: Sequence[BoardFrame], cuts: Sequence[int], fps: Fraction) -> Iterator[Hold]:
    longest_halves = [(end - start) // 2 for start, end in pairwise(cuts)]
    for number, (frame, (start, end)) in enumerate(zip(frames, pairwise(cuts), strict=True)):
        following = frames[number + 1] if number + 1 < len(frames) else None
        # The last frame's transition has nowhere to lead.
        transition = frame.transition if following else None
        # In-betweens lead from frame to frame within a shot, never into the next one.
        goes_on = following is not None and (frame.scene, frame.shot) == (following.scene, following.shot)
        yield Hold(
            frame=number,
            start=start,
            length=end - start,
            transition=transition.type if transition else None,
            # Beside holds of narration, another may come out a video frame shorter than it was checked to be.
            half=min(half_transition(transition.duration_s, fps), *longest_halves[number : number + 2])
            if transition
            else 0,
            motion=frame.motion,
            caption=frame.caption,
            smooth=frame.smooth if goes_on else None,
        )


def _chapters(board: Storyboard, cuts: list[int]) -> Iterator[Chapter]:
    frames_of = Counter(frame.scene for frame in board.frames)
    # Frames are in the order of their scenes, so a scene's first frame follows the last one of the scene before.
    first = 0
    for scene in board.scenes:
        last = first + frames_of[scene.id]
        yield Chapter(scene.title, cuts[first], cuts[last])
        first = last
