"""Frames become the film's pictures: fitted, converted to BT.709 video, seen through a moving window.

A still picture is resampled once, from the frame's own pixels. For a move, the frame is drawn once at twice the film's
size; each picture is then taken from there at fractions of a pixel, so that a slow move neither shakes nor drifts.
Measured at 1344x768: 5 ms a picture, where Pillow's bicubic filter takes 15 for one as good (their difference is as
small as that between bicubic and Lanczos). Neither keeps other threads waiting.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from pipelines.common.errors import FilmError, UnreadableFrameError
from pipelines.common.geometry import Fit, Size
from pipelines.common.imaging import open_picture, read_picture
from pipelines.common.picture_file import UnreadablePictureError
from pipelines.film.frame_picture import FramePicture, FramePictures
from pipelines.film.motion import Window, window
from pipelines.film.picture import Picture, Plane
from pipelines.film.segments import Shown
from pipelines.storyboard.model import Background, Output

# Left, top, right and bottom, in pixels; fractions count.
Box = tuple[float, float, float, float]
# Reads a frame, to its end, as RGB; see `read_frame`.
ReadFrame = Callable[[Path], Image.Image]

# Red's, green's and blue's share of the light (ITU-R BT.709-6, 3.2).
_LIGHT = (0.2126, 0.7152, 0.0722)
_BICUBIC = Image.Resampling.BICUBIC
# A frame that is to move is drawn so many times as wide and as high as the film.
_OVERSAMPLING = 2
# The radius of a blurred background's blur, as a share of the film's longer side.
_BLUR = 0.04

# Segments are rendered side by side, each by one thread: OpenCV's own would only take their processors.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A frame in video colours, and the box of its pixels that fills the film.

    Attributes:
        light: brightness, at the frame's own size.
        blue, red: colour differences, at half of it.
        box: in pixels of `light`.
    """

    light: Image.Image
    blue: Image.Image
    red: Image.Image
    box: Box

    def draw(self, size: Size, *, times: int = 1) -> Picture:
        """Return the part in the box at `times` the film's size."""
        full = (size.width * times, size.height * times)
        half = (full[0] // 2, full[1] // 2)
        halved = tuple(side / 2 for side in self.box)
        return Picture(
            (
                # Straight from the frame's pixels: a picture that is resampled twice is less sharp.
                _resized(self.light, full, self.box),
                _resized(self.blue, half, halved),  # type: ignore[arg-type]
                _resized(self.red, half, halved),  # type: ignore[arg-type]
            )
        )


class FrameCache:
    """Frames as they were drawn for one film; the last few are kept, for a hold and its transitions share one.

    Any thread may use it. A frame that one thread is drawing is drawn once: other threads that need it wait.
    """

    def __init__(self, output: Output, *, kept: int, read: ReadFrame) -> None:
        self._output = output
        self._read = read
        self._max_kept = kept
        self._kept: OrderedDict[tuple[FramePicture, bool], Future[Picture]] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, frame: FramePicture, *, moving: bool) -> Picture:
        """Return a frame at the film's size, or larger where it is to move.

        Raises:
            FilmError: it cannot be read.
        """
        key = (frame, moving)
        with self._lock:
            drawing = self._kept.get(key)
            is_new = drawing is None
            if drawing is None:
                drawing = self._kept[key] = Future()
            self._kept.move_to_end(key)
            # A drawing that falls out lives on in the threads that wait for it.
            if len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
        # Outside of the lock: other threads draw other frames meanwhile.
        if is_new:
            try:
                canvas = _canvas_of(self._read(frame.path), self._output)
                drawing.set_result(canvas.draw(self._output.size, times=_OVERSAMPLING if moving else 1))
            except Exception as exc:  # noqa: BLE001 - handed on to all threads that wait for it
                # The next call reads the file again: it may have been replaced.
                with self._lock:
                    self._kept.pop(key, None)
                drawing.set_exception(exc)
        return drawing.result()


