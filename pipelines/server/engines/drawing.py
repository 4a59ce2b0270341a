"""The engines for rehearsal: they draw each image here, after a latency, with faults, at a price that nobody pays."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pipelines.common.geometry import Size
from pipelines.endpoints.answers import Bill
from pipelines.endpoints.dialects.flux import AUTHENTICATION_ERROR, GENERATION_FAILED, image_bill
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.answers import ApiError, ServedAnswer, UnansweredError
from pipelines.server.config import EngineKind, FaultKind, ServerConfig
from pipelines.server.engines.plain import PlainEngine
from pipelines.server.engines.sketch import SKETCH_MODEL, SketchEngine
from pipelines.server.faults import FaultDraw, as_jpeg, corrupt, wrong_size

# A client that waits longer than this for an answer would wait for ever.
_MAX_HANG_S = 600.0
_CAPTIVE_PORTAL = b"<!doctype html><title>Welcome</title><p>Please log in to use this network."
# Status and error text of the faults that are errors of the API's own (flux-api.md, "Error Codes").
_ERROR_ANSWERS = {
    FaultKind.RATE_LIMIT: (429, "Rate limited"),
    FaultKind.SERVER_ERROR: (500, "Internal server error"),
    FaultKind.AUTHENTICATION: (500, AUTHENTICATION_ERROR),
    FaultKind.REFUSED: (500, GENERATION_FAILED),
}


class Painter(Protocol):
    """Draws one image."""

    def paint(self, request: ImageRequest, size: Size, count: int) -> bytes:
        """Return a PNG.

        Args:
            request: what is asked.
            size: of the image, in pixels.
            count: how many such requests there have been, this one included.
        """
        ...


# Both answer as the model `sketch`: no image of theirs may pass for one that was paid for. Each takes a seed.
PAINTERS: dict[EngineKind, Callable[[int], Painter]] = {
    EngineKind.SKETCH: SketchEngine,
    EngineKind.PLAIN: PlainEngine,
}


class DrawingEngine:
    """An engine that draws; see `Engine`.

    Args:
        config: what draws, how long it takes, and what goes wrong.
        clock: the time in seconds, from any start.
    """

    def __init__(self, config: ServerConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._painter = PAINTERS[config.engine](config.seed)
        self._latency_s = config.latency_s
        # Two sources, so that a change of latency changes no fault.
        self._faults = FaultDraw(config.faults, random.Random(f"faults {config.seed}"))  # noqa: S311
        self._latency = random.Random(f"latency {config.seed}")  # noqa: S311
        self._request_counts: Counter[ImageRequest] = Counter()
        # A sketch takes about 0.1 s of a core: drawn in the event loop, it would hold up every other answer.
        self._executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sketch")

    async def __aenter__(self) -> "DrawingEngine":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._executor.shutdown(wait=False)

    async def figures(self) -> Mapping[str, object]:
        """Return nothing: nothing outlives the server, whose own figures do."""
        return {}

    async def generate(self, request: ImageRequest) -> ServedAnswer:
        """ServedAnswer with a drawing, or as the fault that was drawn for this request has it; see `Engine`."""
        due = self._clock() + self._latency.uniform(*self._latency_s)
        fault = self._faults.draw()
        if fault in _ERROR_ANSWERS:
            await self._wait_until(due)
            raise ApiError(*_ERROR_ANSWERS[fault])
        if fault is FaultKind.HTML:
            await self._wait_until(due)
            return ServedAnswer(_CAPTIVE_PORTAL, "text/html")
        png = await self._paint(request, fault)
        await self._wait_until(due)
        return _spoilt(png, _bill_for(request), fault)

    async def _paint(self, request: ImageRequest, fault: FaultKind | None) -> bytes:
        """Return the image, in the size or format of the fault."""
        self._request_counts[request] += 1
        size = request.aspect.size
        if fault is FaultKind.WRONG_SIZE:
            size = wrong_size(size)
        loop = asyncio.get_running_loop()
        count = self._request_counts[request]
        png = await loop.run_in_executor(self._executor, self._painter.paint, request, size, count)
        if fault is FaultKind.JPEG:
            return await loop.run_in_executor(self._executor, as_jpeg, png)
        return png

    async def _wait_until(self, due: float) -> None:
        await asyncio.sleep(max(0.0, due - self._clock()))


def _bill_for(request: ImageRequest) -> Bill:
    size, steps = request.aspect.size, request.steps
    return image_bill(price_list("flux").model(SKETCH_MODEL).price_of(request), size, steps=steps, model=SKETCH_MODEL)


def _spoilt(png: bytes, bill: Bill, fault: FaultKind | None) -> ServedAnswer:
    """Return an image that is billed, as the fault leaves it."""
    match fault:
        case FaultKind.HANG:
            raise UnansweredError(bill, after_s=_MAX_HANG_S)
        case FaultKind.RESET:
            raise UnansweredError(bill, after_s=0)
        case FaultKind.TRUNCATE:
            return ServedAnswer(png[: len(png) // 2], bill=bill, announced_bytes=len(png))
        case FaultKind.CORRUPT:
            return ServedAnswer(corrupt(png), bill=bill)
        case _:
            return ServedAnswer(png, bill=bill)
