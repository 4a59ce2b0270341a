"""Campaign: hostile proxies in the environment: none is asked for this machine, and none is mistaken for a seller."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.common.settings import Settings
from tests.campaigns.answers import ANSWERS, png
from tests.campaigns.bill_audit import Story, kept_once, row_violations, story_of, sum_violations
from tests.campaigns.boards import Board, write_board
from tests.campaigns.fault_policy import Violation
from tests.campaigns.hostile_seller import always, selling_raw
from tests.campaigns.raw_server import Header, Received, Reply, http_answer, serving_raw
from tests.campaigns.runs import generate_without_film
from tests.campaigns.tally import OpenTally
from tests.campaigns.test_sellers import BOUNDS, settings_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_pauses")]


PAGE = b"<html>Squid says no</html>"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
PATIENCE_S = 1


@dataclass
class Proxy:
    """A proxy that answers in one way, and what it was asked for."""

    reply: Callable[[Received], Awaitable[Reply]]
    requests: list[Received] = field(default_factory=list)
    port: int = 0

    async def answer(self, request: Received) -> Reply:
        """Answer, and note it."""
        self.requests.append(request)
        return await self.reply(request)


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that lets the environment name the proxy at a port, for every host."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def name_proxy(port: int) -> None:
        for name in VARIABLES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")

    return name_proxy


def says(status: int, *headers: Header, body: bytes = PAGE) -> Callable[[Received], Awaitable[Reply]]:
    """Return a way to answer everything alike."""

    async def reply(_: Received) -> Reply:
        return Reply(http_answer(status, [("Content-Type", "text/html"), *headers], body))

    return reply


async def hangs(_: Received) -> Reply:
    """Say nothing."""
    return Reply(b"", hangs=True)


async def hangs_up(_: Received) -> Reply:
    """Close the connection without a word."""
    return Reply(b"")


async def opens_a_tunnel_to_nothing(_: Received) -> Reply:
    """Claim that there is a tunnel, and answer with a picture that no seller made."""
    return Reply(b"HTTP/1.1 200 Connection established\r\n\r\n" + http_answer(200, [], png("not by the seller")))


def generate(board: Board, settings: Settings) -> int:
    """Do a run, within a minute; return its exit code."""
    return asyncio.run(asyncio.wait_for(generate_without_film(board.path, settings), 60))


def test_no_proxy_is_asked_for_this_machine(
    open_tally: OpenTally, tmp_path: Path, through: Callable[[int], None]
) -> None:
    """Neither for the embedded server nor for one that a user names: it would look for it on another machine."""
    tally, proxy, found = open_tally("a proxy before this machine"), Proxy(says(200)), list[Violation]()
    with selling_raw(always(ANSWERS["a PNG"])) as seller, serving_raw(proxy.answer) as port:
        through(port)
        urls = [f"http://{host}:{seller.port}" for host in ("127.0.0.1", "LOCALHOST", "127.1")]
        for number, url in enumerate((None, *urls)):
            board = write_board(tmp_path, f"near-{number}", frames=2)
            if exit_code := generate(board, settings_for(url, tmp_path)):
                found.append(("unforeseen", f"{url}: exit code {exit_code}"))
        found += [("unforeseen", f"asked of the proxy: {request.target}") for request in proxy.requests]
        if len(seller.book.sales) != 2 * len(urls):
            found.append(("lost", f"{len(seller.book.sales)} requests"))

    tally.enter(found, trials=1 + len(urls))


@dataclass(frozen=True, slots=True)
class ProxyCase:
    """A proxy's way, the address that is asked through it, and what each row and the run's end must be.

    Attributes:
        costs: whether the cost is zero, or unknown because the request may have reached the seller.
    """

    reply: Callable[[Received], Awaitable[Reply]]
    url: str
    row: tuple[str, str]
    costs: Decimal | None
    exit_code: int


PLAIN, TUNNELLED, FREE = "http://flux.test", "https://flux.test", Decimal(0)
CASES = {
    "407 to a request": ProxyCase(says(407), PLAIN, ("rejected", "407"), FREE, 5),
    "403 page": ProxyCase(says(403), PLAIN, ("refused", "403"), FREE, 5),
    "502 page": ProxyCase(says(502), PLAIN, ("failed", "502"), None, 4),
    "504 page": ProxyCase(says(504), PLAIN, ("failed", "504"), None, 4),
    "200 page": ProxyCase(says(200), PLAIN, ("unusable", "200"), None, 4),
    "302 to a login": ProxyCase(says(302, ("Location", "http://login.test/")), PLAIN, ("rejected", "302"), FREE, 5),
    "silence": ProxyCase(hangs, PLAIN, ("unknown", ""), None, 4),
    "no word": ProxyCase(hangs_up, PLAIN, ("unknown", ""), None, 4),
    "407 to a tunnel": ProxyCase(says(407), TUNNELLED, ("failed", ""), FREE, 5),
    "502 to a tunnel": ProxyCase(says(502), TUNNELLED, ("failed", ""), FREE, 5),
    "a tunnel to nothing": ProxyCase(opens_a_tunnel_to_nothing, TUNNELLED, ("failed", ""), FREE, 5),
    "silence at a tunnel": ProxyCase(hangs, TUNNELLED, ("failed", ""), FREE, 5),
    "no word at a tunnel": ProxyCase(hangs_up, TUNNELLED, ("failed", ""), FREE, 5),
}


def wrong(case: ProxyCase, story: Story, exit_code: int) -> Iterator[Violation]:
    """Yield rows and ends other than the case's."""
    for row in story.rows:
        cost = Decimal(row["cost_usd"]) if row["cost_usd"] else None
        if (row["status"], row["http_status"]) != case.row or row["file"]:
            yield "misread", f"{row['status']} {row['http_status']} {row['file']}, not {case.row}: {row['error']}"
        if cost != case.costs:
            yield "understated" if cost is not None else "misread", f"costs {cost}, not {case.costs}: {row['error']}"
    if not story.rows or exit_code != case.exit_code:
        yield "unforeseen", f"exit code {exit_code}, not {case.exit_code}: {len(story.rows)} rows"


