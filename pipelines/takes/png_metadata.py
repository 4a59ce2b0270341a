"""A frame's metadata in its PNG text chunks: the prompt, the steps, the cost, the request key.

Written as raw bytes: encoding a whole picture again only to add a text would cost more than anything else that a run
does for a frame.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pipelines.common.formatting import format_decimal
from pipelines.common.imaging import open_picture
from pipelines.common.picture_file import PictureFormat
from pipelines.common.png import IEND, IHDR_END, chunk, png_header
from pipelines.takes.models import Take

# Frames of versions up to 0.2 say nothing of it, and may hold a profile, an orientation or transparency of their take,
# which viewers follow and the film does not: they are written again.
_AS_SHOWN = ("picture", "as the film shows it")
# The last text chunk of ours; where it stands, the metadata is complete.
_SEAL = ("Software", "storyreel")
# Enough for a prompt of 2,048 characters of four bytes each, and the rest.
_MAX_BYTES = 16 << 10


def metadata_chunks(take: Take) -> bytes:
    """Return a frame's metadata as PNG text chunks (iTXt: UTF-8, uncompressed; PNG specification, 11.3.3.4)."""
    frame = take.frame
    metadata = {
        "prompt": take.prompt,
        "steps": str(frame.steps),
        "size": str(frame.aspect.size),
        "fit": frame.fit.value,
        "cost_usd": "unknown" if take.cost_usd is None else format_decimal(take.cost_usd),
        "request_key": take.spec.request_key,
    }
    return b"".join(_text_chunk(keyword, text) for keyword, text in [*metadata.items(), _AS_SHOWN, _SEAL])


def read_metadata(path: Path) -> bytes | None:
    """Return a frame's metadata chunks; None where there are none, or the file does not end as a PNG does."""
    seal = _text_chunk(*_SEAL)
    try:
        with path.open("rb") as file:
            head = file.read(IHDR_END + _MAX_BYTES)
            file.seek(-min(len(IEND), path.stat().st_size), os.SEEK_END)
            whole = file.read() == IEND
    except OSError:
        return None
    end = head.find(seal, IHDR_END)
    return head[IHDR_END : end + len(seal)] if whole and end > 0 else None


def with_metadata(png: bytes, metadata: bytes) -> Iterator[bytes | memoryview]:
    """Yield a PNG in parts, with metadata in it; its own bytes stay as they are."""
    # Between the header and the picture, where readers of metadata look first.
    yield from (png[:IHDR_END], metadata, memoryview(png)[IHDR_END:])


def describe(png: Path, metadata: bytes, target: Path) -> bool:
    """Write a PNG with metadata in it to `target`, if it holds nothing but pixels that viewers show as the film does.

    Returns:
        Whether it was written: any other picture's frame is not its file with a text.

    Raises:
        UnreadablePictureError: it is no picture.
        OSError: it could not be read or written.
    """
    picture = open_picture(png)
    alone = picture.format is PictureFormat.PNG and len(picture.data) == png.stat().st_size
    if not alone or not png_header(picture.data).is_plain:
        return False
    with target.open("wb") as file:
        file.writelines(with_metadata(picture.data, metadata))
    return True


def _text_chunk(keyword: str, text: str) -> bytes:
    # Keyword, no compression (two zeros), no language, no translated keyword, text.
    return chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode())
