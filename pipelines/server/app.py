"""The FLUX API of flux-api.md as an application: `POST /` makes an image, `GET /_stats` counts what was billed."""

import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.endpoints.dialects.flux import (
    AUTHENTICATION_ERROR,
    GENERATION_FAILED,
    BadRequestError,
    bill_headers,
    parse_request,
)
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.config import EngineKind, FaultKind, ServerConfig
from pipelines.server.description import openapi_document, welcome
from pipelines.server.engines.plain import PlainEngine
from pipelines.server.engines.sketch import SKETCH_MODEL, SketchEngine
from pipelines.server.faults import FaultDraw, as_jpeg, corrupt, wrong_size
from pipelines.server.headers import DocumentedCase, readable_by_pages
from pipelines.server.stats import RateLimiter, Statistics

MAX_BODY_BYTES = 64 << 10
# A client that waits longer than this for an answer would wait for ever.
_MAX_HANG_S = 600.0
_CAPTIVE_PORTAL = "<!doctype html><title>Welcome</title><p>Please log in to use this network."
# Status and error text of the faults that are errors of the API's own (flux-api.md, "Error Codes").
_ERROR_ANSWERS = {
    FaultKind.RATE_LIMIT: (429, "Rate limited"),
    FaultKind.SERVER_ERROR: (500, "Internal server error"),
    FaultKind.AUTHENTICATION: (500, AUTHENTICATION_ERROR),
    FaultKind.REFUSED: (500, GENERATION_FAILED),
}


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


class ApiError(Exception):
    """An error of the API: its status, its text, and headers that go with it."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def build_app(
    config: ServerConfig, connections: Connections, *, clock: Callable[[], float] = time.monotonic
) -> ASGIApp:
    """Return the API as an ASGI application.

    Args:
        config: what to serve.
        connections: the open connections, kept up to date by the server that runs the application.
        clock: the time in seconds, from any start.
    """
    service = _ImageService(config, connections, clock)
    api = Starlette(
        routes=[
            Route("/", service.respond, methods=["GET", "OPTIONS", "POST"]),
            Route("/openapi.json", _describe),
        ],
        exception_handlers={HTTPException: _as_api_error},
    )
    # The figures are for the person who rehearses, and no page's business.
    figures = Route("/_stats", service.figures)
    return DocumentedCase(Starlette(routes=[figures, Mount("/", readable_by_pages(api))]))


async def _describe(_: Request) -> JSONResponse:
    """Answer with the description of the API for programs."""
    return JSONResponse(openapi_document())


async def _as_api_error(_: Request, error: Exception) -> JSONResponse:
    """Answer an unknown path or method in the API's own form."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


# Both answer as the model `sketch`: no image of theirs may pass for one that was paid for.
ENGINES: dict[EngineKind, Callable[[int], SketchEngine | PlainEngine]] = {
    EngineKind.SKETCH: SketchEngine,
    EngineKind.PLAIN: PlainEngine,
}


