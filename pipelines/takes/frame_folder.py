"""The numbered frames: one PNG a frame, of the size asked for, with its account in its text."""

import io
import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from pipelines.common.errors import IncompleteError
from pipelines.common.files import link_or_copy
from pipelines.common.geometry import Fit
from pipelines.common.imaging import fit_picture
from pipelines.takes.models import Take
from pipelines.takes.png_metadata import IEND, IHDR_END, PNG_SIGNATURE, account_chunks, png_size, read_account


def is_as_requested(take: Take) -> bool:
    """Say whether a take is a whole PNG of the size asked for, so that its frame shows it as it came."""
    with take.path.open("rb") as file:
        head = file.read(IHDR_END)
        file.seek(-min(len(IEND), take.path.stat().st_size), os.SEEK_END)
        return _shows(take, head, file.read())


def _shows(take: Take, head: bytes, tail: bytes) -> bool:
    sound = len(head) >= IHDR_END and head.startswith(PNG_SIGNATURE) and tail.endswith(IEND)
    return sound and png_size(head) == take.spec.aspect.size


def publish_frame(take: Take, target: Path, laid: Mapping[bytes, Path]) -> None:
    """Write the frame of a take to `target`, or link the one of an earlier run that shows the same."""
    account = account_chunks(take)
    same = laid.get(account)
    # A take newer than its frame was bought again after it was lost, and is another picture.
    if same and same.stat().st_mtime_ns >= take.path.stat().st_mtime_ns:
        link_or_copy(same, target)
    else:
        _write_frame(take, account, target)


def _write_frame(take: Take, account: bytes, target: Path) -> None:
    data = take.path.read_bytes()
    if not _shows(take, data[:IHDR_END], data[IHDR_END:]):
        data = _redrawn(take)
    with target.open("wb") as file:
        file.write(data[:IHDR_END] + account + data[IHDR_END:])


def _redrawn(take: Take) -> bytes:
    """Return the take as a PNG of the size asked for.

    Raises:
        IncompleteError: it is of another size, and the storyboard says that this is an error.
    """
    size = take.spec.aspect.size
    with Image.open(take.path) as image:
        picture = image.convert("RGB")
    if take.spec.fit is Fit.ERROR and picture.size != (size.width, size.height):
        raise IncompleteError(
            f"{take.spec.label}: its take is not of {size} pixels and fit is error; choose cover, contain or stretch"
        )
    fitted = fit_picture(picture, size, take.spec.fit)
    png = io.BytesIO()
    fitted.save(png, "PNG")
    return png.getvalue()


def published_frames(folder: Path) -> dict[bytes, Path]:
    """Return the whole frames of an earlier run by their account."""
    return {account: path for path in folder.glob("frame_*.png") if (account := read_account(path))}
