"""Subtitles as text: SubRip, WebVTT and ASS, and that no caption is taken for a code in any of them."""

from dataclasses import replace
from fractions import Fraction

from pipelines.film.subtitles import ass_text, srt_text, vtt_text
from pipelines.storyboard.model import CaptionStyle
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import timeline_of

LONG = "It was six in the morning and nobody was up but the keeper of the lighthouse."
CODES = "{\\an8}top \\N <i>it</i> & <3 {x} --> --"


def captioned(*captions: str | None, style: CaptionStyle | None = None, fps: Fraction = Fraction(24)) -> Timeline:
    """Return a film in which each caption is shown for ten video frames."""
    timeline = timeline_of([10] * len(captions), fps=fps)
    holds = tuple(replace(hold, caption=text) for hold, text in zip(timeline.holds, captions, strict=True))
    return replace(timeline, holds=holds, captions=style or CaptionStyle())


def test_subrip_has_a_number_a_time_and_a_text_for_each() -> None:
    """Times have milliseconds; a repeated text is one caption, and an empty line would end it."""
    text = srt_text(captioned("one", "one", None, "two\n\n three "))

    assert text == ("1\n00:00:00,000 --> 00:00:00,833\none\n\n2\n00:00:01,250 --> 00:00:01,667\ntwo\n three\n")


def test_webvtt_says_the_same_in_its_own_words() -> None:
    """With a head, points in times, and escapes."""
    text = vtt_text(captioned("one", None, "a < b & c"))

    assert text == ("WEBVTT\n\n00:00:00.000 --> 00:00:00.417\none\n\n00:00:00.833 --> 00:00:01.250\na &lt; b &amp; c\n")


def test_there_is_none_without_captions() -> None:
    """Not even a head."""
    assert [make(captioned(None, None)) for make in (srt_text, vtt_text, ass_text)] == ["", "", ""]


def test_no_caption_is_a_code_in_subrip() -> None:
    """An invisible character stands behind what would begin one; nothing else changes."""
    text = srt_text(captioned(CODES)).split("\n", 2)[2]

    assert text == "{\u2060\\an8}top \\N <\u2060i>it<\u2060/i> & <3 {\u2060x} --> --\n"
    assert text.replace("\u2060", "") == f"{CODES}\n"


def test_no_caption_is_a_code_in_webvtt() -> None:
    """Its escapes stand for all that has a meaning in it."""
    text = vtt_text(captioned(CODES)).splitlines()[-1]

    assert text == "{\\an8}top \\N &lt;i&gt;it&lt;/i&gt; &amp; &lt;3 {x} --&gt; --"


def test_no_caption_is_a_code_in_ass() -> None:
    """Where a line breaks is the only one; and a caption of less than a hundredth of a second has one."""
    event = ass_text(captioned(f"{CODES}\nsecond", fps=Fraction(240))).splitlines()[-1]

    assert event == (
        "Dialogue: 0,0:00:00.00,0:00:00.04,Default,,0,0,0,,"
        "{\u2060\\an8}top \\\u2060N <i>it</i> & <3 {x} --> --\\Nsecond"
    )


def test_lines_have_as_many_letters_as_in_the_picture() -> None:
    """42 at most, unless told otherwise; those of scripts without spaces break between words."""
    usual, longer, thai = (
        [line for line in srt_text(captioned(text, style=style)).splitlines()[2:] if line]
        for text, style in (
            (LONG, CaptionStyle()),
            (LONG, CaptionStyle(line_length=80)),
            ("สวัสดีชาวโลกท่าเรือยามเช้า", CaptionStyle(line_length=15, language="th")),
        )
    )

    assert usual == ["It was six in the morning and nobody was", "up but the keeper of the lighthouse."]
    assert longer == [LONG]
    assert thai == ["สวัสดีชาวโลก", "ท่าเรือยามเช้า"]
