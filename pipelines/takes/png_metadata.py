"""A frame's account in its PNG text chunks."""

import os
import struct
import zlib
from pathlib import Path

from pipelines.common.formatting import format_decimal
from pipelines.common.geometry import Size
from pipelines.takes.models import Take

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


IHDR_END = len(PNG_SIGNATURE) + 25


IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"


# The last text chunk of ours; where it stands, the account is complete.
_SEAL = ("Software", "storyreel")


# Room for a prompt of 2,048 characters of four bytes each, and the rest.
_ACCOUNT_MAX_BYTES = 16 << 10


def account_chunks(take: Take) -> bytes:
    """Return the frame's account as PNG text chunks (iTXt: UTF-8, uncompressed; PNG specification, 11.3.3.4)."""
    spec = take.spec
    account = {
        "prompt": take.prompt,
        "steps": str(spec.steps),
        "size": str(spec.aspect.size),
        "fit": spec.fit.value,
        "cost_usd": "unknown" if take.cost_usd is None else format_decimal(take.cost_usd),
        "request_key": spec.request_key,
    }
    return b"".join(_text_chunk(keyword, text) for keyword, text in [*account.items(), _SEAL])


def _text_chunk(keyword: str, text: str) -> bytes:
    # Keyword, no compression (two zeros), no language, no translated keyword, text.
    data = b"iTXt" + keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def png_size(data: bytes) -> Size:
    """Return the size that the head of a PNG states."""
    return Size(*struct.unpack(">II", data[16:24]))


def read_account(path: Path) -> bytes | None:
    """Return a frame's account; None where there is none, or the file cannot be read or does not end as a PNG does."""
    seal = _text_chunk(*_SEAL)
    try:
        with path.open("rb") as file:
            head = file.read(IHDR_END + _ACCOUNT_MAX_BYTES)
            file.seek(-min(len(IEND), path.stat().st_size), os.SEEK_END)
            whole = file.read() == IEND
    except OSError:
        return None
    end = head.find(seal, IHDR_END)
    return head[IHDR_END : end + len(seal)] if whole and end > 0 else None
