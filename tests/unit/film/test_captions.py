"""Captions laid out: their size, their place, the lines they break into, and the notes on them."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.geometry import Margins, Size
from pipelines.film.caption_drawing import CaptionDrawing, Rgba
from pipelines.film.caption_notes import caption_notes
from pipelines.film.captions import (
    Box,
    Caption,
    CaptionLayout,
    Highlighted,
    Revealed,
    ScreenText,
    captions_of,
    lay_out_caption,
    letters_in_line,
    surely_fits,
)
from pipelines.storyboard.loader import load_text
from pipelines.storyboard.model import CaptionStyle, Position

FILM, REEL = Size(1344, 768), Size(1080, 1920)
LONG = "It was six in the morning and nobody was up but the keeper of the lighthouse."
# What a phone's platforms show their controls on.
UNDER_CONTROLS = Margins(Fraction(14, 100), Fraction(13, 100), Fraction(35, 100), Fraction(6, 100))


def lines_of(layout: CaptionLayout) -> list[str]:
    return [placed.line.text for placed in layout.lines]


def draw_caption(layout: CaptionLayout, style: CaptionStyle, box: Box, shown: ScreenText = "") -> Rgba:
    """Draw a caption, by default all of it, as it is in a part of its picture."""
    return CaptionDrawing(layout, style, box).draw(shown or "\n".join(lines_of(layout)))


def test_a_caption_goes_on_where_its_text_repeats() -> None:
    """And there is none where there is no text."""
    captions = captions_of([(3, "one"), (2, "one"), (4, None), (1, "two")])

    assert captions == [Caption(0, 5, "one"), Caption(9, 10, "two")]


def test_its_size_is_a_share_of_the_shorter_side() -> None:
    """So upright films have letters of the same size as wide ones."""
    ems = [lay_out_caption("Six", CaptionStyle(), size).em for size in (Size(1920, 1080), Size(1080, 1920))]

    assert ems == [54 / 1.25, 54 / 1.25]


def test_lines_have_42_letters_at_most_unless_told_otherwise() -> None:
    """And are of about one length."""
    usual = lay_out_caption(LONG, CaptionStyle(), FILM)
    longer = lay_out_caption(LONG, CaptionStyle(line_length=80), FILM)

    assert lines_of(usual) == ["It was six in the morning and nobody", "was up but the keeper of the lighthouse."]
    assert lines_of(longer) == [LONG]


@pytest.mark.parametrize("position", Position)
@pytest.mark.parametrize("text", ["Six", LONG, "word " * 300, "日本の港の夜明け。" * 20], ids=["a", "b", "c", "d"])
def test_nothing_is_drawn_outside_of_the_safe_area(position: Position, text: str) -> None:
    """Under a platform's controls, and at the edges of the picture."""
    style = CaptionStyle(position=position, safe_area=UNDER_CONTROLS)
    layout = lay_out_caption(text, style, REEL)

    drawn = draw_caption(layout, style, Box(0, 0, REEL.width, REEL.height))

    # Outline and shadow may reach a little beyond it.
    rows, columns = (np.nonzero((drawn[..., 3] > 200).any(axis=axis))[0] for axis in (1, 0))
    edge = round(layout.em * 0.15)
    assert 0.14 * 1920 - edge <= rows[0] <= rows[-1] <= 0.65 * 1920 + edge
    assert 0.06 * 1080 - edge <= columns[0] <= columns[-1] <= 0.87 * 1080 + edge


@pytest.mark.parametrize(("position", "share"), [(Position.TOP, 0.08), (Position.MIDDLE, 0.5), (Position.BOTTOM, 0.92)])
def test_it_stands_where_it_is_told_to(position: Position, share: float) -> None:
    """In the middle of the width, at the head, the middle or the foot of the picture."""
    box = lay_out_caption("Six in the morning", CaptionStyle(position=position), FILM).box

    assert (box.left + box.right) / 2 == pytest.approx(FILM.width / 2, abs=10)
    assert (box.top + box.bottom) / 2 == pytest.approx(FILM.height * share, rel=0.1)


def test_a_text_that_is_too_long_is_shrunk_until_it_fits() -> None:
    """And one that fits is not."""
    long, short = (lay_out_caption(text, CaptionStyle(), FILM) for text in ("word " * 1000, "Six"))

    assert short.shrunk_to == 1
    assert Fraction(1, 4) < long.shrunk_to < Fraction(2, 3)
    assert long.lines[-1].baseline <= FILM.height * 0.95


