"""PNG files, chunk by chunk (PNG specification, third edition): nothing here decodes a pixel.

A decoder gets only the chunks that pixels are made of. Profiles, gamma, transparency and orientation change what a
viewer shows and not what the film shows; compressed texts cost time and memory, and are never read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from isal import igzip_lib, isal_zlib

from pipelines.common.geometry import Size
from pipelines.common.picture_file import (
    MAX_PARTS,
    PictureFile,
    PictureFormat,
    UnreadablePictureError,
    read_orientation,
)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# IHDR is always the first chunk and always 25 bytes long: length, type, 13 bytes of data, checksum.
IHDR_END = len(PNG_SIGNATURE) + 25
IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGBA: (8, 16),
}  # fmt: skip
_LAST_FILTER = 4
# Of each pass: its first column and row, and the steps to the next ones (PNG specification, 8.1).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# What is inflated at once stays in the processor's cache.
_PIECE = 256 << 10
# In bytes before their filter is undone, a flat picture has a few values a channel; a photograph's first kilobyte has
# more, and so have some thousand bytes of anything that is drawn, taken from all over it.
_SAMPLE, _STRIDE, _FEW_VALUES = 1024, 31, 24


@dataclass(frozen=True, slots=True)
class PngHeader:
    """The header of a PNG: its size in pixels, the bits of a sample, its colour type, and whether it is interlaced."""

    size: Size
    depth: int
    colour: int
    interlaced: bool

    @property
    def row_bytes(self) -> int:
        """The bytes of a row of pixels that is not interlaced, with the one that names its filter."""
        return self._bytes_of(self.size.width)

    @property
    def all_bytes(self) -> int:
        """The bytes of all rows; an interlaced picture is seven of them, and those without pixels have no rows."""
        if not self.interlaced:
            return self.row_bytes * self.size.height
        sizes = (
            (-(-(self.size.width - left) // across), -(-(self.size.height - top) // down))
            for left, top, across, down in _ADAM7
        )
        return sum(self._bytes_of(width) * height for width, height in sizes if width > 0 and height > 0)

    def _bytes_of(self, width: int) -> int:
        return 1 + (width * _CHANNELS[self.colour] * self.depth + 7) // 8

    @property
    def is_plain(self) -> bool:
        """Whether viewers show of its pixels what is read here: eight bits at most, and no alpha."""
        return self.colour in (_GREY, _RGB, _PALETTE) and self.depth <= 8


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk: its length, type, data and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", isal_zlib.crc32(kind + data))


def png_header(data: bytes) -> PngHeader:
    """Return what the header of a PNG states.

    Raises:
        UnreadablePictureError: it is cut short, or no header that the specification allows.
    """
    if len(data) < IHDR_END or not data.startswith(PNG_SIGNATURE + b"\0\0\0\x0dIHDR"):
        raise UnreadablePictureError("a damaged PNG: it does not begin with its header")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise UnreadablePictureError("a damaged PNG: no colours of its kind exist")
    return PngHeader(Size(width, height), depth, colour, bool(interlace))


def open_png(data: bytes) -> PictureFile:
    """Take the picture out of a PNG's bytes; every checksum is held against its chunk.

    Raises:
        UnreadablePictureError: it is damaged, cut short, or an animation.
    """
    header = png_header(data)
    kept: list[bytes | memoryview] = [PNG_SIGNATURE]
    kinds: list[bytes] = []
    orientation = 1
    for kind, whole in _chunks(data, verify=True):
        if kind == b"acTL":
            raise UnreadablePictureError("an animation, where one picture was asked for")
        if kind == b"eXIf":
            orientation = read_orientation(bytes(whole[8:-4]))
        # Its lower case says that a chunk can be left out. Of other kinds, suggested palettes can too.
        if kind[:1].isupper() and (kind != b"PLTE" or header.colour == _PALETTE):
            kept.append(whole)
            kinds.append(kind)
    _require_order(kinds, header)
    # Most hold nothing else; a copy would take as long as everything above.
    alone = sum(map(len, kept)) + len(IEND) == len(data) and data.endswith(IEND)
    return PictureFile(PictureFormat.PNG, header.size, data if alone else b"".join([*kept, IEND]), orientation)


def require_rows(png: bytes) -> bool:
    """Require that a PNG that `open_png` returned has all its rows, in a third of the time that decoding takes.

    Of one that is interlaced only a decoder can tell whether the rows' filters exist.

    Returns:
        Whether it should be decoded: it is interlaced, or may be one flat colour, which almost none is.

    Raises:
        UnreadablePictureError: it has not.
    """
    header = png_header(png)
    row, missing = header.row_bytes, header.all_bytes
    next_filter, maybe_flat = 0, True
    for piece in _inflate(png):
        used = piece[:missing]
        if not header.interlaced and max(used[next_filter::row], default=0) > _LAST_FILTER:
            raise UnreadablePictureError("a damaged PNG: a row has a filter that does not exist")
        next_filter = (next_filter - len(used)) % row
        maybe_flat = maybe_flat and all(len(set(part)) <= _FEW_VALUES for part in (used[:_SAMPLE], used[::_STRIDE]))
        missing -= len(used)
        if not missing:
            return maybe_flat or header.interlaced
    raise UnreadablePictureError("a damaged PNG: rows are missing")


def _chunks(data: bytes, *, verify: bool = False) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the type of each chunk, and the whole of it, up to IEND, which is empty: only its name counts."""
    view, at = memoryview(data), len(PNG_SIGNATURE)
    for _ in range(MAX_PARTS):
        kind = bytes(view[at + 4 : at + 8])
        if kind == b"IEND":
            return
        end = at + 12 + int.from_bytes(view[at : at + 4])
        if end > len(data):
            raise UnreadablePictureError("a damaged PNG: it is cut short")
        if verify and isal_zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise UnreadablePictureError(f"a damaged PNG: the checksum of {kind!r} is wrong")
        yield kind, view[at:end]
        at = end
    raise UnreadablePictureError(f"a PNG of more than {MAX_PARTS} chunks")


def _require_order(kinds: list[bytes], header: PngHeader) -> None:
    """Require the chunks that pixels are made of, each in its place, and no unknown one that cannot be left out."""
    palette = [b"PLTE"] if header.colour == _PALETTE else []
    pixels = kinds.count(b"IDAT")
    if not pixels or kinds != [b"IHDR", *palette, *[b"IDAT"] * pixels]:
        raise UnreadablePictureError("a damaged PNG: its chunks are not those of a picture")


def _inflate(png: bytes) -> Iterator[bytes]:
    """Yield the rows' bytes, piece by piece; those of a bomb are never all in memory."""
    inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    try:
        for kind, whole in _chunks(png):
            if kind == b"IDAT" and not inflater.eof:
                yield inflater.decompress(whole[8:-4], _PIECE)
                while not inflater.needs_input and not inflater.eof:
                    yield inflater.decompress(b"", _PIECE)
    except igzip_lib.IsalError as exc:  # type: ignore[misc]  # its stub names no base class
        raise UnreadablePictureError("a damaged PNG: its data are no compressed rows") from exc
