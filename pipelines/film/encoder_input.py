"""Segments as an encoder reads them: raw pictures, rendered while ffmpeg takes them from a pipe."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from pipelines.film.encoding import raw_input
from pipelines.film.painting import FrameRenderer
from pipelines.film.picture import stacked_chunks
from pipelines.film.segments import Crossing, Morph, Segment, Stay
from pipelines.film.smoothing import key_rate, smoothing_filters
from pipelines.film.transitions import mix_pictures, xfade_filters
from pipelines.storyboard.model import Output
from pipelines.storyboard.transitions import OWN


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """The input of one encoder.

    Attributes:
        chunks: raw pictures in yuv420p, one after another; rendered as they are read.
        arguments: with which ffmpeg reads them.
        filters: with which ffmpeg makes video frames of them; none where each picture is one.
    """

    chunks: Iterable[memoryview]
    arguments: list[str]
    filters: list[str]


def input_of_segment(segment: Segment, output: Output, renderer: FrameRenderer) -> EncoderInput:
    """Return the input from which ffmpeg makes every video frame of a segment."""
    match segment.parts:
        # ffmpeg makes these two from pictures of single frames; all other video frames are rendered here.
        case (Crossing() as crossing,) if crossing.type not in OWN:
            pairs, filters = _pairs(crossing, renderer), xfade_filters(crossing, output)
            return EncoderInput(pairs, raw_input(output, stacked=True), filters)
        case (Morph() as morph,):
            arguments = raw_input(output, fps=key_rate(morph, output.fps))
            return EncoderInput(_keys(morph, renderer), arguments, smoothing_filters(morph, output))
        case _:
            return EncoderInput(_every_picture(segment, renderer), raw_input(output), [])


def input_of_batch(segments: Sequence[Segment], output: Output, renderer: FrameRenderer) -> EncoderInput:
    """Return the input of segments that are encoded one after another; of each still hold there is one picture only.

    The segments are all still, or none of them is.
    """
    render = _each_once if segments[0].still else _every_picture
    pictures = chain.from_iterable(render(segment, renderer) for segment in segments)
    return EncoderInput(pictures, raw_input(output), [])


def _each_once(segment: Segment, renderer: FrameRenderer) -> Iterator[memoryview]:
    for part in segment.parts:
        if isinstance(part, Stay):
            yield from renderer.picture(part.shown).chunks()


def _every_picture(segment: Segment, renderer: FrameRenderer) -> Iterator[memoryview]:
    for part in segment.parts:
        if isinstance(part, Crossing):
            yield from _mixes(part, renderer)
        elif isinstance(part, Stay) and part.still:
            # Rendered once; only its bytes are written again.
            picture = renderer.picture(part.shown)
            for _ in range(part.length):
                yield from picture.chunks()
        elif isinstance(part, Stay):
            for video_frame in range(part.length):
                yield from renderer.picture(part.shown, video_frame).chunks()


def _mixes(crossing: Crossing, renderer: FrameRenderer) -> Iterator[memoryview]:
    for video_frame in range(crossing.length):
        leaving = renderer.picture(crossing.leaving, video_frame)
        coming = renderer.picture(crossing.coming, video_frame)
        # As far as in the middle of the video frame's time: of eight pictures, 1/16, 3/16 ... 15/16.
        progress = Fraction(2 * video_frame + 1, 2 * crossing.length)
        yield from mix_pictures(crossing.type, leaving, coming, float(progress)).chunks()


def _pairs(crossing: Crossing, renderer: FrameRenderer) -> Iterator[memoryview]:
    for video_frame in range(crossing.length):
        leaving = renderer.picture(crossing.leaving, video_frame)
        yield from stacked_chunks(leaving, renderer.picture(crossing.coming, video_frame))


def _keys(morph: Morph, renderer: FrameRenderer) -> Iterator[memoryview]:
    for shown in morph.shown:
        yield from renderer.picture(shown).chunks()
