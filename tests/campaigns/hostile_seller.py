"""Sellers of our own, each with a book: a hostile one, and the two Workers as they are known."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tests.campaigns.answers import ANSWERS, FREE, AnswerKind, Asked, Cost, Tries, bill, error, jpeg
from tests.campaigns.book import Book, Sale, price_usd, tiles_of
from tests.campaigns.raw_server import Header, Received, Reply, http_answer, serving_raw

# Draws the kind of answer to a request.
Draw = Callable[[Asked], AnswerKind]


@dataclass
class BookedSeller:
    """A seller that answers as `draw` says, and writes down what it did.

    Attributes:
        draw: draws the kind of each answer.
        latency_s: how long an answer takes, between these two.
        book: what it did.
        port: where it listens on loopback.
    """

    draw: Draw
    latency_s: tuple[float, float] = (0, 0)
    book: Book = field(default_factory=Book)
    port: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: Received) -> Reply:
        """Answer a request, and enter it in the book."""
        fields = request.asked
        asked = Asked(fields["prompt"], fields["steps"], fields["aspectRatio"], len(self.book.sales))
        kind = self.draw(asked)
        self.book.enter(Sale(asked.prompt, kind.name, kind.billed(asked), request.at_s))
        try:
            await asyncio.sleep(self.rng.uniform(*self.latency_s))
            return kind.reply(asked)
        finally:
            self.book.answered()


@contextlib.contextmanager
def selling_raw(
    draw: Draw, *, latency_s: tuple[float, float] = (0, 0), hosts: Sequence[str] = ("127.0.0.1",)
) -> Iterator[BookedSeller]:
    """Let a seller answer for as long as the block lasts."""
    seller = BookedSeller(draw, latency_s)
    with serving_raw(seller.answer, hosts=hosts) as seller.port:
        yield seller


def always(kind: AnswerKind) -> Draw:
    """Return a draw of nothing else."""
    return lambda _: kind


def by_board(kinds: dict[str, AnswerKind]) -> Draw:
    """Return a draw of one kind for each storyboard, whose name begins its prompts."""
    return lambda asked: kinds[asked.prompt.partition(",")[0]]


def mixed(kinds: Sequence[AnswerKind], seed: str, *, whole: float, good: AnswerKind = ANSWERS["a PNG"]) -> Draw:
    """Return a draw of a good picture with probability `whole`, and of any of these kinds else."""
    rng = random.Random(seed)
    return lambda _: good if rng.random() < whole else rng.choice(kinds)


def full_for(seconds: float, kind: AnswerKind, then: Draw) -> Draw:
    """Return a draw of nothing but this kind for some seconds from the first request on."""
    began: list[float] = []

    def draw(asked: Asked) -> AnswerKind:
        began.append(time.monotonic())
        return kind if began[-1] - began[0] < seconds else then(asked)

    return draw


_SQUARE = (1024, 1024)


def _published(asked: Asked) -> Reply:
    # Its headers are computed from what was asked, before the model is called.
    headers = [*bill(asked), ("Content-Type", "image/png")]
    return Reply(http_answer(200, headers, jpeg(f"{asked.prompt} {asked.number}", _SQUARE)))


def _truthful(asked: Asked) -> Reply:
    usd = price_usd(tiles_of(_SQUARE), asked.steps)
    headers = [*bill(asked, usd=usd, size=_SQUARE), ("Content-Type", "image/jpeg")]
    return Reply(http_answer(200, headers, jpeg(f"{asked.prompt} {asked.number}", _SQUARE)))


def published_worker(asked_usd: Decimal) -> AnswerKind:
    """Return the published Worker's image: always square, whatever it was asked and charges for."""
    good = ANSWERS["a PNG"]
    return AnswerKind("published", _published, "ok", "200", good.cost, good.tries, 0, asked_usd, asked_usd)


def worker_error(status: int, words: str, *more: Header) -> AnswerKind:
    """Return one of Workers AI's errors as a Worker passes it on."""
    tries = next(of for start, of in _TRIES_OF.items() if start in words)
    row = "failed" if status >= 500 else "rejected"
    return AnswerKind(f"{status} {words}", error(status, words, *more), row, str(status), Cost.NOTHING, tries, 4, FREE)


_TRIES_OF = {"3040": Tries.WAITS, "NSFW": Tries.REFUSALS, "": Tries.RESENDS}


def truthful_worker(steps: int) -> AnswerKind:
    """Return the truthful Worker's image: always square, which it says and charges for."""
    good, usd = ANSWERS["a PNG"], price_usd(tiles_of(_SQUARE), steps)
    return AnswerKind("truthful", _truthful, "ok", "200", good.cost, good.tries, 0, usd, usd)
