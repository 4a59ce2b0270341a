"""A picture that an answer only links to: fetched once, from the public Internet alone, and bounded.

The link is another's word, so it must not lead into the network that this machine stands in (server-side request
forgery): only https; every address of the host is to be public; and the connection goes to one of those addresses,
whatever the name means a moment later.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx

from pipelines.common.addresses import is_public
from pipelines.common.files import storage_errors
from pipelines.endpoints.bodies import BrokenBodyError, PictureBody
from pipelines.endpoints.http_log import address_of, addresses_only
from pipelines.endpoints.streaming import body_chunks, content_encoding, reason_of

# Returns the IP addresses of a host and port, the best first.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_HEADERS = {"User-Agent": "storyreel", "Accept": "image/*", "Accept-Encoding": "identity"}


class LinkedPictureError(Exception):
    """A link that gave no picture; the message says why.

    Attributes:
        cut_off: whether the connection broke off; if not, the link is one that never gives a picture.
    """

    def __init__(self, reason: str, *, cut_off: bool = False) -> None:
        super().__init__(reason)
        self.cut_off = cut_off


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host, as this machine finds them.

    Raises:
        OSError: it finds none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class LinkedPictures:
    """Fetches pictures by their links. Use it in the event loop that opened it.

    No token is sent and no cookie, no proxy is asked, and no redirect is followed.

    Args:
        timeout: httpx's bounds of one fetch.
        max_bytes: the longest picture that is taken.
        resolver: finds a host's addresses.
        transport: what carries the requests, in place of httpx's own.
    """

    def __init__(
        self,
        *,
        timeout: httpx.Timeout,
        max_bytes: int,
        resolver: Resolver = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._resolver = resolver
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Close what was opened."""
        if self._client:
            await self._client.aclose()

    async def fetch(self, link: str, part: Path) -> int:
        """Write the picture behind a link to a file, and return its length in bytes.

        Raises:
            LinkedPictureError: the link is not one to be followed, or no picture came.
            StorageError: the file could not be written.
        """
        url = _https_url(link)
        pinned = url.copy_with(host=await self._public_address(url))
        request = self._open().build_request(
            "GET", pinned, headers={"Host": url.netloc.decode()}, extensions={"sni_hostname": url.raw_host.decode()}
        )
        try:
            with addresses_only(address_of(str(pinned))):
                response = await self._open().send(request, stream=True)
                async with contextlib.aclosing(response):
                    return await self._save(response, part)
        except httpx.HTTPError as exc:
            raise LinkedPictureError(f"the link to its picture broke off: {reason_of(exc)}", cut_off=True) from exc

    def _open(self) -> httpx.AsyncClient:
        # At the first link: most endpoints give none, and certificates take a while to load.
        if self._client is None:
            # A connection to an address is proven for one name, so that none is used for a second.
            transport = self._transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
            # Given a transport, httpx asks none of the environment's proxies.
            self._client = httpx.AsyncClient(transport=transport, headers=_HEADERS, timeout=self._timeout)
        return self._client

    async def _public_address(self, url: httpx.URL) -> str:
        try:
            addresses = await self._resolver(url.host, url.port or 443)
        except OSError as exc:
            raise LinkedPictureError(f"the link to its picture names a host that cannot be found: {url.host}") from exc
        if not addresses or not all(map(is_public, addresses)):
            raise LinkedPictureError(
                f"the link to its picture leads to {url.host}, which is not of the public Internet, and is not followed"
            )
        return addresses[0]

    async def _save(self, response: httpx.Response, part: Path) -> int:
        if response.status_code != 200:
            raise LinkedPictureError(f"the link to its picture was answered with {response.status_code}")
        if encoding := content_encoding(response):
            raise LinkedPictureError(f"the link to its picture gave it encoded as {encoding}, which was not asked for")
        try:
            with storage_errors(part), part.open("wb") as file:
                picture = PictureBody(file, max_bytes=self._max_bytes)
                async for chunk in body_chunks(response):
                    picture.feed(chunk)
        except BrokenBodyError as exc:
            raise LinkedPictureError(f"the link to its picture gave {exc}") from exc
        return picture.picture_bytes


def _https_url(link: str) -> httpx.URL:
    """Return a link as a URL, without a user's name and password.

    Raises:
        LinkedPictureError: it is not one of https.
    """
    try:
        url = httpx.URL(link)
    except httpx.InvalidURL as exc:
        raise LinkedPictureError("the link to its picture is none") from exc
    if url.scheme != "https" or not url.host:
        raise LinkedPictureError("the link to its picture is not one of https, and is not followed")
    return url.copy_with(userinfo=b"", fragment=None)