@pytest.mark.parametrize("size", [FILM, REEL, Size(320, 180)], ids=str)
@pytest.mark.parametrize("text", ["Six", LONG, "w" * 300, "\n" * 8, "日" * 100, "word " * 1000])
def test_what_surely_fits_fits(text: str, size: Size) -> None:
    """The quick answer is never wrong where it says yes; and says it for captions as they usually are."""
    style = CaptionStyle(safe_area=UNDER_CONTROLS if size == REEL else CaptionStyle().safe_area)

    if surely_fits(text, style, size):
        assert lay_out_caption(text, style, size).shrunk_to == 1
    assert surely_fits("Six in the morning", style, size)


def test_right_to_left_lines_are_drawn_from_the_right() -> None:
    """A full stop at the end of Hebrew is at its left."""
    style = CaptionStyle(size=Fraction(1, 4))
    with_stop, without = (
        draw_caption(lay_out_caption(text, style, FILM), style, Box(0, 0, FILM.width, FILM.height))
        for text in ("שלום עולם.", "שלום עולם")
    )

    white = [(drawn[..., :3].min(axis=2) > 200) & (drawn[..., 3] > 200) for drawn in (with_stop, without)]
    (left_stop, right_stop), (left, right) = (np.nonzero(there.any(axis=0))[0][[0, -1]] for there in white)
    width_stop, width = right_stop - left_stop, right - left
    assert width_stop > width
    # The leftmost ink of the one with a stop is low: it is the stop.
    low = np.nonzero(white[0][:, left_stop : left_stop + 4].any(axis=1))[0]
    high = np.nonzero(white[0].any(axis=1))[0]
    assert low[0] > (high[0] + high[-1]) / 2


def test_colours_are_those_that_were_asked_for() -> None:
    """The letters' own, and that of the outline around them."""
    style = CaptionStyle(color="#ffcc00", outline="#102030", size=Fraction(1, 4))
    layout = lay_out_caption("I", style, FILM)
    drawn = draw_caption(layout, style, layout.box)

    opaque = {tuple(map(int, pixel[:3])) for pixel in drawn[drawn[..., 3] == 255]}
    assert {(255, 204, 0), (16, 32, 48)} <= opaque


SPOKEN = {
    "english": ("Six in the morning\nand nobody is up", "morning"),
    "hebrew": ("שש בבוקר ואיש לא ער", "בבוקר"),
    "arabic": ("السلام عليكم ورحمة الله", "عليكم"),
    "thai": ("สวัสดีชาวโลกยามเช้า", "ชาวโลก"),
    "japanese": ("日本の港の夜明け", "港"),
    "undrawable": ("བོད six བོད", "six"),
}
BIG = CaptionStyle(size=Fraction(1, 12), highlight="#ff0000")
SCREEN = Size(640, 360)


def placed(text: str, word: str) -> tuple[int, int]:
    return text.index(word), text.index(word) + len(word)


@pytest.mark.parametrize("script", SPOKEN)
def test_a_highlighted_word_stands_where_it_stands_in_the_plain_caption(script: str) -> None:
    """Nothing else changes: only the colour of the letters, and only of its own."""
    text, word = SPOKEN[script]
    layout = lay_out_caption(text, BIG, SCREEN)

    plain = draw_caption(layout, BIG, layout.box, text)
    lit = draw_caption(layout, BIG, layout.box, Highlighted(text, *placed(text, word)))

    assert np.array_equal(plain[..., 3], lit[..., 3])
    changed = np.nonzero((plain != lit).any(axis=2))
    # The word by itself takes as much room.
    alone = draw_caption(lay_out_caption(word, BIG, SCREEN), BIG, Box(0, 0, SCREEN.width, SCREEN.height))
    inked = np.nonzero(alone[..., :3].min(axis=2) > 200)
    assert np.ptp(changed[1]) == pytest.approx(np.ptp(inked[1]), abs=12)
    assert np.ptp(changed[0]) == pytest.approx(np.ptp(inked[0]), abs=12)
    reddest = lit[(lit[..., 0] == 255) & (lit[..., 1] == 0) & (lit[..., 3] == 255)]
    assert len(reddest) > 40


