"""Sockets on which this machine's own servers listen."""

import os
import socket
from typing import Any

from pipelines.common.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address of this machine, and whose connections send what they have at once.

    Args:
        host: an IP address, of version 4 or 6.
        port: 0 for a free one.

    Raises:
        UsageError: the port is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as exc:
        # Python's own text of the error repeats the address.
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise UsageError(
            f"--port {port}: cannot be listened on: {reason}; choose another, or 0 for a free one"
        ) from exc
    # Connections inherit it. asyncio sets it only where a socket names its protocol, which this one does not: the body
    # of an answer would wait 40 ms until the client acknowledges the headers (tcp(7), TCP_NODELAY).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def is_of_this_machine(host: str) -> bool:
    """Return whether a host's name or address leads to this machine.

    Args:
        host: as in a URL, an IPv6 address without its brackets.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_can_be_bound(family, address) for family, _, _, _, address in found)


def _can_be_bound(family: int, address: tuple[Any, ...]) -> bool:
    # Only an address of this machine can be. Nothing listens on a datagram's socket, and port 0 is any free one.
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
    return True
