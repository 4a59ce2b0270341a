"""The page as HTML: the report, one file that opens from disk, and the review page, which the review app serves."""

import base64
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.common.formatting import counted, format_decimal, format_spent
from pipelines.common.lettering.typefaces import cjk_style
from pipelines.common.printable import printable_in_html, printable_json
from pipelines.report.charts import HEIGHT, WIDTH, charts_of
from pipelines.report.fonts import PageFont, fonts_of_page, page_language, style_sheet
from pipelines.report.models import AttemptView, FrameView, IndexRow, NarrationView, PageView, TakeView, Way

# The kinds of frames that the page can be filtered by, with the labels of their buttons, in order.
_KINDS = {
    "failed": "failed",
    "missing": "missing",
    "remarked": "with remarks",
    "retried": "retried",
    "rerolled": "re-rolled",
}

# Parts of a template that are yielded as one string: each is short, and a write for each would be slow.
_BUFFERED_PARTS = 200
# Characters that could end a script element.
_UNSAFE_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}

Embed = Callable[[str], str]
"""Returns what the page has in place of a thumbnail's address: a data URI, or the address itself."""


def render_report(
    page: PageView, *, embed: Embed = str, fingerprint: str = "", way: Way | None = None
) -> Iterator[str]:
    """Yield the report in parts: one HTML file with its style and script; films and pictures lie beside it.

    Args:
        page: what it says.
        embed: called with the address of each thumbnail.
        fingerprint: written into the head, so that a later run can tell what the report was made of.
        way: of a page of a long report: where it leads.
    """
    head = _head_of(page, fingerprint)
    yield from _render("scene_page.html.j2" if way else "report.html.j2", page, embed, way=way, **head)


def render_index(page: PageView, rows: Sequence[IndexRow], *, fingerprint: str = "") -> Iterator[str]:
    """Yield the index of a long report in parts: all that a report says but its frames, which lie on other pages.

    Args:
        page: what the report says.
        rows: a row for each of these pages.
        fingerprint: as in `render_report`.
    """
    # It needs the letters of the titles alone.
    titles = replace(page, scenes=tuple(replace(scene, frames=()) for scene in page.scenes))
    yield from _render("index.html.j2", page, str, shown=(), rows=rows, **_head_of(titles, fingerprint))


def _head_of(page: PageView, fingerprint: str) -> dict[str, Any]:
    """Return what the head of a page that is one file is filled with."""
    style, script = read_asset("page.css") + style_sheet(fonts_of_page(page), _font_uri), read_asset("page.js")
    return {
        "fingerprint": fingerprint,
        "style": Markup(style),  # noqa: S704 - our own
        "script": Markup(script),  # noqa: S704 - our own
        # The hashes allow the page's own style and script, and no others (Content Security Policy, "hash-source").
        "policy": (
            f"default-src 'none'; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
            "font-src data:; img-src data: 'self' file:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
        ),
    }


def render_review(page: PageView, *, version: int = 0) -> str:
    """Return the review page; its style sheets and scripts are served beside it.

    Args:
        page: what is shown.
        version: the page's script names it when it asks for what has changed since.
    """
    return "".join(_render("review.html.j2", page, str, version=version, cjk_style=cjk_style(page_language(page))))


def render_card(frame: FrameView, *, interactive: bool = True, language: str | None = None) -> str:
    """Return the card of one frame; an `interactive` one, of the review page, can be marked."""
    return str(_macros().card(frame, interactive, str, language))


def read_asset(name: str) -> str:
    """Return the text of a style sheet or a script of the page."""
    return files("pipelines.report").joinpath("assets", name).read_text(encoding="utf-8")


def frame_json(frame: FrameView, embed: Embed = str) -> dict[str, Any]:
    """Return a frame as the page's script reads it."""
    return {
        "number": frame.number,
        "name": frame.name,
        "key": frame.key,
        "label": f"{frame.scene}/{frame.shot}",
        "prompt": frame.prompt,
        "caption": frame.caption,
        "width": frame.width,
        "height": frame.height,
        "start_s": frame.start_s,
        "narration": _narration_json(frame.narration) if frame.narration else None,
        "narrated_from": frame.narrated_from,
        "selected": frame.selected,
        "picked": frame.picked,
        "takes": [_take_json(take, embed, selected=take.number == frame.selected) for take in frame.takes],
        "attempts": [_attempt_json(attempt) for attempt in frame.attempts],
    }


def header_json(page: PageView) -> dict[str, Any]:
    """Return the summary, the notes and the film, which stand above the frames, as the page's script reads them."""
    film = page.films[0] if page.films else None
    return {
        "summary": str(_macros().summary(page)),
        "notes": str(_macros().notes(page)),
        "film": {"url": film.url} if film else None,
    }


