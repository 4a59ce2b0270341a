"""Look at frames before and after ffmpeg does: what it would not say, or not in the user's words."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pipelines.aspect import Fit, Size
from pipelines.errors import FilmError
from pipelines.storyboard.board import Output

# What Pillow raises for broken files: it has no class of its own.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def require_fitting(frames: Iterable[Path], output: Output) -> None:
    """Check that the frames are of the film's size, where the storyboard says that others are an error.

    Raises:
        FilmError: one is not, or cannot be read.
    """
    if output.fit is not Fit.ERROR:
        return
    for frame in frames:
        if (size := _size_of(frame)) != output.size:
            raise FilmError(
                f"{frame}: is {size}, the film is {output.size}, and output.fit is error; "
                "choose cover, contain or stretch, or another output.size"
            )


def require_whole(frames: Iterable[Path]) -> None:
    """Decode each frame, to name the one that cannot be.

    Raises:
        FilmError: a frame is missing, broken, or no PNG.
    """
    for frame in frames:
        try:
            with Image.open(frame, formats=["PNG"]) as picture:
                picture.load()
        except _UNREADABLE as exc:
            raise _unreadable(frame, exc) from exc


def _size_of(frame: Path) -> Size:
    try:
        with Image.open(frame, formats=["PNG"]) as picture:
            return Size(*picture.size)
    except _UNREADABLE as exc:
        raise _unreadable(frame, exc) from exc


def _unreadable(frame: Path, cause: BaseException) -> FilmError:
    reason: object = cause
    if isinstance(cause, UnidentifiedImageError):
        reason = "is no PNG"
    elif isinstance(cause, OSError) and cause.strerror:
        reason = cause.strerror
    return FilmError(f"{frame}: cannot be read: {reason}; render again to lay it anew")
