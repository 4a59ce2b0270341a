"""The text of a list's file, in the encodings that editors and spreadsheets save."""

import codecs
import re
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.storyboard.reading import MAX_BYTES

LINE_END = re.compile(r"\r\n|\n|\r")


def read_text(path: Path) -> str:
    """Return the text of a file of at most `MAX_BYTES`, which is UTF-8 or UTF-16.

    Raises:
        UsageError: it cannot be read, is too large, or is no such text; the first wrong byte with its line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise UsageError(f"{path}: cannot be read: {reason}; name a list of prompts") from exc
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: is larger than {MAX_BYTES >> 20} MiB; split it into several lists")
    encoding = _encoding_of(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        # To take it for a likely encoding would ask for wrong words wherever it is another.
        raise _no_text(path, data[: exc.start].decode(encoding), data[exc.start]) from exc
    if "\0" in text:
        raise _no_text(path, text.partition("\0")[0], 0)
    # Two where a program added its own to one that was there.
    return text.lstrip("\ufeff")


def _no_text(path: Path, before: str, byte: int) -> UsageError:
    lines = LINE_END.split(before.lstrip("\ufeff"))
    place = f"{path}:{len(lines)}:{len(lines[-1]) + 1}"
    return UsageError(
        f"{place}: is no UTF-8 text (byte 0x{byte:02x}); save it as UTF-8: in Excel as CSV UTF-8, in an editor with "
        f"the encoding UTF-8"
    )


def _encoding_of(data: bytes) -> str:
    """Return the encoding of a text: UTF-8, or the UTF-16 of Excel's "Unicode text" and of old editors."""
    if data.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if data.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    # Without a mark, by a first letter of ASCII, as JSON was told apart (RFC 4627, section 3): UTF-8 has no zeros.
    match data[0:1] == b"\0", data[1:2] == b"\0":
        case False, True:
            return "utf-16-le"
        case True, False:
            return "utf-16-be"
        case _:
            return "utf-8"
