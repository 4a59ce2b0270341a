"""The lettering of a sketch card: the request that it answers, on a translucent band."""

from PIL import Image, ImageDraw

from pipelines.common.lettering.drawing import place_lines, write_lines
from pipelines.common.lettering.layout import Line, Paragraph, flatten
from pipelines.common.lettering.typefaces import FontStack
from pipelines.endpoints.requests import ImageRequest

_STACK = FontStack()
# A share of the picture's shorter side.
_MARGIN = 0.045
# At most this share of the picture's height goes to the prompt.
_PROMPT_SHARE = 0.3
# Sizes of the prompt's letters from the largest down, each a fraction of the picture's height.
_LETTER_FRACTIONS = (30, 38, 48)
# In ems: from one line to the next, and from the top of the letters' box to the first line's baseline.
_LINE_HEIGHT = 1.3
_ASCENT = 0.96
_BAND_COLOR = (14, 16, 22, 176)
_PROMPT_COLOR = "#f6f2e8"
_HEADING_COLOR = "#cec8bc"


def letter_card(picture: Image.Image, request: ImageRequest, count: int) -> None:
    """Write the request on a band at the head of the picture, in place; films' captions stand at its foot.

    Args:
        picture: an RGB picture.
        request: the request that it answers.
        count: how many such requests there have been, this one included; shown from 2 up.
    """
    margin = int(min(picture.size) * _MARGIN)
    width = picture.width - 4 * margin
    number = f"   no. {count}" if count > 1 else ""
    heading = f"SKETCH   {picture.width}x{picture.height}   {request.aspect}   {request.steps} steps{number}"
    heading_em = max(11, picture.height // 46)
    headings = Paragraph(heading, _STACK).cut(width / heading_em, most=1)
    lines, em = _fit_prompt(request.prompt, width=width, picture_height=picture.height)
    spacing = int(em * _LINE_HEIGHT)
    band_height = spacing * len(lines) + int(heading_em * 1.9) + margin
    _paste_band(picture, margin, height=band_height)
    # Ink ends at the band's edges: marks can be stacked without end.
    box = (2 * margin, margin, 2 * margin + width, margin + band_height)
    top = margin // 2 + _ASCENT * heading_em
    write_lines(picture, box, place_lines(headings, heading_em, width=width, baseline=top), heading_em, _HEADING_COLOR)
    top = margin // 2 + int(heading_em * 1.7) + _ASCENT * em
    placed = place_lines(lines, em, width=width, baseline=top, spacing=spacing)
    write_lines(picture, box, placed, em, _PROMPT_COLOR)


def _paste_band(picture: Image.Image, margin: int, *, height: int) -> None:
    band = Image.new("RGBA", (picture.width - 2 * margin, height), (0, 0, 0, 0))
    ImageDraw.Draw(band).rounded_rectangle((0, 0, band.width - 1, height - 1), radius=margin // 2, fill=_BAND_COLOR)
    picture.paste(band, (margin, margin), band)


def _fit_prompt(prompt: str, *, width: int, picture_height: int) -> tuple[list[Line], int]:
    """Break the prompt into lines in the largest letters in which it fits, cut short where it fits in none.

    Returns:
        The lines, and the size of their letters in pixels.
    """
    paragraph = Paragraph(flatten(prompt), _STACK)
    for fraction in _LETTER_FRACTIONS:
        em = max(12, picture_height // fraction)
        most = max(1, int(picture_height * _PROMPT_SHARE / (em * _LINE_HEIGHT)))
        if paragraph.count_lines(width / em) <= most:
            break
    return paragraph.cut(width / em, most=most), em