class _ImageService:
    """The handler of image requests, with all that it keeps between them."""

    def __init__(self, config: ServerConfig, connections: Connections, clock: Callable[[], float]) -> None:
        self.statistics = Statistics(clock)
        self._config = config
        self._connections = connections
        self._clock = clock
        self._limiter = RateLimiter(config.rate_limit, clock)
        # Two sources, so that a change of latency changes no fault.
        self._faults = FaultDraw(config.faults, random.Random(f"faults {config.seed}"))  # noqa: S311
        self._latency = random.Random(f"latency {config.seed}")  # noqa: S311
        self._engine = ENGINES[config.engine](config.seed)
        self._request_counts: Counter[ImageRequest] = Counter()
        # A sketch takes about 0.1 s of a core: drawn in the event loop, it would hold up every other answer.
        self._executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sketch")

    async def respond(self, request: Request) -> Response:
        """Answer a request for an image, or say how to ask for one."""
        if request.method == "POST":
            return await self.generate(request)
        return PlainTextResponse(welcome(str(request.base_url).rstrip("/")))

    async def figures(self, _: Request) -> Response:
        """Answer with what was billed."""
        return JSONResponse(self.statistics.as_json())

    async def generate(self, request: Request) -> Response:
        """Answer one request for an image."""
        arrived = self._clock()
        self.statistics.count_request()
        status: int | None = None
        try:
            response = await self._answer(request, arrived)
            status = None if isinstance(response, _NoResponse) else response.status_code
        except ApiError as error:
            status = error.status
            return JSONResponse({"error": str(error)}, status, error.headers)
        finally:
            # Also where the server is shut down while it answers.
            self.statistics.count_answer(status)
        return response

    async def _answer(self, request: Request, arrived: float) -> Response:
        self._require_admission(request)
        image_request = await _read(request)
        due = arrived + self._latency.uniform(*self._config.latency_s)
        fault = self._faults.draw()
        if fault in _ERROR_ANSWERS:
            await self._wait_until(due)
            raise ApiError(*_ERROR_ANSWERS[fault])
        if fault is FaultKind.HTML:
            await self._wait_until(due)
            return Response(_CAPTIVE_PORTAL, media_type="text/html")
        png = await self._paint(image_request, fault)
        await self._wait_until(due)
        return await self._bill_and_send(request, image_request, png, fault)

    async def _paint(self, image_request: ImageRequest, fault: FaultKind | None) -> bytes:
        """Return the image, in the size or format of the fault."""
        self._request_counts[image_request] += 1
        size = image_request.aspect.size
        if fault is FaultKind.WRONG_SIZE:
            size = wrong_size(size)
        loop = asyncio.get_running_loop()
        count = self._request_counts[image_request]
        png = await loop.run_in_executor(self._executor, self._engine.paint, image_request, size, count)
        if fault is FaultKind.JPEG:
            return await loop.run_in_executor(self._executor, as_jpeg, png)
        return png

    async def _bill_and_send(
        self, request: Request, image_request: ImageRequest, png: bytes, fault: FaultKind | None
    ) -> Response:
        """Bill the image, and return it as the fault leaves it."""
        size, steps = image_request.aspect.size, image_request.steps
        price = price_list("flux").model(SKETCH_MODEL).rates.price(size, steps=steps)
        self.statistics.count_image(price)
        if fault in (FaultKind.HANG, FaultKind.RESET):
            await self._leave_unanswered(request, fault)
            return _NoResponse()
        headers = bill_headers(price, size, steps=steps, model=SKETCH_MODEL)
        if fault is FaultKind.TRUNCATE:
            return _TruncatedResponse(png, headers)
        return Response(corrupt(png) if fault is FaultKind.CORRUPT else png, headers=headers, media_type="image/png")

    async def _leave_unanswered(self, request: Request, fault: FaultKind) -> None:
        if fault is FaultKind.HANG:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MAX_HANG_S):
                    # The body is read: the next message can only be that the client has gone.
                    await request.receive()
        assert request.client is not None
        self._connections.reset((request.client.host, request.client.port))

    def _require_admission(self, request: Request) -> None:
        """Refuse a request without the token, or beyond the rate limit."""
        token = self._config.token
        if token is not None and request.headers.get("Authorization") != f"Bearer {token}":
            raise ApiError(500, AUTHENTICATION_ERROR)
        client = request.client.host if request.client else ""
        retry_after_s = self._limiter.admit(client)
        if retry_after_s is not None:
            raise ApiError(429, "Rate limited", {"Retry-After": str(retry_after_s)})

    async def _wait_until(self, due: float) -> None:
        await asyncio.sleep(max(0.0, due - self._clock()))


async def _read(request: Request) -> ImageRequest:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(400, "Request body is too large")
    try:
        return parse_request(json.loads(body))
    except BadRequestError as exc:
        raise ApiError(400, str(exc)) from exc
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "Request body must be JSON") from exc


class _TruncatedResponse(Response):
    """An answer that promises a whole image and breaks off in the middle."""

    def __init__(self, png: bytes, headers: dict[str, str]) -> None:
        super().__init__(png[: len(png) // 2], headers=headers, media_type="image/png")
        self.headers["Content-Length"] = str(len(png))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the first half of the image."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        # More is announced, and then the call is over: the server can only close the connection.
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class _NoResponse(Response):
    """The lack of an answer, where the connection is gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""
