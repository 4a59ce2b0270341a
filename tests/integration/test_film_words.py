"""Words on time, read back from films: by their pixels, by a program that reads letters, and from subtitle tracks."""

import asyncio
import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.geometry import Size
from pipelines.film.assembler import assemble_film, cut_film
from pipelines.film.captions import Highlighted, Revealed, text_of
from pipelines.film.segments import cut_segments
from pipelines.film.spoken_captions import CaptionTrack
from pipelines.film.subtitles import srt_text, vtt_text
from pipelines.storyboard.model import CaptionStyle, Motion, MotionType, WordCaptions
from pipelines.storyboard.speech import Speech
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import Picture, ask_ffmpeg, flat_frames, noisy_gradient, pictures
from tests.support.speeches import audible, speaking, spoken, timed

SIZE = Size(640, 360)
RED = CaptionStyle(words=WordCaptions.HIGHLIGHT, highlight="#ff0000", color="#0000ff", size=Fraction(1, 10))
ONE_BY_ONE = CaptionStyle(words=WordCaptions.ONE_BY_ONE, size=Fraction(1, 10))
BOATS = timed(
    ("Three", 0.21, 0.52), ("boats", 0.55, 0.93), ("came", 0.97, 1.31), ("home.", 1.33, 1.8),
    ("One", 2.46, 2.71), ("was", 2.77, 2.9), ("burning.", 2.97, 3.61),
)  # fmt: skip
PUSH_IN = Motion(MotionType.PUSH_IN, Fraction(1, 10))


def film_of(folder: Path, timeline: Timeline, **change: object) -> list[Picture]:
    """Cut a film of gray frames; return its pictures."""
    holds = tuple(replace(hold, **change) for hold in timeline.holds)  # type: ignore[arg-type]
    timeline = audible(replace(timeline, holds=holds), folder)
    frames = flat_frames(folder, ["gray"], size=timeline.output.size) * len(holds)
    return pictures(assemble_film(timeline, frames, folder / "film.mp4").path, timeline.output.size)


def lit_at(picture: Picture) -> int | None:
    """Return where the highlighted word is from the left, in the middle; None where none is."""
    red = (picture[..., 0].astype(int) - picture[..., 2] > 90) & (picture[..., 0].astype(int) - picture[..., 1] > 90)
    columns = np.nonzero(red.any(axis=0))[0]
    return int(columns[0] + columns[-1]) // 2 if len(columns) else None


def changes_of(shown: list[int | None]) -> list[int]:
    """Return the video frames with which another word is highlighted, or none any more."""
    # Encoding moves the edge of a letter by a pixel.
    return [
        number
        for number, (before, after) in enumerate(pairwise(shown), start=1)
        if (before is None) != (after is None) or (before is not None and after is not None and abs(before - after) > 5)
    ]


@pytest.mark.parametrize("motion", [None, PUSH_IN], ids=["still", "moving"])
@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(60)], ids=str)
def test_words_are_highlighted_as_they_are_spoken(tmp_path: Path, fps: Fraction, motion: Motion | None) -> None:
    """Each within half a video frame of its own time: 21 ms at 24 a second, where 40 are promised."""
    lengths = [int(2 * fps), int(3 * fps)]
    timeline = speaking(BOATS, lengths=lengths, style=RED, fps=fps, size=SIZE)

    changes = changes_of([lit_at(picture) for picture in film_of(tmp_path, timeline, motion=motion)])

    starts_s = [word.start_s for word in BOATS.words]
    due_s = sorted([*starts_s, BOATS.words[3].end_s, BOATS.words[6].end_s])
    assert len(changes) == len(due_s)
    errors_s = [abs(change / fps - at_s) for change, at_s in zip(changes, due_s, strict=True)]
    assert max(errors_s) <= Fraction(1, 2) / fps <= Fraction(40, 1000)


