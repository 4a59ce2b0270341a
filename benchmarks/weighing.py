"""The bytes of a film, and what they cost: beside one continuous encoding of the same pictures, as good to look at."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from benchmarks.likeness import Likeness, likeness, raw_file
from benchmarks.measure import Kind, Row, ratio_row, run
from benchmarks.photographs import PHOTOGRAPHS, write_photographs
from pipelines.common.geometry import AspectRatio, Fit
from pipelines.common.quality import Quality
from pipelines.film.assembler import assemble_film
from pipelines.film.encoder_input import input_of_segment
from pipelines.film.encoding import encoder_arguments, on_time
from pipelines.film.frame_picture import FramePicture
from pipelines.film.painting import FrameCache, FrameRenderer, read_frame
from pipelines.film.segments import Segment, cut_segments
from pipelines.storyboard.model import Motion, MotionType, Output
from pipelines.storyboard.presets import PieceKind
from pipelines.storyboard.timeline import Hold, Timeline

_OUTPUT = Output(Fraction(24), AspectRatio.LANDSCAPE.size, "h264", 18, Fit.COVER)
_HOLD, _HALF = 48, 6
_PUSH_IN = Motion(MotionType.PUSH_IN, Fraction(1, 10))
_SKY = list(PHOTOGRAPHS).index("sky")
# What continuous encodings are asked for: the films are as good as something between the first and the last.
_CRFS_OF_MOVES = (12, 15, 18)
_CRFS_OF_STILLS = (22, 25, 28)
_ROUNDS = 2
# Pieces of H.264 in which every picture is predicted from the one before it.
_REFERENCES = (
    *("-c:v", "libx264", "-threads", "1", "-preset", "superfast", "-x264-params"),
    "stitchable=1:aud=1:scenecut=0:keyint=infinite:bframes=0:ref=1:weightp=0:mbtree=0:rc-lookahead=0:qcomp=1:ipratio=1",
)


@dataclass(frozen=True, slots=True)
class _Source:
    """A film yet to be encoded: its timeline, the pictures of its frames, and all its raw pictures in one file."""

    timeline: Timeline
    frames: Sequence[Path]
    raw: Path

    @property
    def segments(self) -> list[Segment]:
        return cut_segments(self.timeline)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """An encoded film: its size in megabytes, and how good it is."""

    megabytes: float
    likeness: Likeness

    @property
    def vmaf(self) -> float:
        return float(self.likeness.vmaf.mean())


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    photographs = folder / "photographs"
    photographs.mkdir()
    frames = write_photographs(photographs)
    yield from _of_moves(_source(_holds(len(frames), moving=True), frames, folder / "moves.yuv"))
    yield from _of_stills(_source(_holds(len(frames), moving=False), frames, folder / "stills.yuv"))


def _of_moves(source: _Source) -> Iterator[Row]:
    film, encoded = _film(source), _continuous(source, _CRFS_OF_MOVES)
    yield _bytes_row("a film of push-ins and dissolves", film, encoded, "2")
    yield _banding_row(source, film, encoded[-1])
    yield _step_row(source, film)
    yield from _processor_rows(source)
    # Half a gigabyte.
    source.raw.unlink()


def _of_stills(source: _Source) -> Iterator[Row]:
    yield _bytes_row("a film of stills and cuts", _film(source), _continuous(source, _CRFS_OF_STILLS), "1.2")
    source.raw.unlink()


def _holds(count: int, *, moving: bool) -> tuple[Hold, ...]:
    if not moving:
        return tuple(Hold(number, number * _HOLD, _HOLD) for number in range(count))
    holds = [Hold(number, number * _HOLD, _HOLD, "dissolve", _HALF, _PUSH_IN) for number in range(count)]
    return (*holds[:-1], replace(holds[-1], transition=None, half=0))


def _source(holds: tuple[Hold, ...], frames: Sequence[Path], raw: Path) -> _Source:
    """Write the raw pictures of a film; return them with what they were made of."""
    source = _Source(Timeline("Bench", _OUTPUT, holds, ()), frames, raw)
    cache = FrameCache(_OUTPUT, kept=2, read=read_frame)
    renderer = FrameRenderer(cache, [FramePicture(frame) for frame in frames])
    with raw.open("wb") as file:
        for segment in source.segments:
            file.writelines(input_of_segment(segment, _OUTPUT, renderer).chunks)
    return source


def _film(source: _Source) -> _Weighed:
    target = source.raw.with_suffix(".mp4")
    assemble_film(source.timeline, source.frames, target)
    return _weighed(target, source)


def _continuous(source: _Source, crfs: Sequence[int]) -> list[_Weighed]:
    """Return what one ffmpeg makes of all pictures, for each crf."""
    encoded = []
    for crf in crfs:
        target = source.raw.with_name("continuous.mp4")
        _encode(source, ["-c:v", "libx264", "-preset", "medium", "-crf", str(crf), str(target)])
        encoded.append(_weighed(target, source))
    return encoded


def _weighed(film: Path, source: _Source) -> _Weighed:
    found = likeness(film, source.raw, _OUTPUT)
    assert len(found.vmaf) == source.timeline.video_frames
    return _Weighed(film.stat().st_size / 1e6, found)


def _encode(source: _Source, encoding: Sequence[str], *, segment: Segment | None = None) -> float:
    """Encode all pictures, or those of a segment; return the seconds of a processor that it takes."""
    first, length = (segment.start, segment.length) if segment else (0, source.timeline.video_frames)
    before_bytes = first * _OUTPUT.size.width * _OUTPUT.size.height * 3 // 2
    pictures = ["-skip_initial_bytes", str(before_bytes), *raw_file(source.raw, _OUTPUT), "-frames:v", str(length)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *pictures, "-vf", on_time(_OUTPUT), *encoding]
    return run(command).processor_s


def _bytes_row(what: str, film: _Weighed, encoded: Sequence[_Weighed], aim: str) -> Row:
    name = f"bytes of {what} over one encoding"
    vmaf, megabytes = [each.vmaf for each in encoded], [each.megabytes for each in encoded]
    equal = megabytes_at(film.vmaf, vmaf, megabytes)
    if equal is None:
        against = f"of VMAF {min(vmaf):.2f} to {max(vmaf):.2f}, the film's is {film.vmaf:.2f}: other crf are needed"
        return Row(name, None, "x", Kind.RATIO, against, aim)
    against = f"x264 medium, at the same VMAF ({equal:.1f} MB)"
    detail = f"{film.megabytes:.1f} MB, VMAF {film.vmaf:.2f}"
    return ratio_row(name, film.megabytes / equal, against, aim, detail=detail)


def megabytes_at(score: float, scores: Sequence[float], megabytes: Sequence[float]) -> float | None:
    """Return the size of an encoding as good as `score`, given those of some others; None where it is not among them.

    Between two of them, bytes grow exponentially with VMAF.
    """
    if not min(scores) <= score <= max(scores):
        return None
    ordered = np.argsort(scores)
    return float(np.exp(np.interp(score, np.array(scores)[ordered], np.log(megabytes)[ordered])))


def _banding_row(source: _Source, film: _Weighed, encoded: _Weighed) -> Row:
    hold = next(segment for segment in source.segments if segment.frames == (_SKY,))
    pictures = slice(hold.start, hold.start + hold.length)
    ours, theirs = (float(each.likeness.cambi[pictures].mean()) for each in (film, encoded))
    against = f"x264 medium at crf {_CRFS_OF_MOVES[-1]}: {theirs:.2g}"
    return Row("bands in a drawn sky that moves", ours, "CAMBI", Kind.QUALITY, against, "below 1")


def _step_row(source: _Source, film: _Weighed) -> Row:
    starts = [one.start + one.length for one in source.segments if one.kind is PieceKind.PASSING]
    psnr = film.likeness.psnr_db
    step = max(abs(float(psnr[start] - psnr[start - 1])) for start in starts)
    name = "the step from a dissolve's last picture to the hold behind it"
    return Row(name, step, "dB", Kind.QUALITY, "the largest of the film, in PSNR", "below 3")


def _processor_rows(source: _Source) -> Iterator[Row]:
    final, draft = (replace(_OUTPUT, quality=quality) for quality in (Quality.FINAL, Quality.DRAFT))
    # In turn, and the shortest of each: other work on the machine makes it longer, never shorter.
    rounds = [(_pieces_s(source, final), _pieces_s(source, draft), _references_s(source)) for _ in range(_ROUNDS)]
    final_s, draft_s, references_s = (min(times) for times in zip(*rounds, strict=True))
    against = f"pieces of reference pictures alone ({references_s:.1f} s)"
    name = "processor time of encoding the pieces of a film of push-ins and dissolves"
    yield ratio_row(name, final_s / references_s, against, "1.8", detail=f"{final_s:.1f} s")
    yield ratio_row(f"{name}: a draft", draft_s / references_s, against, "1", detail=f"{draft_s:.1f} s")


def _pieces_s(source: _Source, output: Output) -> float:
    """Return the seconds of a processor that all pieces take at the quality of an output."""
    encodings = ((one, [*encoder_arguments(output, one.kind), os.devnull]) for one in source.segments)
    return sum(_encode(source, encoding, segment=one) for one, encoding in encodings)


def _references_s(source: _Source) -> float:
    """Return the same for pieces without B pictures; coarser where a transition is on screen for a moment only."""
    of_kind = {
        PieceKind.MOVING: ("-crf", str(_OUTPUT.crf - 3)),
        PieceKind.PASSING: ("-crf", str(_OUTPUT.crf), "-subq", "0"),
    }
    encodings = ((one, [*_REFERENCES, *of_kind[one.kind], "-f", "h264", os.devnull]) for one in source.segments)
    return sum(_encode(source, encoding, segment=one) for one, encoding in encodings)
