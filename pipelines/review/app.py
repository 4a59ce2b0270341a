"""The review app over HTTP: the page, its pictures, films and voices, its requests, and the stream of events."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, assert_never
from urllib.parse import quote

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from pipelines.common.errors import StoryreelError, UsageError
from pipelines.common.formatting import format_decimal
from pipelines.ledger.models import RunCounters
from pipelines.report.fonts import PageFont, all_fonts, style_sheet
from pipelines.report.page import frame_json, header_json, read_asset, render_card, render_review
from pipelines.report.thumbnails import Thumbnails
from pipelines.report.views import Addresses
from pipelines.review.events import Changed, Event, Failure, Progressed, Reloaded
from pipelines.review.service import ReviewService
from pipelines.review.storyboard import OutOfDateError, RerollRequest

_ASSETS = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "review.css": "text/css",
    "review.js": "text/javascript",
}
# Nothing else in the output folder leaves it: not the database, for instance.
_SERVED_SUFFIXES = {".png", ".jpg", ".webp", ".gif", ".mp4", ".webm", ".mov", ".wav", ".csv", ".srt", ".vtt"}
# Those of `cjk_style`: all other letters are drawn in one way.
FontLanguage = Literal["ja", "ko", "zh-Hans", "zh-Hant", "zh-Hant-HK"]
_MAX_FRAMES_AT_ONCE = 10_000
_CACHE_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NEVER_CACHE = {"Cache-Control": "no-store"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QuoteBody(_Body):
    """A re-roll to be priced: more takes of frames, as the page asks for them."""

    keys: Annotated[list[str], Field(min_length=1, max_length=_MAX_FRAMES_AT_ONCE)]
    count: int = 1
    prompt: str | None = None

    @property
    def reroll(self) -> RerollRequest:
        """The re-roll that is asked for."""
        return RerollRequest(tuple(self.keys), self.count, self.prompt)


class RerollBody(QuoteBody):
    """A re-roll, confirmed at a price in US dollars."""

    confirmed_usd: str


class PickBody(_Body):
    """A frame, by its request key, and the number of the take that it is to show."""

    key: str
    take: int


def served_addresses(output: Path) -> Addresses:
    """Return the addresses under which the app serves the files of an output folder."""

    def under(prefix: str, path: Path) -> str:
        return f"{prefix}/{quote(path.resolve().relative_to(output.resolve()).as_posix())}"

    def file(path: Path) -> str:
        # A film that is cut again gets another address: browsers cache the one before for good.
        with contextlib.suppress(OSError):
            return f"{under('files', path)}?v={path.stat().st_mtime_ns}"
        return under("files", path)

    return Addresses(
        picture=lambda path: under("files", path),
        thumbnail=lambda path: under("thumbnails", path),
        speech=lambda path: under("files", path),
        file=file,
    )


def build_app(service: ReviewService, output: Path) -> FastAPI:
    """Return the application that serves the review page.

    Args:
        service: entered when the application starts, left when it ends.
        output: the folder whose pictures and films it serves.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(StoryreelError, _refuse)
    _serve_page(app, service)
    _serve_fonts(app)
    _serve_files(app, output)
    _serve_actions(app, service)
    return app


def _serve_page(app: FastAPI, service: ReviewService) -> None:
    @app.get("/")
    async def page() -> Response:
        view, version = await service.page()
        html = await asyncio.to_thread(render_review, view, version=version)
        return HTMLResponse(html, headers=_NEVER_CACHE)

    @app.get("/frames")
    async def frames(numbers: Annotated[str, Query(max_length=100_000)] = "") -> Response:
        """Return frames as data and as cards, and what stands above them."""
        requested = {int(number) for number in numbers.split(",") if number.isascii() and number.isdecimal()}
        found = service.frames(requested)
        page = service.last_page or (await service.page())[0]
        cards = [{"frame": frame_json(frame), "card": render_card(frame, language=page.language)} for frame in found]
        answer = {"header": header_json(page), "frames": cards}
        return JSONResponse(answer, headers=_NEVER_CACHE)

    @app.get("/assets/{name}")
    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        return Response(read_asset(name), media_type=_ASSETS[name], headers=_NEVER_CACHE)

    @app.get("/events", response_class=EventSourceResponse)
    async def events(version: Annotated[int, Query(ge=0)] = 0) -> AsyncIterator[ServerSentEvent]:
        """Send a page of this version what it has missed, and what happens from then on."""
        async for event in service.events(version):
            yield _server_sent(event)


