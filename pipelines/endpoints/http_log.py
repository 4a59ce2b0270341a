"""httpx's own log, which has a line a request: passwords and keys in our URLs are kept out of it."""

import contextlib
import logging
from collections.abc import Iterator

import httpx


@contextlib.contextmanager
def addresses_only(address: str) -> Iterator[None]:
    """Let httpx log no more than the address of a URL, for one server and as long as the block lasts.

    Args:
        address: the server's; see `address_of`.
    """
    log, shortening = logging.getLogger("httpx"), _Shortening(address)
    log.addFilter(shortening)
    try:
        yield
    finally:
        log.removeFilter(shortening)


def address_of(url: str) -> str:
    """Return a URL's scheme, host and port, without a user's name and password or a key in its query."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "the endpoint"
    return f"{parsed.scheme}://{parsed.netloc.decode()}"


class _Shortening(logging.Filter):
    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._address if self._is_ours(arg) else arg for arg in record.args)
        return True

    def _is_ours(self, arg: object) -> bool:
        return isinstance(arg, httpx.URL) and address_of(str(arg)) == self._address
