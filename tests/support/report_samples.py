"""Pages of a report to look at, filled with what a test wants to see."""

import base64
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from PIL import Image

from pipelines.report.models import (
    AttemptView,
    CostView,
    FrameView,
    PageView,
    RunView,
    SceneView,
    TakeView,
)

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PRICE_USD = Decimal("0.000652")


def thumbnail(colour: tuple[int, int, int] = (60, 110, 160)) -> str:
    """Return a small picture as a data URI."""
    picture = io.BytesIO()
    Image.new("RGB", (320, 180), colour).save(picture, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(picture.getvalue()).decode()}"


THUMBNAIL = thumbnail()


def attempt(number: int = 1, *, status: str = "ok", take: int = 1, at_s: float = 0, **more: Any) -> AttemptView:
    """Return an attempt that took four seconds."""
    told = {
        "http_status": 200 if status == "ok" else 500,
        "error": None if status == "ok" else "no picture came",
        "cost_usd": PRICE_USD if status == "ok" else Decimal(0),
        "reserved_usd": PRICE_USD,
        "latency_s": 4.0,
        **more,
    }
    return AttemptView(take=take, number=number, status=status, sent_at=START + timedelta(seconds=at_s), **told)


def take(number: int = 1, *, prompt: str = "a harbor", **more: Any) -> TakeView:
    """Return a take whose picture lies beside the page, or does not."""
    told = {"thumbnail": THUMBNAIL, "cost_usd": PRICE_USD, "latency_s": 4.0, **more}
    return TakeView(number=number, picture=f"takes/{number}.png", prompt=prompt, **told)


def frame(number: int = 0, *, takes: int = 1, **more: Any) -> FrameView:
    """Return a frame with so many takes, each bought at the first try."""
    prompt = more.pop("prompt", f"a harbor, view {number}")
    told: dict[str, Any] = {
        "scene": "arrival",
        "shot": "wide",
        "caption": None,
        "takes": tuple(take(n + 1, prompt=prompt) for n in range(takes)),
        "shown": 1 if takes else None,
        "picked": False,
        "attempts": tuple(attempt(take=n + 1, at_s=n) for n in range(takes)),
        **more,
    }
    return FrameView(
        number=number,
        name=f"frame_{number:04d}",
        key=f"{number:064x}",
        prompt=prompt,
        width=1344,
        height=768,
        start_s=number * 1.0,
        hold_s=1.0,
        price_usd=PRICE_USD,
        **told,
    )


FAILED = frame(2, takes=0, attempts=(attempt(status="failed"), attempt(2, status="unknown", cost_usd=None)))
RETRIED = frame(1, attempts=(attempt(status="rate_limited"), attempt(2)), shot="close")
REROLLED = frame(3, takes=3, shown=2, picked=True, caption="Six in the morning")


def page(*frames: FrameView, scenes: int = 1, **more: Any) -> PageView:
    """Return a page of these frames, spread over scenes."""
    shown = frames or (frame(0), RETRIED, FAILED, REROLLED)
    each = -(-len(shown) // scenes)
    parts = [shown[first : first + each] for first in range(0, len(shown), each)]
    attempts = tuple(each for one in shown for each in one.attempts)
    told: dict[str, Any] = {
        "title": "Harbor at dawn",
        "storyboard": "harbor",
        "films": (),
        "accounts": (CostView(len(attempts), Decimal("0.003"), Decimal("0.1"), Decimal(288), Decimal(0), False),),
        "run": RunView(START, attempts, 720, Decimal("0.003"), Decimal("0.25")) if attempts else None,
        "sheets": ("contact-sheet.jpg",),
        "ledger": "ledger.csv",
        **more,
    }
    return PageView(
        made_at=START,
        scenes=tuple(
            SceneView(
                f"scene-{n}", f"Scene {n}", part[0].start_s, tuple(replace(one, scene=f"scene-{n}") for one in part)
            )
            for n, part in enumerate(parts, 1)
        ),
        **told,
    )