def kinds_of(frame: FrameView) -> list[str]:
    """Return the kinds that a frame belongs to, of those that the page can be filtered by."""
    attempts = Counter(attempt.take for attempt in frame.attempts)
    # A take that several runs tried counts as retried too, though each run numbers its attempts from 1.
    conditions = {
        "failed": frame.selected is None and bool(frame.attempts),
        "missing": frame.selected is None,
        "remarked": any(take.remarks for take in frame.takes),
        "retried": any(count > 1 for count in attempts.values()),
        "rerolled": len(frame.takes) > 1,
    }
    return [kind for kind in _KINDS if conditions[kind]]


def count_kinds(frames: Iterable[FrameView]) -> dict[str, int]:
    """Return how many of some frames belong to each kind that the page can be filtered by."""
    counts = Counter(kind for frame in frames for kind in kinds_of(frame))
    return {kind: counts[kind] for kind in _KINDS}


def spent_on(attempts: Iterable[AttemptView]) -> str:
    """Return what some attempts have cost, in words."""
    known, uncertain = Decimal(0), Decimal(0)
    for attempt in attempts:
        if attempt.cost_usd is None:
            uncertain += attempt.reserved_usd
        else:
            known += attempt.cost_usd
    return format_spent(known, uncertain)


def _render(
    template: str, page: PageView, embed: Embed, *, shown: Iterable[FrameView] | None = None, **values: Any
) -> Iterator[str]:
    """Yield a page; its script is given the frames that are `shown`, by default all."""
    counts = count_kinds(page.frames)
    stream = (
        _environment()
        .get_template(template)
        .stream(
            page=page,
            embed=embed,
            charts=charts_of(page.last_run) if page.last_run else (),
            width=WIDTH,
            height=HEIGHT,
            kinds=[(kind, label, counts[kind]) for kind, label in _KINDS.items()],
            frames_json=_frames_json(page.frames if shown is None else shown, embed),
            **values,
        )
    )
    stream.enable_buffering(_BUFFERED_PARTS)
    yield from stream


def _frames_json(frames: Iterable[FrameView], embed: Embed) -> Iterator[Markup]:
    """Yield the frames as a JSON array, one at a time: all of them at once would double the page's memory."""
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
        finalize=_printable,
        # A misspelt name in a template is an error, not an empty text.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(usd=_format_usd, clock=_format_clock, time=_format_time, counted=counted)
    environment.globals.update(kinds_of=kinds_of, short_of=short_of, spent=spent_on)
    return environment


def _printable(value: Any) -> Any:
    # What is Markup is our own.
    return printable_in_html(value) if type(value) is str else value


def _macros() -> Any:
    return _environment().get_template("macros.html.j2").module


def _narration_json(narration: NarrationView) -> dict[str, Any]:
    return {
        "text": narration.text,
        "words": [[word.before, word.text, word.start_s, word.end_s] for word in narration.words],
        "voice": narration.voice,
        "sound": narration.sound,
        "length_s": narration.length_s,
        "frames": narration.frames,
        "short": short_of(narration) if narration.missing_s else None,
    }


def short_of(narration: NarrationView) -> str:
    """Return by how much the frames of a narration are held too short for its words, in a sentence."""
    frames = "Its frame is" if narration.frames == 1 else f"Its {counted(narration.frames, 'frame')} are"
    return f"{frames} held {narration.missing_s:.2f} s too short for its words."


def _take_json(take: TakeView, embed: Embed, *, selected: bool) -> dict[str, Any]:
    return {
        "number": take.number,
        "picture": take.picture,
        # Data URIs are long: that of the selected take is in the frame's card, and the script reads it there.
        "thumbnail": embed(take.thumbnail) if take.thumbnail and not selected else "",
        "prompt": take.prompt,
        "cost": _format_usd(take.cost_usd),
        "remarks": take.remarks,
    }


def _attempt_json(attempt: AttemptView) -> dict[str, Any]:
    return {
        "take": attempt.take,
        "number": attempt.number,
        "status": attempt.status,
        "http_status": attempt.http_status,
        "error": attempt.error,
        "cost": _format_usd(attempt.cost_usd),
        "latency_s": attempt.latency_s,
        "sent_at": _format_time(attempt.sent_at),
    }


def _script_text(text: str) -> Markup:
    # Of the rest, what no terminal may obey; and U+2028 and U+2029, which end a line in JavaScript before ES2019.
    text = printable_json(text)
    for character, escaped in _UNSAFE_IN_SCRIPT.items():
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704 - nothing in it can end the script element any more


def _font_uri(font: PageFont) -> str:
    return f"data:font/ttf;base64,{base64.b64encode(font.build()).decode()}"


def _source_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _format_usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else format_decimal(amount)


def _format_clock(seconds: float) -> str:
    """Return a position in the film in minutes and seconds: `1:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
