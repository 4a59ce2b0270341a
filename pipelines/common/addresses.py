"""Addresses of endpoints: which of them stay on this machine, and what of them may be shown."""

import ipaddress
from urllib.parse import urlsplit, urlunsplit


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
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # `::ffff:127.0.0.1`; only newer Pythons look into it.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def without_secrets(url: str) -> str:
    """Return an address without a user's name and password, and without its query, which may hold a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
