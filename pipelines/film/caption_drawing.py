"""Captions drawn with an outline and a shadow, on nothing."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.common.lettering.drawing import Coverage, Outline, cover
from pipelines.common.lettering.layout import PlacedLine
from pipelines.film.captions import OUTLINE, SHADOW, Box, CaptionLayout, Highlighted, Revealed, ScreenText
from pipelines.storyboard.model import CaptionStyle

_SHADOW_OPACITY = 0.5

# Red, green, blue and opacity; rows from the top.
Rgba = npt.NDArray[np.uint8]
_Layer = tuple[Coverage, str, float]


class CaptionDrawing:
    """Draws a caption as a whole, and as it looks while its words are spoken; what these share is drawn once."""

    def __init__(self, layout: CaptionLayout, style: CaptionStyle, box: Box) -> None:
        """Prepare to draw.

        Args:
            layout: the whole caption.
            style: its looks.
            box: the part of its picture that is drawn; it holds the caption's own.
        """
        self._size, self._em, self._style = (box.size.width, box.size.height), layout.em, style
        self._lines = [PlacedLine(line.line, line.left - box.left, line.baseline - box.top) for line in layout.lines]
        # Of the letters before this place.
        self._outlined = 0
        self._outline = self._no_outline()

    def draw(self, shown: ScreenText) -> Rgba:
        """Return the caption as it is to be seen; quickest where no letter is hidden that was seen before."""
        match shown:
            case Revealed(end=end):
                ink = [(self._cover(0, end), self._style.color, 1.0)]
                return _laid_over([*self._around(end), *ink], self._size)
            case Highlighted(text, start, end):
                apart = np.maximum(self._cover(0, start), self._cover(end, len(text)))
                inks = [(apart, self._style.color, 1.0), (self._cover(start, end), self._style.highlight, 1.0)]
                return _laid_over([*self._around(len(text)), *inks], self._size)
            case text:
                return self.draw(Revealed(text, len(text)))

    def _cover(self, start: int, end: int) -> Coverage:
        """Return how the letters from one place up to another cover the pixels."""
        return cover(self._letters(start, end), self._size, self._em)

    def _letters(self, start: int, end: int) -> list[PlacedLine]:
        return [line.only(lambda place: start <= place < end) for line in self._lines]

    def _around(self, end: int) -> list[_Layer]:
        """Return the shadow and the outline of the letters before a place."""
        if end < self._outlined:
            self._outlined, self._outline = 0, self._no_outline()
        self._outline.add(self._letters(self._outlined, end))
        self._outlined = end
        edge = self._outline.coverage()
        moved = np.array([[1, 0, SHADOW * self._em], [0, 1, SHADOW * self._em]])
        shadow = np.asarray(cv2.warpAffine(edge, moved, self._size), np.uint8)
        return [(shadow, "#000000", _SHADOW_OPACITY), (edge, self._style.outline, 1.0)]

    def _no_outline(self) -> Outline:
        return Outline(self._size, self._em, reach=OUTLINE * self._em)


def _laid_over(layers: Sequence[_Layer], size: tuple[int, int]) -> Rgba:
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