def judge(case: ProxyCase, folder: Path) -> list[Violation]:
    """Do a run through a proxy of this kind, or through none that listens; return every promise that was broken."""
    folder.mkdir()
    board = write_board(folder, "far", frames=2, budget_usd=1)
    settings = settings_for(case.url, folder, read_timeout_s=PATIENCE_S, max_connects=2)
    return list(wrong(case, story_of(board.folder, []), generate(board, settings)))


def test_a_proxy_is_not_the_seller(open_tally: OpenTally, tmp_path: Path, through: Callable[[int], None]) -> None:
    """Nothing that it says is an image; what cannot have reached the seller costs nothing, what may have is open."""
    tally, found = open_tally("hostile proxies"), list[Violation]()
    for number, (name, case) in enumerate(CASES.items()):
        with serving_raw(case.reply) as port:
            through(port)
            found += [(kind, f"{name}: {detail}") for kind, detail in judge(case, tmp_path / f"case-{number}")]

    tally.enter(found, trials=len(CASES))


def test_a_proxy_that_passes_on_is_no_hindrance(
    open_tally: OpenTally, tmp_path: Path, through: Callable[[int], None]
) -> None:
    """What the seller states arrives, and its book is the ledger."""
    tally, board = open_tally("a proxy that passes on"), write_board(tmp_path, "far", frames=4)
    with selling_raw(always(ANSWERS["a PNG"])) as seller, serving_raw(seller.answer) as port:
        through(port)
        settings = settings_for(PLAIN, tmp_path)
        exit_code = generate(board, settings)

    story = story_of(board.folder, seller.book.sales)
    found = [*row_violations(story, BOUNDS), *kept_once(story), *sum_violations(story, settings.effective_database_url)]
    if exit_code or len(seller.book.sales) != 4:
        found.append(("unforeseen", f"exit code {exit_code}, {len(seller.book.sales)} requests"))
    tally.enter(found, trials=4)


def test_where_no_proxy_listens_nothing_was_sent(
    open_tally: OpenTally, tmp_path: Path, through: Callable[[int], None]
) -> None:
    """The run says that it cannot connect, and costs nothing."""
    tally = open_tally("a proxy that is down")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        through(taken.getsockname()[1])
        found = judge(ProxyCase(hangs, PLAIN, ("failed", ""), FREE, 5), tmp_path / "down")

    tally.enter(found, trials=1)
