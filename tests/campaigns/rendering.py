"""Does a whole run below Prefect in a process of its own, by a clock that another process can step.

    python -m tests.campaigns.rendering board.yaml [CLOCK]

CLOCK is a file of eight bytes, by which many seconds the wall clock is wrong, as a C double; it may change at any time.
Prints as JSON the exit code, and the most memory that the process ever had.
"""

import asyncio
import json
import mmap
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.campaigns.memory import peak_mib

BACKOFF_CAP_S = 0.1


def step_clocks(file: Path) -> None:
    """Let every clock that moves when the wall clock is set be wrong by what `file` says, from now on."""
    with file.open("rb") as opened:
        shared = mmap.mmap(opened.fileno(), 8, prot=mmap.PROT_READ)

    def step_s() -> float:
        return float(struct.unpack("d", shared[:8])[0])

    platform: Any = vars(psutil)["_psplatform"]
    wall_s, wall_ns, boot_s = time.time, time.time_ns, platform.boot_time
    time.time = lambda: wall_s() + step_s()
    time.time_ns = lambda: wall_ns() + int(step_s() * 1e9)
    # The kernel tells when it was booted by the wall clock of today.
    platform.boot_time = lambda: boot_s() + step_s()


def shorten_pauses() -> None:
    """Make back-offs short: they have no setting."""
    from pipelines.endpoints.retry import RetryPolicy
    from pipelines.run import generation

    brief: Callable[..., RetryPolicy] = partial(
        RetryPolicy, backoff_base_s=BACKOFF_CAP_S / 4, backoff_cap_s=BACKOFF_CAP_S
    )
    generation.RetryPolicy = brief  # type: ignore[attr-defined, assignment]


def render(board: Path) -> int:
    """Do the run that the environment's settings describe; return its exit code."""
    from pipelines.common.settings import load_settings
    from tests.campaigns.runs import generate_without_film

    return asyncio.run(generate_without_film(board, load_settings()))


def main(board: str, *clock: str) -> None:
    """Step the clock before anything of ours is imported, then render."""
    for file in clock:
        step_clocks(Path(file))
    shorten_pauses()
    exit_code = render(Path(board))
    print(json.dumps({"exit_code": exit_code, "mib": peak_mib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