def test_colours_are_those_that_were_asked_for(tmp_path: Path) -> None:
    """In the film, as its players read it."""
    style = CaptionStyle(words=WordCaptions.HIGHLIGHT, highlight="#ffd60a", color="#3060c0", size=Fraction(1, 3))

    *_, picture = film_of(tmp_path, speaking(spoken("III III"), lengths=[8], style=style, size=SIZE))

    for colour in ((0xFF, 0xD6, 0x0A), (0x30, 0x60, 0xC0)):
        like = np.abs(picture.astype(int) - colour).max(axis=2) <= 3
        assert like.sum() > 500


def test_words_go_on_through_a_transition(tmp_path: Path) -> None:
    """A dissolve takes its time, and words take theirs."""
    timeline = speaking(BOATS, lengths=[30, 60], style=RED, size=SIZE)
    first, second = timeline.holds
    timeline = replace(timeline, holds=(replace(first, transition="dissolve", half=12), second))

    changes = changes_of([lit_at(picture) for picture in film_of(tmp_path, timeline)])

    due_s = sorted([*(word.start_s for word in BOATS.words), BOATS.words[3].end_s, BOATS.words[6].end_s])
    assert changes == [int(at_s * 24 + Fraction(1, 2)) for at_s in due_s]


def test_the_film_that_is_encoded_is_the_one_that_was_planned(tmp_path: Path) -> None:
    """To the video frame: with words, pauses longer than two keyframes, and several films of other rates."""
    speech = timed(("One", 0, 0.3), ("two.", 0.4, 0.8), ("Three", 12, 12.3), ("four.", 12.4, 13))
    for fps, length in ((Fraction(24), 340), (Fraction(1), 15), (Fraction(120), 1700)):
        timeline = speaking(speech, lengths=[length], style=RED, fps=fps, size=Size(160, 90))
        folder = tmp_path / str(fps)
        seen = film_of(folder, timeline)

        track = [text for run, text in CaptionTrack(timeline).between(0, length) for _ in range(run)]
        assert len(seen) == length
        assert [lit_at(picture) is not None for picture in seen] == [isinstance(text, Highlighted) for text in track]


@pytest.fixture(scope="module")
def reader() -> object:
    """Return a program that reads letters, which this project did not write."""
    rapidocr = pytest.importorskip("rapidocr", reason="rapidocr is not installed (make install-dev)")
    return rapidocr.RapidOCR(params={"Global.log_level": "error"})


def letters_in(reader: object, picture: Picture) -> str:
    """Return the letters of a picture, its lines from the top."""
    found = reader(picture)  # type: ignore[operator]
    boxes = zip(found.boxes, found.txts, strict=True) if found.txts else ()
    lines = [
        text for _, text in sorted(boxes, key=lambda line: (round(float(line[0][0][1]) / 20), float(line[0][0][0])))
    ]
    return letters_of("".join(lines))


