"""Sleep for Python under faketime: libfaketime 0.9.10 spoils the absolute time that Python's own sleeps until."""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: "float | SupportsIndex", /) -> None:
    wanted_s = seconds if isinstance(seconds, float) else seconds.__index__()
    if wanted_s < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], wanted_s)


time.sleep = _sleep
