"""Frames become the film's pictures: fitted, converted to BT.709 video, seen through a moving window, mixed.

Every picture is resampled once, from the frame's own pixels, with Pillow's bicubic filter over a box of fractional
pixels: a slow move neither shakes nor drifts. Pillow lets other threads run meanwhile.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from pipelines.aspect import Fit, Size
from pipelines.errors import FilmError
from pipelines.film.motion import WHOLE, Window, window
from pipelines.film.segments import Shown
from pipelines.storyboard.board import Background, Output

# What Pillow raises for broken files: it has no class of its own.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# ITU-R BT.709: red's, green's and blue's share of the light.
_LIGHT = (0.2126, 0.7152, 0.0722)
_BICUBIC = Image.Resampling.BICUBIC
# A transition sees two frames at a time, a run of in-betweens one after the other.
_KEPT = 2
_BLUR = 0.04


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the film in planar 4:2:0: brightness at full size, two planes of colour at half of it."""

    planes: tuple[Image.Image, Image.Image, Image.Image]

    def chunks(self) -> Iterator[bytes]:
        """Yield it as ffmpeg's yuv420p."""
        return (plane.tobytes() for plane in self.planes)

    @property
    def raw(self) -> bytes:
        """It as ffmpeg's yuv420p."""
        return b"".join(self.chunks())

    def mixed(self, other: "Picture", mix: Callable[[Image.Image, Image.Image], Image.Image]) -> "Picture":
        """Return what `mix` makes of each plane of this picture and the other."""
        first, second, third = (mix(*pair) for pair in zip(self.planes, other.planes, strict=True))
        return Picture((first, second, third))


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A frame ready to be seen: its planes, and the box of its pixels that fills the film, colours at half scale."""

    planes: tuple[Image.Image, Image.Image, Image.Image]
    box: tuple[float, float, float, float]

    def seen(self, through: Window, size: Size) -> Picture:
        left, top, right, bottom = self.box
        width, height = right - left, bottom - top
        x, y = left + through.left * width, top + through.top * height
        box = (x, y, x + through.side * width, y + through.side * height)
        half = tuple(side / 2 for side in box)
        light, blue, red = self.planes
        full, quarter = (size.width, size.height), (size.width // 2, size.height // 2)
        return Picture(
            (_seen(light, full, box), _seen(blue, quarter, half), _seen(red, quarter, half))  # type: ignore[arg-type]
        )


class Painter:
    """Paints frames as the film shows them; a few are kept at hand. For one thread at a time."""

    def __init__(self, output: Output, frames: Sequence[Path] | Mapping[int, Path]) -> None:
        self._output = output
        self._frames = frames
        self._canvases: OrderedDict[int, _Canvas] = OrderedDict()

    def picture(self, shown: Shown, video_frame: int = 0) -> Picture:
        """Return the picture of a frame at a video frame of its part of the film.

        Raises:
            FilmError: it cannot be read, or does not fit where it must.
        """
        through = window(shown.motion, shown.progress(video_frame)) if shown.motion else WHOLE
        return self._canvas(shown.frame).seen(through, self._output.size)

    def _canvas(self, frame: int) -> _Canvas:
        if frame in self._canvases:
            self._canvases.move_to_end(frame)
        else:
            self._canvases[frame] = _stretched(read_frame(self._frames[frame]), self._output)
            if len(self._canvases) > _KEPT:
                self._canvases.popitem(last=False)
        return self._canvases[frame]


def read_frame(path: Path) -> Image.Image:
    """Read a PNG, to its end, as RGB.

    Raises:
        FilmError: it is missing, broken, or no PNG.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            # Pillow would cut grays of 16 bits off at 255.
            narrow = picture.point(lambda gray: gray / 257, "L") if picture.mode.startswith("I") else picture
            return narrow.convert("RGB")
    except _UNREADABLE as exc:
        raise _unreadable(path, exc) from exc


def require_size(frames: Iterable[Path], size: Size) -> None:
    """Check that all frames are of the film's size, where the storyboard says that others are an error.

    Raises:
        FilmError: one is not, or cannot be read.
    """
    for frame in frames:
        try:
            with Image.open(frame, formats=["PNG"]) as picture:
                found = Size(*picture.size)
        except _UNREADABLE as exc:
            raise _unreadable(frame, exc) from exc
        if found != size:
            raise FilmError(
                f"{frame}: is {found}, the film is {size}, and output.fit is error; "
                "choose cover, contain or stretch, or another output.size"
            )


def _unreadable(frame: Path, cause: BaseException) -> FilmError:
    reason: object = cause
    if isinstance(cause, UnidentifiedImageError):
        reason = "is no PNG"
    elif isinstance(cause, OSError) and cause.strerror:
        reason = cause.strerror
    return FilmError(f"{frame}: cannot be read: {reason}; render again to lay it anew")


def stacked(above: Picture, below: Picture) -> Iterator[bytes]:
    """Yield two pictures as one of double height, in ffmpeg's yuv420p."""
    for planes in zip(above.planes, below.planes, strict=True):
        yield from (plane.tobytes() for plane in planes)


def flat(size: Size, light: int) -> Picture:
    """Return a gray picture: `light` is 16 for black, 235 for white."""
    half = (size.width // 2, size.height // 2)
    return Picture(
        (Image.new("L", (size.width, size.height), light), Image.new("L", half, 128), Image.new("L", half, 128))
    )


def _stretched(picture: Image.Image, output: Output) -> _Canvas:
    """Lay a frame so that the box fills the film."""
    size = output.size
    if output.fit is Fit.CONTAIN:
        picture = _contained(picture, size, output.background)
    width, height = picture.size
    box = (0.0, 0.0, float(width), float(height))
    if output.fit is Fit.COVER:
        # The largest box of the film's shape, around the middle.
        scale = max(size.width / width, size.height / height)
        side, top = (width - size.width / scale) / 2, (height - size.height / scale) / 2
        box = (side, top, width - side, height - top)
    light, blue, red = picture.convert("RGB", _video_matrix()).split()
    return _Canvas((light, blue.reduce(2), red.reduce(2)), box)


def _contained(picture: Image.Image, size: Size, background: Background) -> Image.Image:
    film = (size.width, size.height)
    whole = ImageOps.contain(picture, film, _BICUBIC)
    if whole.size == film:
        return whole
    if background is Background.BLUR:
        canvas = ImageOps.fit(picture, film, _BICUBIC).filter(ImageFilter.BoxBlur(_BLUR * max(film)))
    else:
        canvas = Image.new("RGB", film)
    canvas.paste(whole, ((film[0] - whole.width) // 2, (film[1] - whole.height) // 2))
    return canvas


def _seen(plane: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    # Rounding may carry a box a hair beyond the picture; halves of odd sizes end in the middle of a pixel.
    inside = (max(0.0, box[0]), max(0.0, box[1]), min(plane.width, box[2]), min(plane.height, box[3]))
    return plane.resize(size, _BICUBIC, inside)


def _video_matrix() -> tuple[float, ...]:
    """Return what makes of RGB limited-range BT.709 (ITU-R BT.709-6, 3.2 and 3.4), with blue and red differences."""
    red, green, blue = _LIGHT
    light = [219 / 255 * share for share in _LIGHT]
    to_blue = [224 / 255 * share / (2 * (1 - blue)) for share in (-red, -green, 1 - blue)]
    to_red = [224 / 255 * share / (2 * (1 - red)) for share in (1 - red, -green, -blue)]
    return (*light, 16, *to_blue, 128, *to_red, 128)
