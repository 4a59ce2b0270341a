"""Captions drawn into files, and laid over the film's pictures by ffmpeg."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.film.caption_drawing import CaptionDrawing, Rgba
from pipelines.film.captions import Box, ScreenText, lay_out_caption, text_of
from pipelines.film.spoken_captions import CaptionRun
from pipelines.storyboard.model import CaptionStyle

_LIST = "captions.ffconcat"


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
    drawings = {text: CaptionDrawing(layout, style, box) for text, layout in layouts.items()}
    for number, text in enumerate(shown):
        files[text] = f"caption-{number}.png"
        _save(drawings[text_of(text)].draw(text), folder / files[text])
    # As long as the film's pictures and no longer: the overlay ends with the longer of the two.
    lines = [f"file {files[text]}\nduration {length}\n" for length, text in texts]
    (folder / _LIST).write_text("".join(["ffconcat version 1.0\n", *lines]), encoding="utf-8")
    return CaptionInput(("-f", "concat", "-i", _LIST), box)


def _save(picture: Rgba, file: Path) -> None:
    # Read once, by an ffmpeg that is about to start: quick to write counts for more than small.
    Image.fromarray(picture).save(file, compress_level=1)
