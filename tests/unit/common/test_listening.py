"""Sockets on which our own servers listen."""

import socket

import pytest

from pipelines.common.errors import UsageError
from pipelines.common.listening import listen


def test_connections_send_at_once() -> None:
    """None waits for the acknowledgment of what it sent before."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_an_error() -> None:
    """With its number and the cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            listen("127.0.0.1", port)

    reason = "Address already in use; choose another, or 0 for a free one"
    assert str(caught.value) == f"--port {port}: cannot be listened on: {reason}"
