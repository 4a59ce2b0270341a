"""The FLUX API of flux-api.md as an application: `POST /` makes an image, `GET /_stats` counts what was billed."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from pipelines.endpoints.dialects.flux import AUTHENTICATION_ERROR, BadRequestError, parse_request
from pipelines.endpoints.requests import ImageRequest
from pipelines.server.answers import ApiError, UnansweredError, retry_later
from pipelines.server.config import ServerConfig
from pipelines.server.connections import Connections
from pipelines.server.description import Service, openapi_document, welcome
from pipelines.server.engines.engine import Engine
from pipelines.server.engines.making import make_engine
from pipelines.server.headers import ClosedToPages, DocumentedCase, readable_by_pages
from pipelines.server.responses import NoResponse, error_response, response_of
from pipelines.server.stats import RateLimiter, Statistics

MAX_BODY_BYTES = 64 << 10


def build_app(
    config: ServerConfig, connections: Connections, *, clock: Callable[[], float] = time.monotonic
) -> ASGIApp:
    """Return the API as an ASGI application.

    Args:
        config: what to serve.
        connections: the open connections, kept up to date by the server that runs the application.
        clock: the time in seconds, from any start.
    """
    engine = make_engine(config, clock=clock)
    service = _ImageService(config, engine, connections, clock)
    api = Starlette(
        routes=[
            Route("/", service.respond, methods=["GET", "OPTIONS", "POST"]),
            Route("/openapi.json", service.describe),
        ],
        exception_handlers={HTTPException: _as_api_error},
    )
    shown = readable_by_pages(api) if config.open_to_pages else ClosedToPages(api)
    # The figures are for the person who serves, and no page's business.
    routes = [Route("/_stats", service.figures), Mount("/", shown)]
    return DocumentedCase(Starlette(routes=routes, lifespan=lambda _: _opened(engine)))


@contextlib.asynccontextmanager
async def _opened(engine: Engine) -> AsyncIterator[None]:
    async with engine:
        yield


async def _as_api_error(_: Request, error: Exception) -> JSONResponse:
    """Answer an unknown path or method in the API's own form."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


class _ImageService:
    """The handler of image requests, with all that it keeps between them."""

    def __init__(
        self, config: ServerConfig, engine: Engine, connections: Connections, clock: Callable[[], float]
    ) -> None:
        self._token = config.token
        self._described = Service(real=config.upstream is not None, token=config.token is not None)
        self._engine = engine
        self._connections = connections
        self._limiter = RateLimiter(config.client_rate_limit, clock)
        self._statistics = Statistics(clock)

    async def respond(self, request: Request) -> Response:
        """Answer a request for an image, or say how to ask for one."""
        if request.method == "POST":
            return await self.generate(request)
        return PlainTextResponse(welcome(str(request.base_url).rstrip("/"), self._described))

    async def describe(self, _: Request) -> Response:
        """Answer with the description of the API for programs."""
        return JSONResponse(openapi_document(self._described))

    async def figures(self, request: Request) -> Response:
        """Answer with what was billed."""
        if not self._bears_token(request):
            return error_response(ApiError(500, AUTHENTICATION_ERROR))
        return JSONResponse({**self._statistics.as_json(), **await self._engine.figures()})

    async def generate(self, request: Request) -> Response:
        """Answer one request for an image."""
        self._statistics.count_request()
        status: int | None = None
        try:
            response = await self._answer(request)
            status = response.status_code
        except ApiError as error:
            status = error.status
            return error_response(error)
        except UnansweredError as error:
            self._statistics.count_bill(error.bill)
            await self._leave_unanswered(request, after_s=error.after_s)
            return NoResponse()
        finally:
            # Also where the server is shut down while it answers.
            self._statistics.count_answer(status)
        return response

    async def _answer(self, request: Request) -> Response:
        self._require_admission(request)
        answer = await self._engine.generate(await _read(request))
        self._statistics.count_bill(answer.bill)
        return response_of(answer)

    def _require_admission(self, request: Request) -> None:
        """Refuse a request without the token, or beyond the rate limit."""
        if not self._bears_token(request):
            raise ApiError(500, AUTHENTICATION_ERROR)
        client = request.client.host if request.client else ""
        retry_after_s = self._limiter.admit(client)
        if retry_after_s is not None:
            raise retry_later("Rate limited", retry_after_s)

    def _bears_token(self, request: Request) -> bool:
        if self._token is None:
            return True
        given = request.headers.get("Authorization", "")
        # In a time that does not tell how much of it is right.
        return secrets.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    async def _leave_unanswered(self, request: Request, *, after_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                # The body is read: the next message can only be that the client has gone.
                await request.receive()
        assert request.client is not None
        self._connections.reset((request.client.host, request.client.port))


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