def letters_of(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


STORY = "The keeper of the lighthouse had not slept. He looked at the harbor, and saw three boats coming home at last."


@pytest.mark.slow
@pytest.mark.parametrize("style", [CaptionStyle(), ONE_BY_ONE], ids=["off", "one-by-one"])
def test_what_stands_in_the_film_is_what_is_spoken_then(tmp_path: Path, reader: object, style: CaptionStyle) -> None:
    """Read from a picture every second."""
    style = replace(style, size=Fraction(1, 12))
    timeline = speaking(spoken(STORY, word_s=Fraction(3, 8)), lengths=[100, 120], style=style, size=Size(960, 540))

    seen = film_of(tmp_path, timeline, motion=PUSH_IN)[::24]

    track = [text for run, text in CaptionTrack(timeline).between(0, 220) for _ in range(run)][::24]
    due = [text.text[: text.end] if isinstance(text, Revealed) else text_of(text) if text else "" for text in track]
    assert [letters_in(reader, picture) for picture in seen] == [letters_of(text) for text in due]


def test_the_subtitles_have_the_times_of_the_voice(tmp_path: Path) -> None:
    """Not those of video frames; in the files, and in the film's own track."""
    timeline = speaking(BOATS, lengths=[12, 108], size=SIZE)
    cues = [("0.210", "2.460", "Three boats came home."), ("2.460", "4.610", "One was burning.")]

    film_of(tmp_path, timeline)
    track = ask_ffmpeg("-i", str(tmp_path / "film.mp4"), "-map", "0:s:0", "-f", "srt", "-").decode()

    assert srt_text(timeline) == "\n".join(
        f"{number}\n00:00:0{start.replace('.', ',')} --> 00:00:0{end.replace('.', ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(cues, start=1)
    )
    assert vtt_text(timeline) == "\n".join(
        ["WEBVTT\n", *(f"00:00:0{start} --> 00:00:0{end}\n{text}\n" for start, end, text in cues)]
    )
    assert track.strip() == srt_text(timeline).strip()


def test_a_gif_has_words_too(tmp_path: Path) -> None:
    """As any film has."""
    timeline = speaking(BOATS, lengths=[60], style=RED, size=SIZE)
    timeline = audible(replace(timeline, output=replace(timeline.output, codec="gif")), tmp_path)

    film = assemble_film(timeline, flat_frames(tmp_path, ["gray"], size=SIZE), tmp_path / "film.gif").path

    assert len(changes_of([lit_at(picture) for picture in pictures(film, SIZE)])) == 6


def test_words_over_a_still_are_changes_of_it(tmp_path: Path) -> None:
    """They cost a small part of what a still costs each, decode without a fault, and stand as still as it does."""
    speech = spoken("One two three four five six seven eight nine ten, eleven twelve.", word_s=Fraction(2, 3))
    frame = tmp_path / "frame_0000.png"
    noisy_gradient(SIZE).save(frame)
    timeline = audible(speaking(speech, lengths=[320], style=RED, size=SIZE), tmp_path)

    for name, each in (("still", replace(timeline, spoken=())), ("film", timeline)):
        asyncio.run(cut_film(each, [frame], tmp_path / f"{name}.mp4", segments=tmp_path / name))
    [still], [film] = (list((tmp_path / name).glob("*.h264")) for name in ("still", "film"))
    faults = ask_ffmpeg("-err_detect", "explode", "-i", str(film), "-f", "null", "-", stream="stderr")

    assert faults == b""
    assert film.stat().st_size < 1.5 * still.stat().st_size
    plain, *_ = pictures(still, SIZE)
    seen = pictures(film, SIZE)
    track = [text for run, text in CaptionTrack(timeline).between(0, 320) for _ in range(run)]
    changes = [number for number, (before, after) in enumerate(pairwise(track), start=1) if before != after]
    assert [n for n, (before, after) in enumerate(pairwise(seen), start=1) if (before != after).any()] == changes
    # Above the caption nothing changes that can be seen.
    above = SIZE.height // 2
    assert max(np.abs(picture[:above].astype(int) - plain[:above]).mean() for picture in seen) < 0.5


def speeches_of(*words: str) -> list[Speech]:
    return [spoken(f"One two three {word}.") for word in words]


def test_a_changed_word_is_the_only_thing_that_is_encoded_again(tmp_path: Path) -> None:
    """The piece of its own hold; all others are found."""
    lengths, frames = [60, 60, 60], flat_frames(tmp_path, ["gray", "blue", "red"], size=SIZE)
    segments = tmp_path / "segments"

    def pieces(*words: str) -> set[str]:
        timeline = audible(speaking(*speeches_of(*words), lengths=lengths, style=RED, size=SIZE), tmp_path)
        assert len(cut_segments(timeline)) == 3
        asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4", segments=segments))
        return {path.name for path in segments.glob("*.h264")}

    before, after = pieces("four", "five", "six"), pieces("four", "seven", "six")

    assert len(before) == 3
    assert len(after - before) == 1
