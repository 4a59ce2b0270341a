"""A picture that stands as base64 in JSON, decoded while it streams to its file; the JSON around it is kept apart."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import pybase64

from pipelines.endpoints.bodies import BrokenBodyError, PictureBody, require_within

# What is kept of the JSON around a picture: what answers say besides is a hundredth of it.
MAX_SKELETON_BYTES = 64 << 10

# Around the colon after a picture's key, so much blank space is allowed.
_MAX_BLANKS = 32
# RFC 2397, as far as pictures go.
_DATA = b"data:"
_DATA_URL = re.compile(rb"data:image/[\w.+-]{1,64}(?:;[\w.+=-]{1,64})?;base64,", re.IGNORECASE)
_MAX_DATA_URL_BYTES = 160
_LINK = re.compile(rb"https?:", re.IGNORECASE)
# So many characters tell a link from base64, which has no colon.
_LINK_BYTES = len("https:")
# The longest escape of JSON: \u002f.
_ESCAPE_BYTES = 6
_NOT_BASE64 = "JSON in which the picture is not base64"


class JsonBody:
    """A body of JSON with a picture in it; one that does not begin with `{` is taken for the picture itself.

    The first picture is written to the file. Where there is none, the JSON is, so that it can be looked at. A link that
    stands where a picture could is none, and stays in the JSON.

    Args:
        file: receives the picture.
        max_bytes: the longest picture that is taken.
        keys: those under which a picture may stand, at any depth.
    """

    def __init__(self, file: BinaryIO, *, max_bytes: int, keys: frozenset[str] = frozenset({"image"})) -> None:
        self._picture = PictureBody(file, max_bytes=max_bytes)
        self._file = file
        self._max_bytes = max_bytes
        self._opening = _opening_of(keys)
        self._opening_bytes = max(map(len, keys)) + 2 * _MAX_BLANKS + len('"":"')
        self._received = 0
        # The JSON so far, in which a picture is an empty string; and where in it no opening was sought yet.
        self._skeleton = bytearray()
        self._unsought = 0
        self._beginning = b""
        self._text = Base64Text()
        # What the next bytes are handed to. It returns those that are no longer its own.
        self._take: Callable[[bytes], bytes] = self._take_start

    @property
    def picture_bytes(self) -> int:
        """How long the picture is, as far as it has arrived; 0 where there is none."""
        return self._picture.picture_bytes

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; see `Body`."""
        self._received += len(chunk)
        # Base64 is 4/3 as long; line breaks and escapes take some more.
        if self._received > self._max_bytes * 3 // 2 + MAX_SKELETON_BYTES:
            require_within(self._received, self._max_bytes)
        try:
            while chunk:
                chunk = self._take(chunk)
        except BrokenBodyError:
            self._keep_text()
            raise

    def close(self) -> Mapping[str, Any] | None:
        """Return the JSON around the picture; see `Body`."""
        if self._take == self._take_raw:
            return None
        self._keep_text()
        try:
            body = json.loads(self._skeleton)
        except (ValueError, RecursionError) as exc:
            raise BrokenBodyError("JSON that broke off, or is none") from exc
        return body if isinstance(body, dict) else None

    def _take_start(self, data: bytes) -> bytes:
        self._skeleton += data
        data = bytes(self._skeleton)
        begun = data.lstrip()
        if begun:
            self._skeleton.clear()
            self._take = self._take_skeleton if begun.startswith(b"{") else self._take_raw
            return data
        self._require_short_skeleton()
        return b""

    def _take_raw(self, data: bytes) -> bytes:
        self._picture.feed(data)
        return b""

    def _take_skeleton(self, data: bytes) -> bytes:
        """Take JSON until a picture opens; return what follows."""
        begin = max(self._unsought, len(self._skeleton) - self._opening_bytes)
        self._skeleton += data
        opening = self._opening.search(self._skeleton, begin)
        if opening is None:
            self._require_short_skeleton()
            return b""
        data = bytes(self._skeleton[opening.end() :])
        del self._skeleton[opening.end() :]
        self._require_short_skeleton()
        self._unsought = len(self._skeleton)
        self._beginning, self._text = b"", Base64Text()
        self._take = self._take_beginning
        return data

    def _take_beginning(self, data: bytes) -> bytes:
        """Take the first characters of a string, until they tell a link from a picture."""
        data = self._beginning + data
        if len(data) < _LINK_BYTES and b'"' not in data:
            self._beginning = data
            return b""
        is_text = self.picture_bytes or _LINK.match(data)
        self._take = self._take_skeleton if is_text else self._take_picture
        return data

    def _take_picture(self, data: bytes) -> bytes:
        # In base64 no quote is escaped: the first one ends it.
        text, quote, rest = data.partition(b'"')
        try:
            piece = self._text.decode(text, last=bool(quote))
        except BrokenBodyError:
            self._skeleton += text
            raise
        self._picture.feed(piece)
        if quote:
            self._take = self._take_skeleton
        return quote + rest

    def _keep_text(self) -> None:
        """Write the JSON where there is no picture: it may have been paid for, and can be looked at."""
        if not self.picture_bytes:
            self._file.write(self._skeleton)

    def _require_short_skeleton(self) -> None:
        if len(self._skeleton) > MAX_SKELETON_BYTES:
            raise BrokenBodyError(f"JSON with more than {MAX_SKELETON_BYTES >> 10} KiB beside a picture")


