"""A picture behind a link: fetched once, over https, from the public Internet, bounded, and without a secret."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from pipelines.common.errors import StorageError
from pipelines.endpoints.linked_picture import LinkedPictureError, LinkedPictures, Resolver, resolve
from tests.support.certificates import Certified, certify
from tests.support.transport import AnswerTransport

LINK = "https://pictures.test/a.png?sig=secret"
PUBLIC = "8.8.8.8"
BOUND = 1 << 16


@dataclass
class Names:
    """A resolver with these addresses, and what it was asked for."""

    addresses: Sequence[str] = (PUBLIC,)
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.addresses


async def fetch(
    link: str, part: Path, *, resolver: Resolver | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> int:
    """Fetch a picture with a client of its own."""
    links = LinkedPictures(
        timeout=httpx.Timeout(2), max_bytes=BOUND, resolver=resolver or Names().resolve, transport=transport
    )
    try:
        return await links.fetch(link, part)
    finally:
        await links.close()


async def refused(link: str, part: Path, **through: object) -> tuple[str, bool]:
    """Return why a link gave no picture, and whether only the connection broke off."""
    with pytest.raises(LinkedPictureError) as caught:
        await fetch(link, part, **through)  # type: ignore[arg-type]
    return str(caught.value), caught.value.cut_off


def never(_: httpx.Request) -> httpx.Response:
    """Fail the test: nothing was to be asked."""
    raise AssertionError("asked")


def answers(response: httpx.Response) -> AnswerTransport:
    """Return a transport that answers anything with this."""
    return AnswerTransport(lambda _: response)


async def test_a_picture_is_asked_for_at_its_address_under_its_name(tmp_path: Path) -> None:
    """The connection is pinned, the name stands in Host and in TLS; nothing of ours goes along."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"picture")

    names = Names(("2606:4700::1111", PUBLIC))
    part = tmp_path / "part"
    link = "https://user:pw@Pictures.test:8443/a%20b.png?sig=1#top"
    length = await fetch(link, part, resolver=names.resolve, transport=AnswerTransport(answer))

    (request,) = seen
    assert (length, part.read_bytes(), names.asked) == (7, b"picture", [("pictures.test", 8443)])
    assert (request.method, str(request.url)) == ("GET", "https://[2606:4700::1111]:8443/a%20b.png?sig=1")
    assert request.extensions["sni_hostname"] == "pictures.test"
    assert {name: value for name, value in request.headers.items() if name != "connection"} == {
        "host": "pictures.test:8443",
        "user-agent": "storyreel",
        "accept": "image/*",
        "accept-encoding": "identity",
    }


@pytest.mark.parametrize(
    "link", ["http://pictures.test/a.png", "ftp://x", "file:///etc/passwd", "data:,x", "/a.png", "https://", "x", ""]
)
async def test_only_https_is_followed(link: str, tmp_path: Path) -> None:
    """Whatever else a link may be."""
    said = await refused(link, tmp_path / "part", transport=AnswerTransport(never))

    assert said == ("the link to its picture is not one of https, and is not followed", False)


async def test_a_link_that_is_none_is_told(tmp_path: Path) -> None:
    """Rather than quoted."""
    said = await refused("https://x\n", tmp_path / "part", transport=AnswerTransport(never))

    assert said == ("the link to its picture is none", False)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["fd00::1"],
        ["::ffff:192.168.0.1"],
        [PUBLIC, "192.168.0.1"],
        [],
    ],
)
async def test_a_host_with_an_address_that_is_not_public_is_not_asked(addresses: list[str], tmp_path: Path) -> None:
    """One of them is enough."""
    names = Names(addresses)
    said = await refused(LINK, tmp_path / "part", resolver=names.resolve, transport=AnswerTransport(never))

    words = "the link to its picture leads to pictures.test, which is not of the public Internet, and is not followed"
    assert said == (words, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "127.1", "169.254.169.254"])
async def test_this_machine_s_own_resolver_is_asked(host: str, tmp_path: Path) -> None:
    """However an address is spelled, the system says what it is."""
    said, _ = await refused(f"https://{host}/", tmp_path / "part", resolver=resolve, transport=AnswerTransport(never))

    assert said.endswith("which is not of the public Internet, and is not followed")


async def test_a_host_that_cannot_be_found_is_told(tmp_path: Path) -> None:
    """The name alone is quoted: the rest of a link may be a key."""
    said = await refused(
        "https://nowhere.invalid/?sig=1", tmp_path / "part", resolver=resolve, transport=AnswerTransport(never)
    )

    assert said == ("the link to its picture names a host that cannot be found: nowhere.invalid", False)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (httpx.Response(302, headers={"Location": "https://127.0.0.1/"}), "was answered with 302"),
        (httpx.Response(404, content=b"gone"), "was answered with 404"),
        (httpx.Response(206, content=b"part"), "was answered with 206"),
        (
            httpx.Response(200, headers={"Content-Encoding": "br"}, content=b"x"),
            "gave it encoded as br, which was not asked for",
        ),
        (httpx.Response(200, content=b"x" * (BOUND + 1)), "gave a body of more than 0 MiB; raise max_body_mib"),
    ],
)
async def test_what_is_no_whole_picture_is_refused(response: httpx.Response, words: str, tmp_path: Path) -> None:
    """No redirect is followed, and no more is read than is allowed."""
    said = await refused(LINK, tmp_path / "part", transport=answers(response))

    assert said == (f"the link to its picture {words}", False)


async def test_an_answer_that_breaks_off_is_told_apart(tmp_path: Path) -> None:
    """Another take may get its picture."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    said = await refused(LINK, tmp_path / "part", transport=AnswerTransport(fail))

    assert said == ("the link to its picture broke off: reset", True)


async def test_a_part_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """The disk's fault is not the link's."""
    with pytest.raises(StorageError):
        await fetch(LINK, tmp_path / "gone" / "part", transport=answers(httpx.Response(200, content=b"picture")))


async def test_a_link_s_key_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is it afterwards what others log that is shortened."""
    caplog.set_level(logging.INFO, "httpx")

    await fetch(LINK, tmp_path / "part", transport=answers(httpx.Response(200, content=b"picture")))

    assert [record.getMessage() for record in caplog.records] == [
        f'HTTP Request: GET https://{PUBLIC} "HTTP/1.1 200 OK"'
    ]
    assert not logging.getLogger("httpx").filters


class LoopbackInstead(httpx.AsyncHTTPTransport):
    """httpx's own transport, on a network where a server on this machine has every address."""

    def __init__(self, port: int, certified: Certified) -> None:
        super().__init__(verify=certified.client)
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await super().handle_async_request(request)


@contextlib.asynccontextmanager
async def secure_server(certified: Certified) -> AsyncIterator[int]:
    """Serve a picture over TLS, and yield the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        host = next(line for line in head.split(b"\r\n") if line.startswith(b"Host: "))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(host), host))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=certified.server)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("certified_for", "comes"), [("pictures.test", True), ("others.test", False)])
async def test_the_certificate_is_to_be_the_name_s(certified_for: str, comes: bool, tmp_path: Path) -> None:
    """Over a real connection, though it goes to an address."""
    certified = certify(certified_for, tmp_path)
    part = tmp_path / "part"
    async with secure_server(certified) as port:
        transport = LoopbackInstead(port, certified)
        if comes:
            assert await fetch(LINK, part, transport=transport) == len(b"Host: pictures.test")
            assert part.read_bytes() == b"Host: pictures.test"
        else:
            assert "certificate verify failed" in (await refused(LINK, part, transport=transport))[0]
