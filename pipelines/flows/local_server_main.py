"""The program that serves Prefect's own server application, in a process that ends with its parent."""

import gc
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

# Its own shutdown may hang.
STOP_TIMEOUT_S = 15


def main() -> None:
    """Serve Prefect's API on the socket whose descriptor is given, until standard input ends."""
    # What is imported stays: looking through it for garbage, again and again, takes a sixth of the start.
    gc.disable()
    import uvicorn

    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    config.load()
    gc.freeze()
    gc.enable()
    server.run(sockets=[listener])


def _stop_at_end_of_input(server: "uvicorn.Server") -> None:
    # Not through sys.stdin, whose lock this thread would still hold as the interpreter shuts down.
    while os.read(0, 1024):
        pass
    # While it starts it does not look, and making Prefect's database takes long. The next start goes on with that.
    if not server.started:
        os._exit(1)
    server.should_exit = True
    # No process is left that would end it.
    time.sleep(STOP_TIMEOUT_S)
    os._exit(1)


if __name__ == "__main__":
    main()
