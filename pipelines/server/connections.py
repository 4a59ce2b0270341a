"""The open connections of the server, for faults that cut one."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connections:
    """The open connections by their client's address and port, so that a fault can reset one."""

    transports: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)

    def reset(self, client: tuple[str, int]) -> None:
        """Cut a client's connection as a crash does, with a TCP reset; do nothing where it is gone already."""
        transport = self.transports.get(client)
        if transport is not None:
            connection = transport.get_extra_info("socket")
            # Lingering for no time turns the close into a reset (socket(7)).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
