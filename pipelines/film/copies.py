"""Held stills as H.264: each encoded once, and held by copies that cost a few bytes and no encoding.

A copy is a picture that says of each of its blocks: as before (ITU-T H.264, P_Skip, 8.4.1.1). It is the same for every
still, so it is encoded once, from plain gray, and spliced in behind each still encoded with the same parameters.
Measured with 60 frames of 1344x768, about 1 MB each, against one ffmpeg that encodes every video frame at the same
preset: held for 96 video frames each, 0.12 of the time and 0.75 of the bytes; for 24, 0.23 and 0.75; for 6, 0.5 and
1.0; for 1, 1.0 of the time. Four frames held for 1,440: 0.04 of the time, 1.45 of the bytes (more keyframes).
"""

import logging
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import fed_ffmpeg, running_ffmpeg
from pipelines.film.access_units import is_reference, parameter_sets, read_units
from pipelines.film.encoding import encoder_arguments, keyframe_every, plain_filter, rate
from pipelines.film.frame_numbers import Numbering, read_numbering, renumbered
from pipelines.storyboard.model import Output
from pipelines.storyboard.presets import PieceKind

_log = logging.getLogger(__name__)

# As many copies behind a still are decoded, to see whether they repeat it: the numbers of pictures begin again by then.
_TRIED = 20


@dataclass(frozen=True, slots=True)
class Copies:
    """Pictures that repeat the one before them.

    Attributes:
        headers: the parameter sets that they were encoded with.
        pictures: as access units, in order; none where this ffmpeg makes none that hold a picture.
        numbering: how pictures are numbered; None where there are no copies.
    """

    headers: tuple[bytes, ...]
    pictures: tuple[bytes, ...] = ()
    numbering: Numbering | None = None

    def hold(self, still: bytes, length: int) -> Iterator[bytes]:
        """Yield the stream of `still` held for `length` video frames, from one keyframe to the next at a time."""
        stretch = len(self.pictures) + 1
        for start in range(0, length, stretch):
            yield b"".join((still, *self.pictures[: min(stretch, length - start) - 1]))

    def hold_change(self, picture: bytes, length: int, *, behind: int) -> bytes:
        """Return the stream of a picture held for `length` video frames that was encoded as a change of what is before.

        Args:
            picture: what has changed.
            length: in video frames.
            behind: how many video frames there are since the last keyframe, itself included; with those of `length`
                no more than from one keyframe to the next.
        """
        assert self.numbering is not None
        changed = renumbered(picture, behind, self.numbering)
        return b"".join((changed, *self.pictures[behind : behind + length - 1]))

    def require_match(self, picture: bytes) -> None:
        """Check that a piece that begins with this picture can be joined with others, and that copies can follow it.

        Raises:
            FilmError: it was encoded with other parameter sets.
        """
        if parameter_sets(picture) != self.headers:
            raise FilmError("this ffmpeg's x264 gives each piece headers of its own; reinstall imageio-ffmpeg")


async def encode_copies(output: Output, *, folder: Path) -> Copies:
    """Encode a copy, number as many as stand between two keyframes, and see that they hold a picture.

    Where they do not, there are none, and every video frame of a hold has to be encoded.

    Raises:
        FilmError: ffmpeg failed.
    """
    # Gray twice: the second picture repeats the first, and would repeat any other as well. Then one to hold on trial.
    source = f"color=gray:size={output.size}:rate={rate(output.fps)}"
    gray = f"{source},trim=end_frame=2,{plain_filter(blank=True)}"
    noise = f"{source},trim=end_frame=1,noise=alls=6,{plain_filter(blank=False)}"
    arguments = ["-filter_complex", f"{gray}[gray];{noise}[noise];[gray][noise]concat"]
    arguments += ["-force_key_frames", "expr:not(mod(n,2))", *encoder_arguments(output, PieceKind.STILL)]
    async with running_ffmpeg([*arguments, "-"], folder=folder, stdout=PIPE) as encoder:
        assert encoder.stdout is not None
        first, copy, trial = [unit async for unit in read_units(encoder.stdout)]
    headers = parameter_sets(first)
    try:
        numbering = read_numbering(headers)
    except FilmError as exc:
        _log.warning("%s; every video frame of a hold is encoded", exc)
        return Copies(headers)
    pictures = tuple(renumbered(copy, number, numbering) for number in range(1, keyframe_every(output)))
    copies = Copies(headers, pictures, numbering)
    if is_reference(copy) and pictures[0] == copy and await _is_held(trial, copies, folder=folder):
        return copies
    _log.warning("this ffmpeg's x264 makes no copies; every video frame of a hold is encoded")
    return Copies(headers)


async def _is_held(still: bytes, copies: Copies, *, folder: Path) -> bool:
    """Say whether copies behind a still show it again, and nothing else."""
    length = min(_TRIED, len(copies.pictures) + 1)
    stream = (memoryview(stretch) for stretch in copies.hold(still, length))
    decoding = ["-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "framecrc", "-"]
    async with fed_ffmpeg(decoding, stream, folder=folder, stdout=PIPE) as decoder:
        assert decoder.stdout is not None
        # A line for each picture, `0, <dts>, <pts>, <duration>, <size>, <checksum>`; others begin with `#`.
        lines = [line.decode().split() async for line in decoder.stdout]
    shown = [line[-1] for line in lines if not line[0].startswith("#")]
    return len(shown) == length and len(set(shown)) == 1
