"""Captions: an ASS script for libass to draw, and SubRip text for players.

ASS is drawn by the picture, not by the clock: its times have hundredths of a second, too coarse for fast films, so a
picture lasts one second of the script.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from pathlib import Path

from PIL import ImageFont

from pipelines.common.fonts import Face, font_file
from pipelines.common.geometry import Size
from pipelines.storyboard.model import CaptionStyle, Position
from pipelines.storyboard.timeline import Hold

# Text keeps out of a tenth of the picture on each side (EBU R 95, "Safe areas": text-safe is 90% of it).
_SAFE_MARGIN = Fraction(1, 20)
_FACE = Face.SEMIBOLD
_FONT_NAME = "Source Sans Pro Semibold"
_LINE_HEIGHT = 1.25
# The share of a line that is filled on average: lines break between words.
_FULLNESS = 0.85
_LEAST_SIZE = 6
# In ASS, the places of the digits on a numeric keypad.
_ALIGNMENTS = {Position.BOTTOM: 2, Position.MIDDLE: 5, Position.TOP: 8}
_SCRIPT = "captions.ass"
_FONTS = "fonts"
# ASS has no escape for a backslash: with this invisible character behind it, it makes no code with the next letter.
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class Caption:
    """A text on screen from picture `start` up to, not including, `end`."""

    start: int
    end: int
    text: str


def captions_of(texts: Sequence[tuple[int, str | None]]) -> list[Caption]:
    """Return the captions of a run of pictures; where a text repeats, its caption goes on.

    `texts` says for how many pictures each text is shown, in order; None where there is none.
    """
    captions: list[Caption] = []
    start = 0
    for length, text in texts:
        last = captions[-1] if captions else None
        if last and last.end == start and last.text == text:
            captions[-1] = Caption(last.start, start + length, last.text)
        elif text:
            captions.append(Caption(start, start + length, text))
        start += length
    return captions


def caption_filters(captions: Sequence[Caption], style: CaptionStyle, size: Size, *, folder: Path) -> list[str]:
    """Return the ffmpeg filters that draw captions, for an ffmpeg that runs in `folder`, where their files go."""
    if not captions:
        return []
    (folder / _SCRIPT).write_text(ass_script(captions, style, size), encoding="utf-8")
    fonts = folder / _FONTS
    fonts.mkdir(exist_ok=True)
    # A link in a folder of its own: a filter's arguments could not name a path with any character in it.
    (fonts / _FACE).symlink_to(font_file(_FACE))
    # A picture a second, as the script counts; the encoder's own filters give the pictures their real times again.
    return ["settb=1,setpts=N", f"ass={_SCRIPT}:fontsdir={_FONTS}"]


def ass_script(captions: Sequence[Caption], style: CaptionStyle, size: Size) -> str:
    """Return an ASS script in which a picture lasts a second (ASS, "Advanced SubStation Alpha", v4+ styles)."""
    margin_x, margin_y = (round(side * _SAFE_MARGIN) for side in (size.width, size.height))
    height = max(_LEAST_SIZE, round(size.height * style.size))
    lines = [
        "[Script Info]",
        "ScriptType: v4.00+",
        f"PlayResX: {size.width}",
        f"PlayResY: {size.height}",
        # Lines break evenly.
        "WrapStyle: 0",
        "ScaledBorderAndShadow: yes",
        # As the film's own colours; where nothing is stated, it would be BT.601.
        "YCbCr Matrix: TV.709",
        "",
        "[V4+ Styles]",
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
        "Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, "
        "MarginR, MarginV, Encoding",
        f"Style: {_ass_style(style, height, margin_x, margin_y)}",
        "",
        "[Events]",
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
    ]
    area = Size(size.width - 2 * margin_x, size.height - 2 * margin_y)
    return "\n".join([*lines, *(_ass_event(caption, area, height) for caption in captions), ""])


def _ass_style(style: CaptionStyle, height: int, margin_x: int, margin_y: int) -> str:
    fill, outline = _ass_colour(style.color), _ass_colour(style.outline)
    # A comma would end the field.
    font = (style.font or _FONT_NAME).replace(",", " ")
    # Outline and half-transparent shadow grow with the letters: they keep them legible on any picture.
    edges = (1, round(height / 16, 1), round(height / 32, 1))
    place = (_ALIGNMENTS[style.position], margin_x, margin_x, margin_y)
    fields = ("Caption", font, height, fill, fill, outline, "&H80000000", 0, 0, 0, 0, 100, 100, 0, 0, *edges, *place, 1)
    return ",".join(map(str, fields))


def _ass_event(caption: Caption, area: Size, height: int) -> str:
    smaller = fitting_height(caption.text, area, height)
    fitted = f"{{\\fs{smaller}}}" if smaller < height else ""
    text = _ass_text(_breakable(caption.text, area.width / smaller))
    return f"Dialogue: 0,{_ass_time(caption.start)},{_ass_time(caption.end)},Caption,,0,0,0,,{fitted}{text}"


def fitting_height(text: str, area: Size, height: int) -> int:
    """Return the largest height of letters, up to `height` pixels, at which a text fits into an area once wrapped."""
    # Lines fit if their number times their height does. Both grow with the letters, so the area that the text takes
    # grows with the square of their height: its root is a good next guess.
    while height > _LEAST_SIZE:
        widths = [_width(line) * height for line in text.splitlines()]
        lines = sum(max(1, -(-width // (area.width * _FULLNESS))) for width in widths)
        if lines * height * _LINE_HEIGHT <= area.height:
            break
        height = max(_LEAST_SIZE, min(height - 1, int(height * sqrt(area.height / (lines * height * _LINE_HEIGHT)))))
    return height


def _breakable(text: str, width: float) -> str:
    """Break words that are wider than a line, `width` times its letters' height: libass breaks at spaces only."""

    def broken(word: re.Match[str]) -> str:
        lines = _width(word[0]) / (width * _FULLNESS)
        if lines <= 1:
            return word[0]
        step = max(1, int(len(word[0]) / lines))
        return "\n".join(word[0][start : start + step] for start in range(0, len(word[0]), step))

    return re.sub(r"\S+", broken, text)


def srt_text(holds: Sequence[Hold], fps: Fraction) -> str:
    """Return a film's captions as SubRip text; its times have milliseconds."""
    captions = captions_of([(hold.length, hold.caption) for hold in holds])
    return "\n".join(_srt_lines(captions, fps))


def _srt_lines(captions: Sequence[Caption], fps: Fraction) -> Iterator[str]:
    for number, caption in enumerate(captions, start=1):
        # An empty line would end the caption.
        text = re.sub(r"\n\s*\n", "\n", caption.text.replace("\r", "\n"))
        yield f"{number}\n{_srt_time(caption.start / fps)} --> {_srt_time(caption.end / fps)}\n{text}\n"


def _srt_time(seconds: Fraction) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{ms:03d}"


def _ass_time(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.00"


def _ass_colour(colour: str) -> str:
    """Return `#rrggbb` as ASS has it: blue first."""
    return f"&H00{colour[5:7]}{colour[3:5]}{colour[1:3]}".upper()


def _ass_text(text: str) -> str:
    """Return a text that ASS shows as it is: neither overrides nor control codes in it count."""
    guarded = text.replace("\\", f"\\{_WORD_JOINER}").replace("{", "\\{").replace("}", "\\}")
    return guarded.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\N")


def _width(line: str) -> float:
    """Return how wide a line is, in heights of its letters."""
    return _measure().getlength(line) / _measure().size


# Read once: a film may have thousands of captions.
@functools.cache
def _measure() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file(_FACE), 100)
