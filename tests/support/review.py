"""A cutting room that really listens, on a storyboard that is really rendered."""

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from pipelines.common.settings import Settings
from pipelines.review.server import open_review
from pipelines.run.local import run_locally
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import Plan, plan_frames
from pipelines.takes.inventory import TakeInventory, read_inventory

BOARD = """
title: Pets
output: {fps: 12, size: 160x96}
defaults: {hold: 1s, steps: 1}
scenes:
  - id: garden
    title: Garden
    shots:
      - {id: cat, prompt: a cat in a garden}
      - {id: dog, prompt: a house on the hills}
  - id: house
    title: House
    shots:
      - {id: bird, prompt: birds over the sea}
"""
PATIENCE_S = 60.0


class Room:
    """A cutting room in a thread of its own, and a client that asks it as its page does."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.path = folder / "pets.yaml"
        self.path.write_text(BOARD)
        self.settings = Settings(output=folder / "outputs", **{"rate_limit": 60_000, **settings})
        self.folder = folder / "outputs" / "pets"
        self.address = ""

    @property
    def plan(self) -> Plan:
        return plan_frames(load_storyboard(self.path), model=self.settings.effective_model)

    @property
    def inventory(self) -> TakeInventory:
        return read_inventory(self.plan, self.settings)

    @property
    def keys(self) -> list[str]:
        return [frame.request_key for frame in self.plan.frames]

    @property
    def origin(self) -> str:
        return "/".join(self.address.split("/")[:3])

    def there(self) -> list[list[int]]:
        """Return the numbers of the takes of each frame."""
        return [[take.spec.number for take in frame.takes] for frame in self.inventory.frames]

    def selected(self) -> list[int | None]:
        return [frame.selected.spec.number if frame.selected else None for frame in self.inventory.frames]

    def film(self) -> bytes:
        return (self.folder / "pets.mp4").read_bytes()

    async def rendered(self) -> RunResult:
        """Generate what the storyboard asks for; return what it came to."""
        return await run_locally(load_storyboard(self.path), self.settings)

    def render(self) -> None:
        """Generate what the storyboard asks for."""
        asyncio.run(self.rendered())

    @contextlib.contextmanager
    def open(self) -> Iterator["Room"]:
        """Serve it while the block lasts."""
        with open_review(self.path, self.settings, port=0) as room:
            thread = threading.Thread(target=room.serve, name="cutting-room")
            thread.start()
            self.address = room.address
            try:
                until(lambda: room.server.started)
                yield self
            finally:
                room.server.should_exit = True
                thread.join(PATIENCE_S)
                assert not thread.is_alive()

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", headers=headers, timeout=PATIENCE_S)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        origin = {"Origin": self.origin} if "Origin" not in headers else {}
        return httpx.post(f"{self.address}{path}", json=body, headers={**origin, **headers}, timeout=PATIENCE_S)

    def reroll(self, *numbers: int, count: int = 1, prompt: str | None = None) -> httpx.Response:
        """Ask what more takes would cost, and confirm it."""
        asked = {"keys": [self.keys[number] for number in numbers], "count": count, "prompt": prompt}
        price = self.post("quotes", asked).json()["cost_usd"]
        return self.post("rerolls", {**asked, "confirmed_usd": price})

    @contextlib.contextmanager
    def listening(self) -> Iterator["Listener"]:
        """Listen to the room's events, as a page does, while the block lasts."""
        listener = Listener()
        with httpx.stream("GET", f"{self.address}events", timeout=PATIENCE_S) as answer:
            thread = threading.Thread(target=listener.read, args=(answer,), daemon=True)
            thread.start()
            try:
                # The room has said what it is at: from here on the listener misses nothing.
                listener.wait_for("progress")
                yield listener
            finally:
                with contextlib.suppress(httpx.HTTPError):
                    answer.close()


class Listener:
    """The events that a page has received so far: their kinds with their data."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def read(self, answer: httpx.Response) -> None:
        kind = ""
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError, RuntimeError):
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.events.append((kind, json.loads(value)))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    def stages(self) -> list[str]:
        """Return the stages of the room's work, in order, each once; empty where it had nothing to do."""
        stages = [data["stage"] for kind, data in self.events if kind == "progress"]
        return [stage for stage, _ in itertools.groupby(stages)]

    def wait_for(self, kind: str) -> Any:
        """Wait until an event of this kind came; return its data."""
        until(lambda: kind in self.kinds())
        return next(data for received, data in self.events if received == kind)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)
