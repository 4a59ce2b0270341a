"""The lettering of a sketch card: the request that it answers, on a translucent band."""

from PIL import Image, ImageDraw, ImageFont

from pipelines.endpoints.dialects.flux import ImageRequest

# A share of the picture's shorter side.
_MARGIN = 0.045
# At most this share of the picture's height goes to the prompt.
_PROMPT_SHARE = 0.3
# Sizes of the prompt's letters from the largest down, each a fraction of the picture's height.
_LETTER_FRACTIONS = (30, 38, 48)
# Heights of a letter from one line to the next.
_LINE_HEIGHT = 1.3
_BAND_COLOR = (14, 16, 22, 176)
_PROMPT_COLOR = (246, 242, 232)
_HEADING_COLOR = (206, 200, 188)


def letter_card(picture: Image.Image, request: ImageRequest, count: int) -> None:
    """Write the request on a band at the head of the picture, in place; films' captions stand at its foot.

    Args:
        picture: an RGB picture.
        request: the request that it answers.
        count: how many such requests there have been, this one included; shown from 2 up.
    """
    margin = int(min(picture.size) * _MARGIN)
    lines, font = _fit_prompt(request.prompt, width=picture.width - 4 * margin, picture_height=picture.height)
    spacing = int(font.size * _LINE_HEIGHT)
    heading_font = _font(max(11, picture.height // 46))
    _paste_band(picture, margin, height=spacing * len(lines) + int(heading_font.size * 1.9) + margin)
    number = f"   no. {count}" if count > 1 else ""
    heading = f"SKETCH   {picture.width}x{picture.height}   {request.aspect}   {request.steps} steps{number}"
    left, top = 2 * margin, margin + margin // 2
    draw = ImageDraw.Draw(picture)
    draw.text((left, top), heading, font=heading_font, fill=_HEADING_COLOR)
    top += int(heading_font.size * 1.7)
    for index, line in enumerate(lines):
        draw.text((left, top + index * spacing), line, font=font, fill=_PROMPT_COLOR)


def _paste_band(picture: Image.Image, margin: int, *, height: int) -> None:
    band = Image.new("RGBA", (picture.width - 2 * margin, height), (0, 0, 0, 0))
    ImageDraw.Draw(band).rounded_rectangle((0, 0, band.width - 1, height - 1), radius=margin // 2, fill=_BAND_COLOR)
    picture.paste(band, (margin, margin), band)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    # Pillow without FreeType has one tiny bitmap font; its wheels all have FreeType.
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _fit_prompt(prompt: str, *, width: int, picture_height: int) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """Wrap the prompt in the largest letters in which it fits, cut short where it fits in none."""
    words = " ".join(prompt.split()).split(" ")
    height = int(picture_height * _PROMPT_SHARE)
    for fraction in _LETTER_FRACTIONS:
        font = _font(max(12, picture_height // fraction))
        lines = _wrap(words, font, width)
        most_lines = max(1, int(height / (font.size * _LINE_HEIGHT)))
        if len(lines) <= most_lines:
            return lines, font
    return [*lines[: most_lines - 1], f"{lines[most_lines - 1].rstrip()} ..."], font


def _wrap(words: list[str], font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return the words in lines of at most `width` pixels."""
    lines, line = [], ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = _break_word(word, font, width)
        lines += whole
    return [*lines, line]


def _break_word(word: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return a word in pieces of at most `width` pixels; a script without spaces may be one word all over."""
    pieces = []
    while font.getlength(word) > width:
        # All letters as wide as their average is a good guess to start from; one letter always goes.
        fit = max(1, int(len(word) * width / font.getlength(word)))
        while fit > 1 and font.getlength(word[:fit]) > width:
            fit -= 1
        pieces.append(word[:fit])
        word = word[fit:]
    return [*pieces, word]