@pytest.mark.parametrize("script", SPOKEN)
def test_what_is_not_revealed_is_not_drawn(script: str) -> None:
    """Neither it nor its outline nor its shadow; what is stands where it will stay."""
    text, word = SPOKEN[script]
    layout = lay_out_caption(text, BIG, SCREEN)
    start, end = placed(text, word)

    whole, before, after, nothing = (
        draw_caption(layout, BIG, layout.box, Revealed(text, to)) for to in (len(text), start, end, 0)
    )

    assert nothing.max() == 0
    assert np.array_equal(whole, draw_caption(layout, BIG, layout.box, text))
    # Letters and their outlines grow in number, and none that is there goes.
    assert before[..., 3].sum() < after[..., 3].sum() < whole[..., 3].sum()
    assert (before[..., 3] <= after[..., 3]).all()
    assert (after[..., 3] <= whole[..., 3]).all()
    solid = after[..., :3].min(axis=2) > 250
    assert np.array_equal(after[solid], whole[solid])


def test_a_line_has_as_many_letters_as_nearly_always_fit() -> None:
    """42 in a wide film, fewer in an upright one, and where letters are large."""
    upright = CaptionStyle(safe_area=UNDER_CONTROLS)

    assert letters_in_line(CaptionStyle(), FILM) == 42
    assert letters_in_line(upright, REEL) == 36
    assert letters_in_line(CaptionStyle(size=Fraction(1, 5)), FILM) == 17
    text = "the keeper of the lighthouse and I am up"[:36]
    assert lines_of(lay_out_caption(text, upright, REEL)) == [text]


BOARD = """\
output: [{size: 640x360}, {preset: reel, captions: {size: 3}}]
captions: {font: Comic Sans MS}
scenes:
  - shots:
      - {prompt: a, caption: "བོད་ x"}
      - {prompt: a, caption: Six in the morning}
      - prompt: a
        caption: "%s"
"""


def test_what_cannot_be_shown_as_it_was_meant_is_noted() -> None:
    """A font and letters that are not here, and a text that is too long, each at its place and once."""
    board = load_text(BOARD % ("It was six in the morning. " * 60), Path("harbor.yaml"))

    letters, shrunk = map(str, caption_notes(board))

    [font] = map(str, board.notes)
    assert font.startswith(
        "harbor.yaml:2:18: captions.font: note: no font of this machine is called 'Comic Sans MS', and others are "
    )
    assert letters == (
        "harbor.yaml:5:30: scenes[0].shots[0].caption: note: no font here can draw བོ ད ་ (Tibetan), and codes are "
        "shown instead; install a font that can, for instance one of Debian's fonts-noto-core"
    )
    assert shrunk.startswith(
        "harbor.yaml:8:18: scenes[0].shots[2].caption: note: is too long, and shrunk to 67% of its size at 640x360, "
        "84% of its size at 1080x1920; "
    )


def test_a_caption_that_many_frames_show_is_noted_once() -> None:
    """However many inherit it."""
    text = 'defaults: {caption: "བོད"}\nprompts: [a, b, c]\n'

    assert [note.where for note in caption_notes(load_text(text, Path("harbor.yaml")))] == ["defaults.caption"]


def test_a_caption_whose_end_cannot_be_shown_is_noted() -> None:
    """Letters are never smaller than can be seen."""
    board = load_text(BOARD % ("line\\n" * 300), Path("harbor.yaml"))

    _, shrunk = map(str, caption_notes(board))

    assert "is too long, and shrunk to 33% of its size at 640x360, where its end is cut off, " in shrunk


def test_captions_that_are_not_drawn_are_not_shrunk() -> None:
    """There is nothing to note."""
    board = load_text(BOARD % ("It was six in the morning. " * 60), Path("harbor.yaml"))
    undrawn = replace(board, captions=tuple(replace(style, burn=False) for style in board.captions))

    assert [note.where for note in caption_notes(undrawn)] == ["scenes[0].shots[0].caption"]


def test_each_output_has_the_looks_that_it_sets() -> None:
    """What it does not set is as in all films; the safe area is its preset's."""
    board = load_text(
        "language: he\noutput: [{}, {preset: reel, captions: {size: 3, burn: false}}]\n"
        'captions: {position: top, color: "#FFCC00"}\nprompts: [a]\n',
        Path("harbor.yaml"),
    )

    first, second = board.captions
    assert first == CaptionStyle(position=Position.TOP, color="#ffcc00", language="he")
    assert second == replace(first, burn=False, size=Fraction(3, 100), safe_area=UNDER_CONTROLS)
