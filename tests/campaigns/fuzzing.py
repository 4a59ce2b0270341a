"""Feeds mutated input to one parser, and prints as JSON what came of it.

python -m tests.campaigns.fuzzing KIND SEED ROUNDS
"""

import asyncio
import contextlib
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from PIL import Image

from pipelines.common.errors import StoryreelError
from pipelines.common.geometry import AspectRatio
from pipelines.common.imaging import read_picture
from pipelines.endpoints.answers import Bill, NoAnswerError
from pipelines.endpoints.client import EndpointClient, Timeouts
from pipelines.endpoints.image_check import UnusablePictureError, inspect_picture
from pipelines.endpoints.requests import ImageRequest
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.speech import Speech
from tests.campaigns.hostile import ANSWER_WORDS, BOARD_WORDS, PICTURE_WORDS, mutate
from tests.campaigns.memory import peak_mib
from tests.support.transport import flux_endpoint

REQUEST = ImageRequest("a harbor", 4, AspectRatio.SQUARE)
SLOW_S = 2.0
ROOT = Path(__file__).parents[2]


@dataclass
class Findings:
    """The findings: foreign exceptions and slow inputs, each with the input."""

    rounds: int = 0
    foreign: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def feed(self, parse: Callable[[bytes], None], data: bytes) -> None:
        """Parse one input; measure processor time, for others on the machine would slow the clock's."""
        self.rounds += 1
        began = time.process_time()
        try:
            parse(data)
        except (StoryreelError, UnusablePictureError, NoAnswerError):
            pass
        except BaseException as error:  # noqa: BLE001 - what must not happen is looked for
            self.foreign.append(f"{error!r} of {data!r}"[:2000])
        took = time.process_time() - began
        if took > SLOW_S:
            self.slow.append(f"{took:.1f} s for {data!r}"[:2000])


def parse_board(folder: Path) -> Callable[[bytes], None]:
    """Return a parser of storyboards."""
    path = folder / "board.yaml"

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        board = load_storyboard(path)
        # As fast as people speak; no voice is asked.
        speeches = [Speech("", path, Fraction(len(one.text), 15), ()) for one in board.narrations]
        plan_frames(board, model="sketch", speeches=speeches)

    return parse


def parse_picture(folder: Path) -> Callable[[bytes], None]:
    """Return a parser of pictures; what it accepts must be drawn."""
    path = folder / "picture"

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        inspect_picture(path)
        read_picture(path)

    return parse


def parse_answer(folder: Path) -> Callable[[bytes], None]:
    """Return a parser of whole HTTP answers, as they come from a socket."""

    async def attempt(data: bytes) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(data)
                await writer.drain()
            writer.close()

        async def on_billed(_: int, __: Bill) -> None:
            pass

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            endpoint = flux_endpoint(f"http://127.0.0.1:{port}/", local=True)
            timeouts = Timeouts(5, 1, 2)
            async with EndpointClient(endpoint, concurrency=1, timeouts=timeouts, max_body_bytes=1 << 20) as client:
                await client.attempt(REQUEST, part=folder / "part", on_billed=on_billed)

    return lambda data: asyncio.run(attempt(data))


def boards() -> list[bytes]:
    """Return the storyboards that we ship."""
    return [path.read_bytes() for path in sorted((ROOT / "configs/storyboards").glob("*.yaml"))]


def pictures() -> list[bytes]:
    """Return a small picture in each format that an answer may have."""
    seeds = []
    for kind in ("PNG", "JPEG", "WEBP"):
        data = io.BytesIO()
        Image.radial_gradient("L").resize((24, 16)).convert("RGB").save(data, kind)
        seeds.append(data.getvalue())
    return seeds


def answers() -> list[bytes]:
    """Return well-formed answers: an image with its bill, and an error."""
    body = pictures()[0]
    bill = b"X-Cost-USD: 0.000652\r\nX-Neurons-Used: 57.6\r\nX-Width: 24\r\nX-Tiles: 4\r\nX-Model: sketch\r\n"
    error = b'{"error": "Failed to generate image"}'
    return [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), bill, body),
        b"HTTP/1.1 500 No\r\nContent-Length: %d\r\nRetry-After: 3\r\n\r\n%s" % (len(error), error),
        b"HTTP/1.1 429 Slow\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ]


KINDS: dict[str, tuple[Callable[[Path], Callable[[bytes], None]], Callable[[], list[bytes]], Sequence[bytes]]] = {
    "storyboards": (parse_board, boards, BOARD_WORDS),
    "pictures": (parse_picture, pictures, PICTURE_WORDS),
    "answers": (parse_answer, answers, ANSWER_WORDS),
}


def main() -> None:
    """Feed as the command line says."""
    kind, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    make_parser, make_seeds, words = KINDS[kind]
    rng, seeds, findings = random.Random(f"{kind} {seed}"), make_seeds(), Findings()
    with tempfile.TemporaryDirectory() as folder:
        parse = make_parser(Path(folder))
        for data in seeds:
            findings.feed(parse, data)
        before_mib = peak_mib()
        for _ in range(rounds):
            findings.feed(parse, mutate(rng.choice(seeds), seeds, words, rng))
    said = {"rounds": findings.rounds, "foreign": findings.foreign, "slow": findings.slow}
    print(json.dumps({**said, "mib": peak_mib() - before_mib}))


if __name__ == "__main__":
    main()