class FrameRenderer:
    """Renders frames, given their pictures, as the film shows them."""

    def __init__(self, cache: FrameCache, frames: FramePictures) -> None:
        self._cache = cache
        self._frames = frames

    def picture(self, shown: Shown, video_frame: int = 0) -> Picture:
        """Return the picture of a frame at a video frame, counted from where its part of the film begins.

        Raises:
            FilmError: it cannot be read.
        """
        drawn = self._cache.draw(self._frames[shown.frame], moving=shown.motion is not None)
        if shown.motion is None:
            return drawn
        through = window(shown.motion, shown.progress(video_frame))
        first, second, third = (_through_window(plane, through) for plane in drawn.planes)
        return Picture((first, second, third))


def read_frame(path: Path) -> Image.Image:
    """Read a frame's picture, to its end, as RGB.

    Raises:
        UnreadableFrameError: it is broken, or no picture.
        FilmError: it is missing.
    """
    with _frame_errors(path):
        return read_picture(path)


def require_size(frames: Iterable[Path], size: Size) -> None:
    """Check that all frames are of the film's size, for a storyboard that says `fit: error`.

    Raises:
        FilmError: one is not, or cannot be read.
    """
    for frame in frames:
        with _frame_errors(frame):
            found = open_picture(frame).size
        if found != size:
            raise FilmError(
                f"{frame}: is {found}, the film is {size}, and output.fit is error; "
                "choose cover, contain or stretch, or another output.size"
            )


@contextlib.contextmanager
def _frame_errors(frame: Path) -> Iterator[None]:
    try:
        yield
    except UnreadablePictureError as exc:
        raise UnreadableFrameError(frame, str(exc)) from exc
    except OSError as exc:
        raise FilmError(f"{frame}: cannot be read: {exc.strerror or exc}; render again to recreate it") from exc


def _canvas_of(picture: Image.Image, output: Output) -> _Canvas:
    """Convert a frame to video colours, and choose the box that fills the film."""
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
    video = cv2.transform(np.asarray(picture), _RGB_TO_VIDEO)
    light = Image.fromarray(cv2.extractChannel(video, 0))
    # Colour is halved from whole pairs: the last pixel of an odd side stands for two.
    video = cv2.copyMakeBorder(video, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    halved = cv2.resize(video, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    blue, red = (Image.fromarray(cv2.extractChannel(halved, channel)) for channel in (1, 2))
    return _Canvas(light, blue, red, box)


def _contained(picture: Image.Image, size: Size, background: Background) -> Image.Image:
    """Return the whole picture on a background of the film's shape."""
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


def _resized(plane: Image.Image, size: tuple[int, int], box: Box) -> Plane:
    # Rounding may carry a box a hair beyond the picture; halves of odd sizes end in the middle of a pixel.
    inside = (max(0.0, box[0]), max(0.0, box[1]), min(plane.width, box[2]), min(plane.height, box[3]))
    return np.asarray(plane.resize(size, _BICUBIC, inside))


def _through_window(drawn: Plane, through: Window) -> Plane:
    """Return the part in a window, at the film's size, of a plane that is drawn larger than the film."""
    height, width = drawn.shape
    film = (width // _OVERSAMPLING, height // _OVERSAMPLING)
    scale = _OVERSAMPLING * through.side
    # Pixels are counted by their middles, half a pixel in.
    inner = (scale - 1) / 2
    place = np.array([[scale, 0, through.left * width + inner], [0, scale, through.top * height + inner]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    hint = cv2.ALGO_HINT_APPROX
    shown = cv2.warpAffine(drawn, place, film, flags=flags, borderMode=cv2.BORDER_REPLICATE, hint=hint)
    return np.asarray(shown, np.uint8)


def _video_matrix() -> npt.NDArray[np.float64]:
    """Return the matrix from RGB to limited-range BT.709 (ITU-R BT.709-6, 3.2 to 3.4).

    Its rows give brightness and the differences of blue and red, its columns take red, green, blue and one.
    """
    red, green, blue = _LIGHT
    light = [219 / 255 * share for share in _LIGHT]
    # A colour difference is divided by the most that it can be, so that it lies between -1/2 and 1/2.
    to_blue = [224 / 255 * share / (2 * (1 - blue)) for share in (-red, -green, 1 - blue)]
    to_red = [224 / 255 * share / (2 * (1 - red)) for share in (1 - red, -green, -blue)]
    return np.array([[*light, 16], [*to_blue, 128], [*to_red, 128]])


_RGB_TO_VIDEO = _video_matrix()
