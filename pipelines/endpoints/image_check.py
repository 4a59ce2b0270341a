"""The check that a body is a whole, usable picture. Its format is read from its bytes, never from its label."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.common.geometry import Size
from pipelines.common.imaging import open_picture, require_whole
from pipelines.common.picture_file import PictureFormat, UnreadablePictureError


@dataclass(frozen=True, slots=True)
class Picture:
    """What is found out of a body that is a whole picture.

    Attributes:
        format: the format.
        size: in pixels.
        flat_colour: its colour, as `#rrggbb`, where the whole picture is one flat colour, as safety filters send.
        orientation: whether it has an EXIF orientation that a viewer would follow; it is dropped.
    """

    format: PictureFormat
    size: Size
    flat_colour: str | None = None
    orientation: bool = False


class UnusablePictureError(ValueError):
    """The body is no usable picture; the message says why."""


def inspect_picture(path: Path, *, asked: Size | None = None) -> Picture:
    """Return what the picture in a file is, once it is known to be whole.

    Args:
        path: the file.
        asked: the size in pixels that was asked for; one of far more is refused. None for 32 megapixels.

    Raises:
        UnusablePictureError: it is empty, not PNG, JPEG or WebP, damaged, cut short, an animation, or beyond a bound.
        OSError: the file could not be read.
    """
    try:
        picture = open_picture(path, asked=asked)
        flat_colour = require_whole(picture)
    except UnreadablePictureError as exc:
        raise UnusablePictureError(str(exc)) from exc
    return Picture(picture.format, picture.size, flat_colour, picture.orientation != 1)
