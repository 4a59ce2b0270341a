"""Captions as text for players: SubRip and WebVTT, and ASS, of which ffmpeg makes the subtitle track of an MP4."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from pipelines.common.lettering.wrapping import break_text
from pipelines.film.spoken_captions import Cue, cues_of
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
        f"{number}\n{_times(cue, ',')}\n{_SRT_CODE.sub(_joined, cue.text)}\n"
        for number, cue in enumerate(_cues(timeline), start=1)
    )


def vtt_text(timeline: Timeline) -> str:
    """Return a film's captions as WebVTT text; empty where there are none."""
    cues = [f"{_times(cue, '.')}\n{_escaped(cue.text)}\n" for cue in _cues(timeline)]
    return "\n".join(["WEBVTT\n", *cues]) if cues else ""


def ass_text(timeline: Timeline) -> str:
    """Return a film's captions as an ASS script; empty where there are none. Its times have hundredths of a second."""
    events = [f"Dialogue: 0,{_ass_times(cue)},Default,,0,0,0,,{_as_ass(cue.text)}\n" for cue in _cues(timeline)]
    return "".join([_ASS_HEAD, *events]) if events else ""


def _cues(timeline: Timeline) -> Iterator[Cue]:
    """Yield all that is to be read, each text in the lines in which it is written."""
    for cue in cues_of(timeline):
        yield replace(cue, text="\n".join(_lines(cue.text, timeline.captions)))


def _lines(text: str, style: CaptionStyle) -> Sequence[str]:
    """Return the lines of a caption, none of them longer than its style allows; an empty one would end it."""
    lines = break_text(text, style.line_length, language=style.language)
    return [line for line in lines if line.strip()]


def _times(cue: Cue, point: str) -> str:
    return f"{_time(cue.start_s, point)} --> {_time(cue.end_s, point)}"


def _time(seconds: Fraction, point: str) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{ms:03d}"


def _ass_times(cue: Cue) -> str:
    start, end = round(cue.start_s * 100), round(cue.end_s * 100)
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
