"""Clocks beside those of Python's `time`."""

import time


def seconds_awake_and_asleep() -> float:
    """Return seconds since some moment that never step back, and go on while the machine is asleep.

    Python's own monotonic clock stands still meanwhile on Linux and macOS.
    """
    # Linux has the first; on macOS the second goes on, too (clock_gettime(3)); on Windows `monotonic` does.
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if (clock := getattr(time, name, None)) is not None:
            return time.clock_gettime(clock)
    return time.monotonic()
