"""The most memory that this process ever had."""

import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mib() -> float:
    """Return it in MiB, of this program alone."""
    # getrusage's figure begins with that of the program that started this one (exec(2) keeps it).
    if _STATUS.is_file():
        [line] = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
