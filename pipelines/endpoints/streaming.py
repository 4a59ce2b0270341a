"""The bytes of an answer's body as they arrive over HTTP, and the texts around them."""

from collections.abc import AsyncIterator

import httpx

from pipelines.common.printable import one_line
from pipelines.endpoints.error_table import MAX_ERROR_CHARS


async def body_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; no content encoding is undone.

    Raises:
        httpx.HTTPError: it broke off.
    """
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except OSError as exc:
        # What TLS or a socket throws unwrapped must not pass for an error of the disk.
        raise httpx.ReadError(str(exc)) from exc


def content_encoding(response: httpx.Response) -> str | None:
    """Return the encoding that an answer's body has, though none was asked for; None where it has none."""
    encoding = short_line(response.headers.get("Content-Encoding", ""))
    return None if encoding.lower() in ("", "identity") else encoding


def reason_of(exc: Exception) -> str:
    """Return why something failed, as one line."""
    return short_line(str(exc)) or type(exc).__name__


def short_line(text: str) -> str:
    """Return the beginning of a foreign text as one line that any terminal can show and any database can store."""
    return one_line(text)[:MAX_ERROR_CHARS]