class Base64Text:
    """The inside of a JSON string in base64, decoded piece by piece.

    A data URL's beginning, escapes, escaped line breaks and missing padding are taken.
    """

    def __init__(self) -> None:
        # Pieces that wait for what follows: an escape, the beginning, and less than four characters.
        self._escape = b""
        self._beginning: bytes | None = b""
        self._characters = b""
        self._padded = False

    def decode(self, text: bytes, *, last: bool = False) -> bytes:
        """Return what the next characters of the string stand for, as far as they tell without those to come.

        Args:
            text: the characters.
            last: whether the string ends after them.

        Raises:
            BrokenBodyError: they are not base64.
        """
        try:
            return self._decode(self._without_url(self._unescape(text, last=last), last=last), last=last)
        except ValueError as exc:
            raise BrokenBodyError(_NOT_BASE64) from exc

    def _unescape(self, text: bytes, *, last: bool) -> bytes:
        text, self._escape = self._escape + text, b""
        escape = text.rfind(b"\\")
        if escape < 0:
            return text
        if not last and len(text) - escape < _ESCAPE_BYTES:
            text, self._escape = text[:escape], text[escape:]
        unescaped: str = json.loads(b'"%b"' % text)
        return unescaped.encode("ascii").translate(None, b"\r\n")

    def _without_url(self, text: bytes, *, last: bool) -> bytes:
        """Return the characters after a data URL's beginning, if there is one."""
        if self._beginning is None:
            return text
        text, self._beginning = self._beginning + text, None
        if not last and len(text) < len(_DATA):
            self._beginning = text
            return b""
        if text[: len(_DATA)].lower() != _DATA:
            return text
        if url := _DATA_URL.match(text):
            return text[url.end() :]
        if last or b"," in text or len(text) > _MAX_DATA_URL_BYTES:
            raise ValueError
        self._beginning = text
        return b""

    def _decode(self, text: bytes, *, last: bool) -> bytes:
        text = self._characters + text
        if self._padded and text:
            raise ValueError
        if last and len(text) % 4:
            text += b"=" * (4 - len(text) % 4)
        whole = len(text) - len(text) % 4
        text, self._characters = text[:whole], text[whole:]
        self._padded = text.endswith(b"=")
        return pybase64.b64decode(text, validate=True)


def _opening_of(keys: frozenset[str]) -> re.Pattern[bytes]:
    """Return a pattern of one of the keys with its colon and the quote that opens its string.

    No such text can stand within a string of JSON, where each quote follows a backslash.
    """
    names = b"|".join(re.escape(key.encode()) for key in sorted(keys))
    blanks = rb"[ \t\r\n]{0,%d}" % _MAX_BLANKS
    return re.compile(rb'(?<!\\)"(?:%b)"%b:%b"' % (names, blanks, blanks))
