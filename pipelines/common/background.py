"""Work in the background, behind whoever buys frames."""

import os
import sys
import threading

# Of threads and of children (see `nice`, 0 to 19).
NICENESS = 10


def lower_priority() -> None:
    """Let other threads go first from now on; where threads have no priority of their own, all go alike."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
