"""Work in the background, at a lower priority than the generation of frames."""

import os
import sys
import threading

# Of threads and of child processes, from 0 to 19 (see `nice`).
NICENESS = 10


def lower_priority() -> None:
    """Let other threads go before the calling one from now on.

    Only on Linux, where threads have a priority of their own; elsewhere this does nothing.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
