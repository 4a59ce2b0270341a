"""Addresses of endpoints: their one spelling, which of them stay on this machine, and what of them may be shown."""

import contextlib
import ipaddress
import re
import socket
import string
from urllib.parse import quote, unquote, urlsplit, urlunsplit

_THIS_MACHINE = "127.0.0.1"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 6052, 2.1: the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# RFC 3986, 2.3: percent-encoded or not, these mean the same.
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
# RFC 3986, 3.3: what a path may hold as it is, and the sign of an encoding.
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=~"
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public Internet: not of this machine, a private network or a carrier.

    Args:
        address: as a resolver returns it. An IPv6 address that leads to an IPv4 address is judged as that one.
    """
    ip = _read_ip(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        # 6to4 leads into any IPv4 network; nothing public is reached by it any more (RFC 7526).
        if ip.is_site_local or ip.sixtofour:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def require_http_url(text: str) -> str:
    """Require that a text is an http or https address; return it.

    Raises:
        ValueError: it is none.
    """
    complaint = ValueError("must be an http:// or https:// address")
    try:
        url = urlsplit(text)
        # Reading the port may raise, too. Port 0 is no address: a server that binds it gets any free one.
        named = url.hostname is not None and url.port != 0
    except ValueError:
        raise complaint from None
    # urlsplit drops line breaks and tabs without a word.
    if url.scheme not in ("http", "https") or not named or any(c.isspace() for c in text):
        raise complaint
    return text


def host_of(url: str) -> str:
    """Return the host of an address, with its port where it names one."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address means this machine whoever resolves it: 127.0.0.0/8, ::1, localhost.

    Args:
        host: as in a URL, an IPv6 address with or without its brackets.
    """
    name = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    # RFC 6761, 6.3: every name under localhost is of this machine.
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return _read_ip(name).is_loopback
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """Return an address without a user's name and password, and without its query, which may hold a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def normalize(url: str) -> str:
    """Return an address without its secrets, in the one spelling that all its spellings have in common.

    Case, percent-encoding, dot segments and the default port are normalized (RFC 3986, 6.2.2 and 6.2.3), and so are the
    older ways to write an IPv4 address, which resolvers know; dots and slashes at the ends are left out. All names of
    this machine are one. Two names of one other host stay two: only that host's owner knows.

    Args:
        url: an http or https address.
    """
    parts = urlsplit(url)
    host = _normalized_host(unquote(parts.hostname or ""), url)
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return urlunsplit((parts.scheme, f"{host}{port}", _normalized_path(parts.path), "", ""))


def _normalized_host(host: str, url: str) -> str:
    name = host.rstrip(".").lower()
    if not name.isascii():
        # As it will be asked for. Not at the top of the file: it takes long to import, and such names are rare.
        import httpx

        name = httpx.URL(url).raw_host.decode().rstrip(".")
    with contextlib.suppress(OSError):
        # Resolvers take 127.1, 0x7f000001 and 017700000001 as well.
        name = socket.inet_ntoa(socket.inet_aton(name))
    with contextlib.suppress(ValueError):
        address = _read_ip(name)
        # To connect to "any address" is to connect to this machine.
        if address.is_unspecified:
            return _THIS_MACHINE
        name = str(address)
    if is_loopback(name):
        return _THIS_MACHINE
    return f"[{name}]" if ":" in name else name


def _read_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an IP address; one that stands for an IPv4 address, like `::ffff:127.0.0.1`, is that one.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text)
    # Only newer Pythons look into it by themselves.
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _normalized_path(path: str) -> str:
    segments: list[str] = []
    for segment in _normalized_escapes(path).split("/"):
        if segment == "..":
            # The first one is empty, before the slash at the beginning, and stays.
            segments = segments[:1] + segments[1:-1]
        elif segment != ".":
            segments.append(segment)
    return "/".join(segments).rstrip("/")


def _normalized_escapes(path: str) -> str:
    """Return a path in which only those characters are percent-encoded that must be, in capitals."""

    def shortest(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(shortest, quote(path, safe=_KEPT_IN_PATHS))
