"""The starts of processes: process numbers are given out again, a number and its start are not."""

import functools
import os
import platform
from pathlib import Path

import psutil

_PROC = Path("/proc")
# The fields of /proc/PID/stat after the name, which may itself hold spaces and brackets (proc(5)).
_STATE, _START_TICKS = 0, 19
# Both are dead, and in the table only until their parent asks for their exit status.
_DEAD_STATES = (b"Z", b"X")


def start_of(pid: int) -> int:
    """Return a number that tells a living process from any other that has had, or will have, its process number.

    Where there is /proc, it counts clock ticks since the machine started. Elsewhere it is the start in microseconds
    since 1970 as the kernel wrote it down. Neither changes when the wall clock is set, as the difference between a
    start and a boot time does, from which psutil derives its own figure on Linux.

    Raises:
        ProcessLookupError: there is no such process, or it is dead.
        PermissionError: there is one, of which nothing can be learnt.
    """
    if (_PROC / "self" / "stat").is_file():
        return _start_ticks(pid)
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError(pid)
        return int(process.create_time() * 1_000_000)
    except psutil.NoSuchProcess as exc:
        raise ProcessLookupError(pid) from exc
    except psutil.AccessDenied as exc:
        raise PermissionError(pid) from exc


def _start_ticks(pid: int) -> int:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except FileNotFoundError:
        # Of another user, it may be hidden (hidepid): then this raises PermissionError.
        os.kill(pid, 0)
        raise ProcessLookupError(pid) from None
    fields = stat.rpartition(b")")[2].split()
    if fields[_STATE] in _DEAD_STATES:
        raise ProcessLookupError(pid)
    return int(fields[_START_TICKS])


@functools.cache
def this_host() -> str:
    """Return a name for the space in which process numbers are unique: machine, boot and container."""
    # After a reboot, and in another container, the same number is another process.
    boot_id, processes = _PROC / "sys/kernel/random/boot_id", _PROC / "self/ns/pid"
    if not boot_id.is_file():
        return platform.node()
    return f"{platform.node()} {boot_id.read_text().strip()} {processes.readlink()}"
