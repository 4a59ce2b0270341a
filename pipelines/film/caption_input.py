"""Captions drawn with an outline, on nothing, and laid over the film's pictures by ffmpeg."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.common.lettering.drawing import Coverage, cover, outline
from pipelines.common.lettering.layout import PlacedLine
from pipelines.film.captions import (
    OUTLINE,
    SHADOW,
    Box,
    CaptionLayout,
    Highlighted,
    Revealed,
    ScreenText,
    lay_out_caption,
    text_of,
)
from pipelines.film.spoken_captions import CaptionRun
from pipelines.storyboard.model import CaptionStyle

_LIST = "captions.ffconcat"
_SHADOW_OPACITY = 0.5

# Red, green, blue and opacity; rows from the top.
Rgba = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CaptionInput:
    """The second input of an encoder whose first one is the film's pictures.

    Attributes:
        arguments: with which ffmpeg reads the captions; none where there are none.
        box: the part of the picture that they are laid over.
    """

    arguments: Sequence[str]
    box: Box

    def graph(self, filters: Sequence[str], then: str) -> str:
        """Return the ffmpeg graph that makes pictures of the first input, and lays the captions over them.

        Args:
            filters: what makes the pictures.
            then: the filters for what comes out.
        """
        if not self.arguments:
            return ",".join([*filters, then])
        # A picture a second, as the list of captions counts; `then` gives the pictures their real times again.
        film = ",".join([*filters, "settb=1,setpts=N"])
        captions = "scale=out_color_matrix=bt709:out_range=tv,format=yuva420p"
        over = f"overlay=x={self.box.left}:y={self.box.top}:eof_action=repeat:format=yuv420"
        return f"[0:v]{film}[film];[1:v]{captions}[captions];[film][captions]{over},{then}"


def caption_input(texts: Sequence[CaptionRun], style: CaptionStyle, size: Size, *, folder: Path) -> CaptionInput:
    """Draw captions into files, and return how an ffmpeg that runs in `folder` reads them.

    Args:
        texts: what is to be read, and for how many pictures each, in order; None where there is nothing.
        style: the looks.
        size: of the film's pictures.
        folder: an empty one; it must outlive ffmpeg.
    """
    shown = list(dict.fromkeys(text for _, text in texts if text and style.burn))
    layouts = {text: lay_out_caption(text, style, size) for text in dict.fromkeys(map(text_of, shown))}
    if not layouts:
        return CaptionInput((), Box(0, 0, 0, 0))
    box = reduce(Box.around, (layout.box for layout in layouts.values()))
    files: dict[ScreenText | None, str] = {None: "no-caption.png"}
    _save(np.zeros((box.size.height, box.size.width, 4), np.uint8), folder / files[None])
    for number, text in enumerate(shown):
        files[text] = f"caption-{number}.png"
        _save(draw_caption(layouts[text_of(text)], style, box, text), folder / files[text])
    # As long as the film's pictures and no longer: the overlay ends with the longer of the two.
    lines = [f"file {files[text]}\nduration {length}\n" for length, text in texts]
    (folder / _LIST).write_text("".join(["ffconcat version 1.0\n", *lines]), encoding="utf-8")
    return CaptionInput(("-f", "concat", "-i", _LIST), box)


def _save(picture: Rgba, file: Path) -> None:
    # Read once, by an ffmpeg that is about to start: quick to write counts for more than small.
    Image.fromarray(picture).save(file, compress_level=1)


def draw_caption(layout: CaptionLayout, style: CaptionStyle, box: Box, shown: ScreenText = "") -> Rgba:
    """Draw a caption on nothing, as it is in a part of its picture that holds its own box.

    Args:
        layout: the whole caption.
        style: its looks.
        box: the part of its picture.
        shown: says which of its letters are seen, and which are highlighted; by default it is plain.
    """
    size, em = (box.size.width, box.size.height), layout.em
    lines = [PlacedLine(line.line, line.left - box.left, line.baseline - box.top) for line in layout.lines]
    if isinstance(shown, Revealed):
        lines = [line.only(lambda place: place < shown.end) for line in lines]
    edge = outline(lines, size, em, reach=OUTLINE * em)
    moved = np.array([[1, 0, SHADOW * em], [0, 1, SHADOW * em]])
    shadow = np.asarray(cv2.warpAffine(edge, moved, size), np.uint8)
    layers = [(shadow, "#000000", _SHADOW_OPACITY), (edge, style.outline, 1.0)]
    if isinstance(shown, Highlighted):
        plain = [line.only(lambda place: not shown.start <= place < shown.end) for line in lines]
        lit = [line.only(lambda place: shown.start <= place < shown.end) for line in lines]
        layers += [(cover(plain, size, em), style.color, 1.0), (cover(lit, size, em), style.highlight, 1.0)]
    else:
        layers.append((cover(lines, size, em), style.color, 1.0))
    return _laid_over(layers, size)


def _laid_over(layers: Sequence[tuple[Coverage, str, float]], size: tuple[int, int]) -> Rgba:
    """Return layers, each of one colour and over those before it (Porter and Duff, "over"), as one picture."""
    colours = np.zeros((size[1], size[0], 3), np.float32)
    opacity = np.zeros((size[1], size[0], 1), np.float32)
    for coverage, colour, opaque in layers:
        own = coverage[..., None].astype(np.float32) * (opaque / 255)
        colours = colours * (1 - own) + own * np.array(_rgb(colour), np.float32)
        opacity = opacity * (1 - own) + own
    # Until here colours are multiplied by their opacity.
    plain = colours / np.maximum(opacity, 1 / 255)
    return np.asarray(np.rint(np.concatenate([plain, opacity * 255], axis=2)), np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
