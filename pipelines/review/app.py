"""The cutting room over HTTP: the page, pictures and films, what it asks, and what it is told as it happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, assert_never
from urllib.parse import quote

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from pipelines.common.errors import StoryreelError, UsageError
from pipelines.common.formatting import format_decimal
from pipelines.ledger.models import RunCounters
from pipelines.report.builder import Addresses
from pipelines.report.page import frame_json, head_json, read_asset, render_card, render_review
from pipelines.report.thumbnails import Thumbnails
from pipelines.review.events import Changed, Event, Failure, Progressed, Reloaded
from pipelines.review.service import OutOfDateError, RerollRequest, ReviewService

_ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "room.css": "text/css", "room.js": "text/javascript"}
_SERVED = {".png", ".jpg", ".webp", ".gif", ".mp4", ".webm", ".mov", ".csv", ".srt"}
_MOST_AT_ONCE = 10_000
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NEVER = {"Cache-Control": "no-store"}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RerollQuery(_Asked):
    """More takes of frames, as the page asks for them."""

    keys: Annotated[list[str], Field(min_length=1, max_length=_MOST_AT_ONCE)]
    count: int = 1
    prompt: str | None = None

    @property
    def wish(self) -> RerollRequest:
        """What is wished for."""
        return RerollRequest(tuple(self.keys), self.count, self.prompt)


class RerollOrder(RerollQuery):
    """The same, confirmed at a price in US dollars."""

    confirmed_usd: str


class PickOrder(_Asked):
    """A frame's take, chosen."""

    key: str
    take: int


def addresses_in(output: Path) -> Addresses:
    """Return how the live page names the files of an output folder; a film that changes gets another address."""

    def under(prefix: str, path: Path) -> str:
        return f"{prefix}/{quote(path.resolve().relative_to(output.resolve()).as_posix())}"

    def file(path: Path) -> str:
        with contextlib.suppress(OSError):
            return f"{under('files', path)}?v={path.stat().st_mtime_ns}"
        return under("files", path)

    return Addresses(
        picture=lambda path: under("files", path), thumbnail=lambda path: under("thumbnails", path), file=file
    )


def build_app(room: ReviewService, output: Path) -> FastAPI:
    """Return the application that serves a cutting room.

    Args:
        room: entered as the application starts, left as it ends.
        output: the folder whose pictures and films it shows.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with room:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(StoryreelError, _refuse)
    _serve_page(app, room)
    _serve_files(app, output)
    _serve_wishes(app, room)
    return app


def _serve_page(app: FastAPI, room: ReviewService) -> None:
    @app.get("/")
    async def page() -> Response:
        shown = await room.page()
        html = await asyncio.to_thread(render_review, shown)
        return HTMLResponse(html, headers=_NEVER)

    @app.get("/frames")
    async def frames(numbers: Annotated[str, Query(max_length=100_000)] = "") -> Response:
        """Return frames as data and as cards, and what stands above them."""
        asked = {int(number) for number in numbers.split(",") if number.isascii() and number.isdecimal()}
        found = room.frames(asked)
        answer = {
            "head": head_json(room.last_page or await room.page()),
            "frames": [{"data": frame_json(frame), "card": render_card(frame)} for frame in found],
        }
        return JSONResponse(answer, headers=_NEVER)

    @app.get("/assets/{name}")
    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        return Response(read_asset(name), media_type=_ASSETS[name], headers=_NEVER)

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        async for event in room.events():
            yield _server_sent(event)


def _serve_files(app: FastAPI, output: Path) -> None:
    root = output.resolve()

    def served(path: str) -> Path | None:
        """Return a file of the output folder that may be shown."""
        found = (root / path).resolve()
        return found if found.is_relative_to(root) and found.suffix in _SERVED and found.is_file() else None

    @app.get("/files/{path:path}")
    async def file(path: str) -> Response:
        found = await asyncio.to_thread(served, path)
        # A take never changes under its name; a film that does has another address.
        return FileResponse(found, headers=_FOREVER) if found else Response(status_code=404)

    @app.get("/thumbnails/{path:path}")
    async def thumbnail(path: str) -> Response:
        found = await asyncio.to_thread(served, path)
        if found is None:
            return Response(status_code=404)
        small = await asyncio.to_thread(_thumbnail, found)
        return FileResponse(small, headers=_FOREVER) if small else Response(status_code=404)


def _thumbnail(take: Path) -> Path | None:
    return Thumbnails(take.parent.parent / "thumbnails").make([take])[take]


def _serve_wishes(app: FastAPI, room: ReviewService) -> None:
    @app.post("/quotes")
    async def quotes(asked: RerollQuery) -> dict[str, Any]:
        quote = room.quote(asked.wish)
        return {
            "images": quote.generate,
            "cost_usd": format_decimal(quote.price.usd),
            "cost_thb": format_decimal(quote.price.thb),
            "worst_case_usd": format_decimal(quote.worst_case_usd),
            "simulated": room.simulated,
        }

    @app.post("/rerolls", status_code=202)
    async def rerolls(asked: RerollOrder) -> dict[str, Any]:
        room.reroll(asked.wish, confirmed_usd=_usd(asked.confirmed_usd))
        return {}

    @app.post("/picks", status_code=202)
    async def picks(asked: PickOrder) -> dict[str, Any]:
        await room.pick(asked.key, asked.take)
        return {}


def _usd(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"confirmed_usd: {text!r} is no amount") from None


async def _refuse(_: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, OutOfDateError) else 422 if isinstance(error, UsageError) else 500
    return JSONResponse({"detail": str(error)}, status_code=status)


def _server_sent(event: Event) -> ServerSentEvent:
    match event:
        case Progressed(counters):
            return ServerSentEvent(event="progress", data=_counters_json(counters))
        case Changed(numbers):
            return ServerSentEvent(event="changed", data={"numbers": numbers})
        case Reloaded():
            return ServerSentEvent(event="reloaded", data={})
        case Failure(message):
            return ServerSentEvent(event="trouble", data={"message": message})
        case _:
            assert_never(event)


def _counters_json(counters: RunCounters | None) -> dict[str, Any]:
    """Return how far the run at work is; its stage is empty where none is at work."""
    values = asdict(counters or RunCounters())
    return {name: format_decimal(value) if isinstance(value, Decimal) else value for name, value in values.items()}
