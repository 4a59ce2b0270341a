"""Captions as text for players: SubRip and WebVTT, and ASS, of which ffmpeg makes the subtitle track of an MP4."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from pipelines.common.lettering.wrapping import break_text
from pipelines.film.captions import Caption, captions_of
from pipelines.storyboard.model import CaptionStyle
from pipelines.storyboard.timeline import Timeline

# Neither SubRip nor ASS has an escape: with this invisible character behind it, what would begin a code is text.
_WORD_JOINER = "\u2060"
_SRT_CODE = re.compile(r"<(?=[/A-Za-z])|\{(?=[\\/A-Za-z])")
_ASS_CODE = re.compile(r"\{(?=\\)|\\(?=[Nn])")
_VTT_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ASS_HEAD = """\
[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,16,&Hffffff,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def srt_text(timeline: Timeline) -> str:
    """Return a film's captions as SubRip text; empty where there are none. Its times have milliseconds."""
    return "\n".join(
        f"{number}\n{_times(caption, timeline.output.fps, ',')}\n{_SRT_CODE.sub(_joined, text)}\n"
        for number, (caption, text) in enumerate(_captions(timeline), start=1)
    )


def vtt_text(timeline: Timeline) -> str:
    """Return a film's captions as WebVTT text; empty where there are none."""
    cues = [f"{_times(caption, timeline.output.fps, '.')}\n{_escaped(text)}\n" for caption, text in _captions(timeline)]
    return "\n".join(["WEBVTT\n", *cues]) if cues else ""


def ass_text(timeline: Timeline) -> str:
    """Return a film's captions as an ASS script; empty where there are none. Its times have hundredths of a second."""
    events = [
        f"Dialogue: 0,{_ass_times(caption, timeline.output.fps)},Default,,0,0,0,,{_as_ass(text)}\n"
        for caption, text in _captions(timeline)
    ]
    return "".join([_ASS_HEAD, *events]) if events else ""


def _captions(timeline: Timeline) -> Iterator[tuple[Caption, str]]:
    for caption in captions_of([(hold.length, hold.caption) for hold in timeline.holds]):
        yield caption, "\n".join(_lines(caption.text, timeline.captions))


def _lines(text: str, style: CaptionStyle) -> Sequence[str]:
    """Return the lines of a caption, none of them longer than its style allows; an empty one would end it."""
    lines = break_text(text, style.line_length, language=style.language)
    return [line for line in lines if line.strip()]


def _times(caption: Caption, fps: Fraction, point: str) -> str:
    return f"{_time(caption.start / fps, point)} --> {_time(caption.end / fps, point)}"


def _time(seconds: Fraction, point: str) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{ms:03d}"


def _ass_times(caption: Caption, fps: Fraction) -> str:
    start, end = (round(video_frame / fps * 100) for video_frame in (caption.start, caption.end))
    # Of no length, it would be left out.
    return f"{_ass_time(start)},{_ass_time(max(end, start + 1))}"


def _ass_time(hundredths: int) -> str:
    whole, rest = divmod(hundredths, 100)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:02d}"


def _joined(bracket: re.Match[str]) -> str:
    return bracket[0] + _WORD_JOINER


def _as_ass(text: str) -> str:
    return _ASS_CODE.sub(_joined, text).replace("\n", "\\N")


def _escaped(text: str) -> str:
    return re.sub("[&<>]", lambda match: _VTT_ESCAPES[match[0]], text)
