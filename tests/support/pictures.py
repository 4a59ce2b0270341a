"""Real pictures and the answers that carry them."""

import functools
import io
import struct
import zlib
from decimal import Decimal
from pathlib import Path

import httpx
from PIL import Image

from pipelines.endpoints.dialects.flux import headers_of, image_bill
from pipelines.storyboard.plan import FrameSpec

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
WEBP_MAGIC = b"RIFF\x10\x00\x00\x00WEBP"


@functools.cache
def picture_bytes(
    kind: str = "PNG",
    size: tuple[int, int] = (8, 8),
    colour: str | tuple[int, int, int] = "teal",
    mode: str = "RGB",
    *,
    flat: bool = False,
) -> bytes:
    """Return a picture of one colour, but for its last pixel unless it is to be flat, in a format that Pillow names."""
    data = io.BytesIO()
    picture = Image.new(mode, size, colour)
    if not flat:
        picture.paste(0, (size[0] - 1, size[1] - 1, *size))
    picture.save(data, kind)
    return data.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG, its CRC right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def spec_picture(spec: FrameSpec, kind: str = "PNG", colour: str = "teal") -> bytes:
    """Return a picture of the size that a frame asks for."""
    return picture_bytes(kind, (spec.aspect.size.width, spec.aspect.size.height), colour)


def image_answer(spec: FrameSpec, body: bytes | None = None, *, model: str = "flux-1-schnell") -> httpx.Response:
    """Return the API's answer to a frame: an image of its size with its bill, unless `body` says otherwise."""
    headers = headers_of(image_bill(spec.price, spec.aspect.size, steps=spec.steps, model=model))
    content = spec_picture(spec) if body is None else body
    return httpx.Response(200, headers={**headers, "Content-Type": "image/png"}, content=content)


def overwrite(path: Path, data: bytes) -> None:
    """Write into a file as it is, protected or not, as nobody should."""
    path.chmod(0o644)
    path.write_bytes(data)


def write(path: Path, data: bytes) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


PRICE_USD = Decimal("0.000652")
