"""The page: the report as one file that opens from disk, and the same page alive in the cutting room."""

import base64
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.common.formatting import format_decimal
from pipelines.report.charts import HEIGHT, WIDTH, charts_of
from pipelines.report.models import AttemptView, FrameView, PageView, TakeView

_PARTS_AT_ONCE = 200
# What would end a script element, or a line in old JavaScript.
_UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render_report(page: PageView, *, embed: Callable[[str], str] = str, mark: str = "") -> Iterator[str]:
    """Yield the report in parts: one HTML file with style and script in it; films and pictures lie beside it.

    Args:
        page: what it says.
        embed: makes what stands for a thumbnail's address in the file: a data URI of it, or the address itself.
        mark: for whoever wants to tell later what the report was made of.
    """
    style, script = read_asset("page.css"), read_asset("page.js")
    yield from _rendered(
        "report.html.j2",
        page,
        embed,
        mark=mark,
        style=Markup(style),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        # The page's own style and script, and nobody else's (Content Security Policy, "hash-source").
        policy=(
            f"default-src 'none'; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
            "img-src data: 'self' file:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
        ),
    )


def render_review(page: PageView) -> str:
    """Return the cutting room's page; its style and scripts are served beside it."""
    return "".join(_rendered("room.html.j2", page, str))


def render_card(frame: FrameView, *, alive: bool = True) -> str:
    """Return one frame's card."""
    return str(_macros().card(frame, alive, str))


def read_asset(name: str) -> str:
    """Return a style sheet or a script of the page."""
    return files("pipelines.report").joinpath("assets", name).read_text(encoding="utf-8")


def frame_json(frame: FrameView, embed: Callable[[str], str] = str) -> dict[str, Any]:
    """Return a frame as the page's script wants it."""
    return {
        "number": frame.number,
        "name": frame.name,
        "key": frame.key,
        "place": f"{frame.scene}/{frame.shot}",
        "prompt": frame.prompt,
        "caption": frame.caption,
        "width": frame.width,
        "height": frame.height,
        "start": frame.start_s,
        "shown": frame.shown,
        "picked": frame.picked,
        "takes": [_take_json(take, embed, shown=take.number == frame.shown) for take in frame.takes],
        "attempts": [_attempt_json(attempt) for attempt in frame.attempts],
    }


def head_json(page: PageView) -> dict[str, Any]:
    """Return what stands above the frames as the page's script wants it."""
    film = page.films[0] if page.films else None
    return {
        "storyboard": page.storyboard,
        "film": {"url": film.url, "mime": film.mime} if film else None,
        "head": str(_macros().account(page)),
    }


def kinds_of(frame: FrameView) -> list[str]:
    """Return which filters let a frame through."""
    attempts = Counter(attempt.take for attempt in frame.attempts)
    named = {
        "failed": frame.shown is None and bool(frame.attempts),
        "missing": frame.shown is None,
        "retried": any(count > 1 for count in attempts.values()),
        "rerolled": len(frame.takes) > 1,
    }
    return [kind for kind, is_so in named.items() if is_so]


def _rendered(template: str, page: PageView, embed: Callable[[str], str], **more: Any) -> Iterator[str]:
    frames = [frame for scene in page.scenes for frame in scene.frames]
    stream = (
        _environment()
        .get_template(template)
        .stream(
            page=page,
            frames=frames,
            embed=embed,
            charts=charts_of(page.run) if page.run else (),
            width=WIDTH,
            height=HEIGHT,
            counts={
                kind: sum(kind in kinds_of(frame) for frame in frames)
                for kind in ("failed", "missing", "retried", "rerolled")
            },
            data=_data(frames, embed),
            **more,
        )
    )
    stream.enable_buffering(_PARTS_AT_ONCE)
    yield from stream


def _data(frames: Iterable[FrameView], embed: Callable[[str], str]) -> Iterator[Markup]:
    """Yield the frames as a JSON array, one at a time."""
    yield Markup("[")
    for index, frame in enumerate(frames):
        text = json.dumps(frame_json(frame, embed), ensure_ascii=False, separators=(",", ":"))
        yield _script_text(f",{text}" if index else text)
    yield Markup("]")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipelines.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(usd=_usd, clock=_clock, when=_when, plural=_plural)
    environment.globals.update(kinds_of=kinds_of, shown_take=_shown_take, cost_of=_cost_of)
    return environment


def _macros() -> Any:
    return _environment().get_template("macros.html.j2").module


def _take_json(take: TakeView, embed: Callable[[str], str], *, shown: bool) -> dict[str, Any]:
    return {
        "number": take.number,
        "picture": take.picture,
        # The frame's card bears that of the one that is shown: data URIs are long.
        "thumbnail": embed(take.thumbnail) if take.thumbnail and not shown else "",
        "prompt": take.prompt,
        "cost": _usd(take.cost_usd),
        "latency": take.latency_s,
    }


def _attempt_json(attempt: AttemptView) -> dict[str, Any]:
    return {
        "take": attempt.take,
        "number": attempt.number,
        "status": attempt.status,
        "http": attempt.http_status,
        "error": attempt.error,
        "cost": _usd(attempt.cost_usd),
        "latency": attempt.latency_s,
        "sent": _when(attempt.sent_at),
    }


def _script_text(text: str) -> Markup:
    for character, escaped in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704 - nothing in it can end the script element any more


def _source_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown_take(frame: FrameView) -> TakeView | None:
    return next((take for take in frame.takes if take.number == frame.shown), None)


def _cost_of(attempts: Iterable[AttemptView]) -> Decimal:
    return sum((attempt.cost_usd or Decimal(0) for attempt in attempts), Decimal(0))


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else format_decimal(amount)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
