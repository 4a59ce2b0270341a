"""The review app on a real socket, for a storyboard that is really rendered."""

import asyncio
import contextlib
import itertools
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from pipelines.common.settings import Settings
from pipelines.review.opening import OpeningFile
from pipelines.review.server import open_review
from pipelines.run.local import run_locally
from pipelines.run.result import RunResult
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import Plan
from pipelines.takes.inventory import TakeInventory, read_inventory
from pipelines.voice.planning import plan_spoken
from tests.conftest import wait_until
from tests.support.patience import WAIT_S

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


class ReviewSession:
    """A storyboard of three frames, its review app in a thread, and a client that sends what the page would send."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.path = folder / "pets.yaml"
        self.path.write_text(BOARD)
        self.settings = Settings(output=folder / "outputs", **{"rate_limit": 60_000, **settings})
        self.folder = folder / "outputs" / "pets"
        self.address = ""
        self.opening: OpeningFile | None = None

    def copy_to(self, folder: Path) -> "ReviewSession":
        """Copy the storyboard, the outputs and the ledger to another folder; return the review of the copy.

        The next run there finds every take, piece and film; only the contact sheet is drawn again, to the same picture.
        """
        copied = ReviewSession(folder)
        copied.settings = self.settings.model_copy(update={"output": copied.settings.output})
        shutil.copy2(self.path, copied.path)
        # Thumbnails and frames are up to date by the times of their takes' files, which are kept.
        shutil.copytree(self.settings.output, copied.settings.output)
        return copied

    @property
    def plan(self) -> Plan:
        return plan_spoken(load_storyboard(self.path), self.settings)

    @property
    def inventory(self) -> TakeInventory:
        return read_inventory(self.plan, self.settings)

    @property
    def keys(self) -> list[str]:
        return [frame.request_key for frame in self.plan.frames]

    @property
    def origin(self) -> str:
        return "/".join(self.address.split("/")[:3])

    def edit(self, text: str) -> None:
        """Replace the storyboard as editors do: nobody reads half of it."""
        edited = self.path.with_suffix(".edited")
        edited.write_text(text)
        edited.replace(self.path)

    def lose_take(self, frame: int) -> None:
        """Remove the file of a frame's take, as somebody else might."""
        take = self.inventory.frames[frame].selected
        assert take is not None
        take.path.unlink()

    def take_numbers(self) -> list[list[int]]:
        """Return the numbers of the takes of each frame."""
        return [[take.spec.number for take in frame.takes] for frame in self.inventory.frames]

    def selected_numbers(self) -> list[int | None]:
        """Return the number of the take that each frame shows."""
        return [frame.selected.spec.number if frame.selected else None for frame in self.inventory.frames]

    def film(self) -> bytes:
        return (self.folder / "pets.mp4").read_bytes()

    def render(self) -> RunResult:
        """Generate what the storyboard asks for; return the run's result."""
        return asyncio.run(run_locally(load_storyboard(self.path), self.settings))

    @contextlib.contextmanager
    def open(self) -> Iterator[Self]:
        """Serve the review page while the block lasts."""
        with open_review(self.path, self.settings, port=0) as review:
            thread = threading.Thread(target=review.serve, name="review")
            thread.start()
            self.address, self.opening = review.address, review.opening
            try:
                wait_until(lambda: review.server.started)
                yield self
            finally:
                review.server.should_exit = True
                thread.join(WAIT_S)
                assert not thread.is_alive()

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", headers=headers, timeout=WAIT_S)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        origin = {"Origin": self.origin} if "Origin" not in headers else {}
        return httpx.post(f"{self.address}{path}", json=body, headers={**origin, **headers}, timeout=WAIT_S)

    def reroll(self, *numbers: int, count: int = 1, prompt: str | None = None) -> httpx.Response:
        """Quote more takes of some frames, and confirm the price."""
        request = {"keys": [self.keys[number] for number in numbers], "count": count, "prompt": prompt}
        price = self.post("quotes", request).json()["cost_usd"]
        return self.post("rerolls", {**request, "confirmed_usd": price})

    def load_page(self) -> int:
        """Load the page; return its version."""
        found = re.search(r'<meta name="version" content="(\d+)">', self.get().text)
        assert found is not None
        return int(found[1])

    @contextlib.contextmanager
    def listening(self, version: int | None = None) -> Iterator["Listener"]:
        """Receive the app's events while the block lasts, as a page of this version does, or one that is loaded now."""
        version = self.load_page() if version is None else version
        listener = Listener()
        with httpx.stream("GET", f"{self.address}events?version={version}", timeout=WAIT_S) as answer:
            thread = threading.Thread(target=listener.read, args=(answer,), daemon=True)
            thread.start()
            try:
                # The first event says what is at work; from here on, none is missed.
                listener.wait_for_event("progress")
                yield listener
            finally:
                # To close the answer would end nothing as long as the thread still waits for the next event.
                with contextlib.suppress(OSError):
                    answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                thread.join(WAIT_S)
                assert not thread.is_alive()


class Listener:
    """The events that a page has received: their kinds, with their data."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []

    def read(self, answer: httpx.Response) -> None:
        kind = ""
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError, RuntimeError):
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.received.append((kind, json.loads(value)))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.received]

    def stages(self) -> list[str]:
        """Return the stages of the runs in order, repeated ones once; an empty one where no run was at work."""
        stages = [data["stage"] for kind, data in self.received if kind == "progress"]
        return [stage for stage, _ in itertools.groupby(stages)]

    def wait_for_event(self, kind: str) -> Any:
        """Wait until an event of this kind has come; return the data of the first."""
        wait_until(lambda: kind in self.kinds())
        return next(data for received, data in self.received if received == kind)