def _serve_fonts(app: FastAPI) -> None:
    @app.get("/fonts/{language}/fonts.css")
    async def font_rules(language: FontLanguage) -> Response:
        fonts = await asyncio.to_thread(_fonts_by_name, language)
        return Response(
            style_sheet(fonts.values(), lambda font: font.name), media_type="text/css", headers=_NEVER_CACHE
        )

    @app.get("/fonts/{language}/{name}")
    async def font(language: FontLanguage, name: str) -> Response:
        """Return a font; a browser asks for those alone whose letters it lacks, and once."""
        found = (await asyncio.to_thread(_fonts_by_name, language)).get(name)
        if found is None:
            return Response(status_code=404)
        return Response(await asyncio.to_thread(found.build), media_type="font/ttf", headers=_CACHE_FOREVER)


@functools.cache
def _fonts_by_name(language: FontLanguage) -> Mapping[str, PageFont]:
    return {font.name: font for font in all_fonts(language)}


def _serve_files(app: FastAPI, output: Path) -> None:
    root = output.resolve()

    def find(path: str) -> Path | None:
        """Return a file of the output folder if it may be served."""
        # Resolved first: `..` and links must not lead out of the folder.
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.suffix in _SERVED_SUFFIXES and file.is_file() else None

    @app.get("/files/{path:path}")
    async def file(path: str) -> Response:
        found = await asyncio.to_thread(find, path)
        # Neither a take nor a speech changes under its name, and a film that does has another address.
        return FileResponse(found, headers=_CACHE_FOREVER) if found else Response(status_code=404)

    @app.get("/thumbnails/{path:path}")
    async def thumbnail(path: str) -> Response:
        take = await asyncio.to_thread(find, path)
        if take is None:
            return Response(status_code=404)
        small = await asyncio.to_thread(_make_thumbnail, take)
        return FileResponse(small, headers=_CACHE_FOREVER) if small else Response(status_code=404)


def _make_thumbnail(take: Path) -> Path | None:
    # A take is in the folder `takes` of its storyboard's folder.
    return Thumbnails(take.parent.parent / "thumbnails").make([take])[take]


def _serve_actions(app: FastAPI, service: ReviewService) -> None:
    @app.post("/quotes")
    async def quotes(body: QuoteBody) -> dict[str, Any]:
        quote = service.quote(body.reroll)
        return {
            "images": quote.generate,
            "cost_usd": format_decimal(quote.price.usd),
            "cost_thb": format_decimal(quote.price.thb),
            "worst_case_usd": format_decimal(quote.worst_case_usd),
            "simulated": service.simulated,
        }

    @app.post("/rerolls", status_code=202)
    async def rerolls(body: RerollBody) -> dict[str, Any]:
        service.reroll(body.reroll, confirmed_usd=_parse_usd(body.confirmed_usd))
        return {}

    @app.post("/picks", status_code=202)
    async def picks(body: PickBody) -> dict[str, Any]:
        await service.pick(body.key, body.take)
        return {}


def _parse_usd(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"confirmed_usd: {text!r} is not an amount") from None


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
            return ServerSentEvent(event="failure", data={"message": message})
        case _:
            assert_never(event)


def _counters_json(counters: RunCounters | None) -> dict[str, Any]:
    """Return the counters of the run at work under their own names; an empty stage means that none is at work."""
    values = asdict(counters or RunCounters())
    return {name: format_decimal(value) if isinstance(value, Decimal) else value for name, value in values.items()}
