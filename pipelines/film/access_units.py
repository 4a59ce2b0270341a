"""Raw H.264 cut into its pictures, called access units there (ITU-T H.264, 7.4.1.2), and what their headers say."""

from asyncio import StreamReader
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

# An access unit delimiter (7.3.2.4) opens each picture, and emulation prevention keeps these bytes out of it.
_DELIMITER = b"\0\0\0\1\x09"
_START_CODE = b"\0\0\1"
# Types of units (table 7-1): slices of pictures, and sequence and picture parameter sets.
_SLICES = (1, 5)
_PARAMETER_SETS = (7, 8)
_CHUNK_BYTES = 1 << 18


class _Splitter:
    """Cuts a stream that comes in chunks into access units."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes of the stream; yield the access units that end in them."""
        # Not from 0: the delimiter that opens the picture is its own. Not from the end: one may be cut in two.
        begin = max(1, len(self._pending) - len(_DELIMITER) + 1)
        self._pending += chunk
        while (end := self._pending.find(_DELIMITER, begin)) > 0:
            yield bytes(self._pending[:end])
            del self._pending[:end]
            begin = 1

    def rest(self) -> Iterator[bytes]:
        """Yield the last access unit, if there is any, once the stream has ended."""
        if self._pending:
            yield bytes(self._pending)


async def read_units(stream: StreamReader) -> AsyncIterator[bytes]:
    """Yield the access units of a raw H.264 stream with delimiters."""
    splitter = _Splitter()
    while chunk := await stream.read(_CHUNK_BYTES):
        for unit in splitter.feed(chunk):
            yield unit
    for unit in splitter.rest():
        yield unit


def units_of_file(path: Path) -> Iterator[bytes]:
    """Yield the access units of a file of raw H.264 with delimiters. Blocking."""
    splitter = _Splitter()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield from splitter.feed(chunk)
    yield from splitter.rest()


def parameter_sets(unit: bytes) -> tuple[bytes, ...]:
    """Return the sequence and picture parameter sets in an access unit."""
    # Zeros at a unit's end belong to the next start code, which has three bytes or four.
    units = (unit.rstrip(b"\0") for unit in unit.split(_START_CODE)[1:])
    return tuple(unit for unit in units if _type(unit) in _PARAMETER_SETS)


def is_reference(unit: bytes) -> bool:
    """Say whether other pictures may be predicted from this one (nal_ref_idc, 7.4.1)."""
    place = 0
    while (place := unit.find(_START_CODE, place) + len(_START_CODE)) >= len(_START_CODE):
        if _type(unit[place : place + 1]) in _SLICES:
            return bool(unit[place] & 0x60)
    return False


def _type(unit: bytes) -> int | None:
    # In a unit's lowest five bits.
    return unit[0] & 0x1F if unit else None
