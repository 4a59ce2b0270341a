"""The FLUX API of flux-api.md as an application: POST / makes an image, GET /_stats tells what was asked and billed."""

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

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from pipelines.endpoints.answers import AUTHENTICATION_ERROR, GENERATION_FAILED
from pipelines.endpoints.dialects.flux import BadRequestError, ImageRequest, bill_headers, parse_request
from pipelines.endpoints.prices import PRICE_LIST
from pipelines.server.config import FaultKind, ServerConfig
from pipelines.server.engines.sketch import SKETCH_MODEL, SketchEngine
from pipelines.server.faults import FaultDraw, as_jpeg, corrupt, wrong_size
from pipelines.server.stats import Limiter, Statistics

MAX_BODY_BYTES = 64 << 10
_MAX_HANG_S = 600.0
_CAPTIVE_PORTAL = "<!doctype html><title>Welcome</title><p>Please log in to use this network."
_ERRORS = {
    FaultKind.RATE_LIMIT: (429, "Rate limited"),
    FaultKind.SERVER_ERROR: (500, "Internal server error"),
    FaultKind.AUTHENTICATION: (500, AUTHENTICATION_ERROR),
    FaultKind.REFUSED: (500, GENERATION_FAILED),
}


@dataclass(frozen=True, slots=True)
class Connections:
    """The open connections by their client's address and port, so that a fault can cut one."""

    transports: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)

    def reset(self, client: tuple[str, int]) -> None:
        """Cut a connection as a crash does: with a reset, and nothing said."""
        transport = self.transports.get(client)
        if transport is not None:
            connection = transport.get_extra_info("socket")
            # Lingering for no time turns the close into a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


class ApiError(Exception):
    """An answer other than an image."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def build_app(
    config: ServerConfig, connections: Connections, *, clock: Callable[[], float] = time.monotonic
) -> FastAPI:
    """Return the API as an ASGI application; `connections` is kept by whoever runs it."""
    service = _Service(config, connections, clock)
    app = FastAPI(title="FLUX Image Generation API", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/", service.generate, methods=["POST"], response_model=None)
    app.add_api_route("/_stats", service.statistics.as_json, methods=["GET"])
    app.add_exception_handler(HTTPException, _as_api_error)
    return app


async def _as_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


class _Service:
    def __init__(self, config: ServerConfig, connections: Connections, clock: Callable[[], float]) -> None:
        self.statistics = Statistics(clock)
        self._config = config
        self._connections = connections
        self._clock = clock
        self._limiter = Limiter(config.rate_limit, clock)
        # Two sources, so that a change of latency changes no fault.
        self._faults = FaultDraw(config.faults, random.Random(f"faults {config.seed}"))  # noqa: S311
        self._latency = random.Random(f"latency {config.seed}")  # noqa: S311
        self._engine = SketchEngine(config.seed)
        self._asked: Counter[ImageRequest] = Counter()
        self._painters = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="painter")

    async def generate(self, request: Request) -> Response:
        """Answer one request for an image."""
        arrived = self._clock()
        self.statistics.arrived()
        status: int | None = None
        try:
            response = await self._answer(request, arrived)
            status = response.status_code if response else None
        except ApiError as error:
            status = error.status
            return JSONResponse({"error": str(error)}, status, error.headers)
        finally:
            self.statistics.answered(status)
        return response or _Nothing()

    async def _answer(self, request: Request, arrived: float) -> Response | None:
        self._require_admission(request)
        asked = await _read(request)
        due = arrived + self._latency.uniform(*self._config.latency_s)
        fault = self._faults.draw()
        if fault in _ERRORS:
            await self._wait_until(due)
            raise ApiError(*_ERRORS[fault])
        if fault is FaultKind.HTML:
            await self._wait_until(due)
            return Response(_CAPTIVE_PORTAL, media_type="text/html")
        return await self._image(request, asked, fault, due)

    async def _image(
        self, request: Request, asked: ImageRequest, fault: FaultKind | None, due: float
    ) -> Response | None:
        """Generate and bill an image, and send it as well as the fault lets it."""
        self._asked[asked] += 1
        size = wrong_size(asked.aspect.size) if fault is FaultKind.WRONG_SIZE else asked.aspect.size
        loop = asyncio.get_running_loop()
        png = await loop.run_in_executor(self._painters, self._engine.paint, asked, size, self._asked[asked])
        if fault is FaultKind.JPEG:
            png = await loop.run_in_executor(self._painters, as_jpeg, png)
        await self._wait_until(due)
        price = PRICE_LIST.image(asked.aspect.size, steps=asked.steps)
        self.statistics.billed(price)
        if fault in (FaultKind.HANG, FaultKind.RESET):
            await self._leave_unanswered(request, fault)
            return None
        headers = bill_headers(price, asked.aspect.size, steps=asked.steps, model=SKETCH_MODEL)
        if fault is FaultKind.TRUNCATE:
            return _Truncated(png, headers)
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
        token = self._config.token
        if token is not None and request.headers.get("Authorization") != f"Bearer {token}":
            raise ApiError(500, AUTHENTICATION_ERROR)
        client = request.client.host if request.client else ""
        retry_after_s = self._limiter.refuse(client)
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


class _Truncated(Response):
    """Promises a whole image and breaks off in the middle."""

    def __init__(self, png: bytes, headers: dict[str, str]) -> None:
        super().__init__(png[: len(png) // 2], headers=headers, media_type="image/png")
        self.headers["Content-Length"] = str(len(png))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        # More to come, and then the call is over: the server can only close the connection.
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class _Nothing(Response):
    """Says nothing: the connection is gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""
