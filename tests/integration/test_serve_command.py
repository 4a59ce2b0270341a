"""`storyreel serve` as a process: what it refuses, whom it lets ask, and what its book says after a crash."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.common.formatting import format_decimal
from tests.conftest import Storyreel, clean_environment, serving, wait_until
from tests.support.accounts import stats
from tests.support.endpoint import Answer, served
from tests.support.patience import WAIT_S
from tests.support.pictures import picture_bytes
from tests.support.upstreams import book_rows

REPOSITORY = Path(__file__).parents[2]
ASK = {"prompt": "a quiet harbor", "steps": 1}
PRICE = Decimal("0.000322")
PICTURE = picture_bytes("PNG", (64, 48))


@dataclass(frozen=True, slots=True)
class Server:
    """The command while it serves: its process, its address, and all that it said."""

    process: subprocess.Popen[str]
    url: str
    said: str


@contextlib.contextmanager
def serve(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """Run the command in a folder for as long as the block lasts."""
    command = [sys.executable, "-m", "pipelines", "serve", "--port", "0", *options]
    env = clean_environment(PYTHONPATH=str(REPOSITORY), **environment)
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # Where the endpoint comes from, if from a .env; the address; how to ask.
        said = [process.stderr.readline()]
        while "curl" not in said[-1]:
            said.append(process.stderr.readline())
        address = said[-2].split(" on ")[1].split()[0]
        try:
            yield Server(process, address.replace("0.0.0.0", "127.0.0.1"), "".join(said))
        finally:
            process.terminate()
            process.wait(WAIT_S)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--engine", "upstream"],
            "--engine upstream: needs an endpoint to ask; give --endpoint, or set STORYREEL_ENDPOINT",
        ),
        (
            ["--engine", "upstream", "--endpoint", "http://127.0.0.1:1", "--fault", "hang=1"],
            "--fault: is for the engines that draw; what an endpoint answers is passed on as it is",
        ),
        (
            ["--engine", "upstream", "--endpoint", "http://127.0.0.1:1", "--latency", "2"],
            "--latency: is for the engines that draw; what an endpoint answers is passed on as it is",
        ),
        (["--endpoint", "http://127.0.0.1:1"], "--endpoint: is for --engine upstream"),
        (["--book", "other.db"], "--book: is for --engine upstream"),
        (
            ["--engine", "upstream", "--endpoint", "http://127.0.0.1:1", "--dialect", "fluks"],
            "--dialect: unknown dialect 'fluks'; did you mean 'flux'?",
        ),
        (
            ["--host", "0.0.0.0"],
            "--host 0.0.0.0: other machines could ask this API too; set STORYREEL_SERVE_TOKEN, a token that their "
            "requests must then carry, or use 127.0.0.1",
        ),
        (
            ["--host", "flux.example"],
            "--host flux.example: must be an IP address of this machine, like 127.0.0.1 or 0.0.0.0",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_served_is_refused(storyreel: Storyreel, arguments: list[str], error: str) -> None:
    """Before anything listens, with the cure."""
    ended = storyreel("serve", "--port", "0", *arguments)

    assert (ended.exit_code, ended.stderr) == (2, f"{error}\n")


def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(storyreel: Storyreel) -> None:
    """An empty one, too: it would let everybody ask."""
    ended = [storyreel("serve", "--host", "0.0.0.0", STORYREEL_SERVE_TOKEN=token) for token in ("", "two words")]

    said = "STORYREEL_SERVE_TOKEN: must be letters, digits and signs, without spaces\n"
    assert [(one.exit_code, one.stderr) for one in ended] == [(2, said)] * 2


@pytest.mark.slow
def test_other_machines_ask_with_the_token(tmp_path: Path) -> None:
    """The line that is shown names its variable, never the token."""
    with serve(tmp_path, "--engine", "plain", "--host", "0.0.0.0", STORYREEL_SERVE_TOKEN="s3cret") as server:
        statuses = [
            httpx.post(server.url, json=ASK, headers=headers, timeout=WAIT_S).status_code
            for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Bearer s3cret"})
        ]

    assert statuses == [500, 500, 200]
    assert '-H "Authorization: Bearer $STORYREEL_SERVE_TOKEN"' in server.said
    assert "s3cret" not in server.said


@pytest.mark.slow
def test_the_working_folder_says_what_stands_behind(tmp_path: Path) -> None:
    """Endpoint and model in .env, as for a render; the book is in the folder."""
    with served(lambda *_: Answer(200, PICTURE, {"X-Cost-USD": "0.000322"})) as endpoint:
        (tmp_path / ".env").write_text(f"STORYREEL_ENDPOINT={endpoint.url}\nSTORYREEL_MODEL=painter\n")
        with serve(tmp_path, "--engine", "upstream") as server:
            answer = httpx.post(server.url, json=ASK, timeout=WAIT_S)

    assert (answer.content, answer.headers["X-Model"]) == (PICTURE, "painter")
    assert [row["cost_usd"] for row in book_rows(tmp_path / "storyreel-serve.db")] == ["0.000322"]


def figures_by_hand(rows: list[dict[str, Any]]) -> dict[str, object]:
    """Return what the book's totals are to be."""
    costs = [Decimal(row["cost_usd"]) for row in rows if row["cost_usd"] is not None]
    return {
        "requests": len(rows),
        "by_status": Counter(str(row["status"] or "none") for row in rows),
        "billed_usd": format_decimal(sum(costs, Decimal(0))),
        "images": sum(row["status"] == 200 for row in rows),
        "uncertain": sum(row["cost_usd"] is None for row in rows),
    }


@pytest.mark.slow
def test_a_kill_in_flight_loses_no_request_and_no_cent(tmp_path: Path) -> None:
    """Every request that reached the seller has a row; what was in flight is uncertain, all else known exactly."""
    arrived: list[int] = []

    def ask(url: str) -> None:
        with contextlib.suppress(httpx.HTTPError):
            while True:
                arrived.append(httpx.post(url, json=ASK, timeout=WAIT_S).status_code)

    with serving(latency_s=(0.1, 0.6), rate_limit=0) as seller:
        options = ("--engine", "upstream", "--endpoint", seller, "--model", "sketch", "--rate-limit", "0")
        with serve(tmp_path, *options) as server:
            clients = [threading.Thread(target=ask, args=(server.url,)) for _ in range(8)]
            for client in clients:
                client.start()
            wait_until(lambda: len(arrived) >= 20)
            os.kill(server.process.pid, signal.SIGKILL)
            for client in clients:
                client.join(WAIT_S)
        wait_until(lambda: sum(stats(seller)["by_status"].values()) == stats(seller)["requests"])
        with serve(tmp_path, *options) as server:
            figures, account = stats(server.url), stats(seller)
    rows = book_rows(tmp_path / "storyreel-serve.db")

    expected = figures_by_hand(rows)
    assert {name: figures[name] for name in expected} == expected
    assert all(row["ended_at"] is not None for row in rows)
    assert 0 < figures["uncertain"] <= 8
    # What was entered and never left is among the uncertain.
    assert account["requests"] <= figures["requests"]
    assert figures["images"] >= arrived.count(200) >= 20
    billed, known = Decimal(account["billed_usd"]), Decimal(figures["billed_usd"])
    assert known <= billed <= known + figures["uncertain"] * PRICE
