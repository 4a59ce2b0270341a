"""Runs of one storyboard that begin side by side: they divide its takes, and share a budget, a stop and one film."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipelines.common.errors import (
    BudgetError,
    CredentialsRefusedError,
    EndpointError,
    IncompleteError,
    InterruptedRunError,
    StoryreelError,
)
from pipelines.common.settings import Settings
from pipelines.film.identity import EncoderBuild
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import RunState
from pipelines.ledger.schema import attempts, gates, leases, runs
from pipelines.run import context as run_context
from pipelines.run.local import run_locally
from pipelines.run.observer import RunObserver
from pipelines.run.result import RunResult
from pipelines.server.config import EngineKind, ServerConfig
from pipelines.server.running import serve_in_thread
from pipelines.storyboard.loader import load_storyboard
from tests.support.endpoint import Answer, refusal, served
from tests.support.patience import WAIT_S

FRAMES = 12
# What the API charges for one tile and four steps of a picture this large.
PLAIN_USD = Decimal("0.000758")
# Slow enough that the second run begins while the first is at work, and both have their turns.
RATE_LIMIT = 600


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A storyboard of twelve frames, a tenth of a second each."""
    path = tmp_path / "pets.yaml"
    path.write_text(
        "output: {size: 64x64}\ndefaults: {hold: 0.1s}\nprompts:\n" + "".join(f"- cat {n}\n" for n in range(FRAMES))
    )
    return path


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An endpoint that knows no limit, and takes its time."""
    with serve_in_thread(ServerConfig(EngineKind.PLAIN, latency_s=(0.2, 0.4), rate_limit=0)) as url:
        yield url


def settings_of(board: Path, endpoint: str, *, lane: str = "", **more: Any) -> Settings:
    """Return the settings of a run in a lane."""
    return Settings(
        output=board.parent / "outputs",
        endpoint=endpoint,
        model="sketch",
        rate_limit=more.pop("rate_limit", RATE_LIMIT),
        lane=lane,
        **more,
    )


async def ends(board: Path, settings: Settings, observer: RunObserver | None = None) -> RunResult | StoryreelError:
    """Return how a run ends."""
    try:
        return await run_locally(
            load_storyboard(board), settings, observer=observer or RunObserver(), handle_signals=False
        )
    except StoryreelError as error:
        return error


def table(board: Path, *columns: Any) -> list[tuple[Any, ...]]:
    """Return some columns of the ledger."""
    url = f"sqlite:///{board.parent}/outputs/storyreel.db"
    with Ledger.open_to_read(url) as ledger, ledger.database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(*columns))]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what runs bring about."""
    async with asyncio.timeout(WAIT_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


def kept(board: Path) -> int:
    """Return the number of takes that are kept so far."""
    if not (board.parent / "outputs/storyreel.db").is_file():
        return 0
    return sum(status == "ok" for (status,) in table(board, attempts.c.status))


async def test_two_runs_make_one_film(board: Path, endpoint: str) -> None:
    """Each take is generated once, in the lanes of both; the film is one run's, and both say that it is there."""
    first, second = await asyncio.gather(
        *(ends(board, settings_of(board, endpoint, lane=lane)) for lane in ("first", "second"))
    )

    assert isinstance(first, RunResult)
    assert isinstance(second, RunResult)
    assert (first.state, second.state) == (RunState.COMPLETED, RunState.COMPLETED)
    assert first.generated + second.generated == FRAMES
    assert min(first.generated, second.generated) > 0
    assert first.video == second.video == board.parent / "outputs/pets/pets.mp4"
    assert Counter(table(board, attempts.c.request_key)).most_common(1)[0][1] == 1
    assert {lane for (lane,) in table(board, attempts.c.lane)} == {"first", "second"}
    assert {lane for (lane,) in table(board, gates.c.lane)} == {"first", "second"}
    assert len({group for (group,) in table(board, runs.c.group_id)}) == 1
    assert table(board, leases.c.request_key) == []


async def test_a_budget_holds_over_all_runs(board: Path, endpoint: str) -> None:
    """Not one for each: it stops all of them, and is never passed."""
    budget_usd = 5 * PLAIN_USD

    errors = await asyncio.gather(
        *(
            ends(board, settings_of(board, endpoint, lane=lane, budget_usd=budget_usd, on_exceed="stop"))
            for lane in ("first", "second")
        )
    )

    assert all(isinstance(error, BudgetError) for error in errors)
    spent = [usd for (usd,) in table(board, attempts.c.cost_usd)]
    assert sum(spent, Decimal(0)) == budget_usd


async def test_a_stop_reaches_all_runs(board: Path, endpoint: str) -> None:
    """Within two seconds, through the ledger; what is in flight is kept."""
    observers = [RunObserver(), RunObserver()]
    slow = [settings_of(board, endpoint, lane=lane, rate_limit=60) for lane in ("first", "second")]
    going = [asyncio.create_task(ends(board, each, observer)) for each, observer in zip(slow, observers, strict=True)]
    await until(lambda: kept(board) >= 2)

    stopped = time.monotonic()
    observers[1].interrupt(InterruptedRunError("Ctrl-C"), grace_period_s=WAIT_S)
    await until(lambda: observers[0].stop_signal.stopped)
    reached_s = time.monotonic() - stopped
    errors = await asyncio.gather(*going)

    assert [str(error) for error in errors] == ["Ctrl-C", "Ctrl-C"]
    assert reached_s < WAIT_S / 10
    assert {status for (status,) in table(board, attempts.c.status)} == {"ok"}


async def test_refused_credentials_stop_all_runs(board: Path) -> None:
    """The account is the same, whatever the machine."""
    with served(lambda body, number: refusal(401, "10000: Authentication error")) as refusing:
        errors = await asyncio.gather(
            *(ends(board, settings_of(board, refusing.url, lane=lane)) for lane in ("first", "second"))
        )

    assert all(isinstance(error, EndpointError) for error in errors)
    assert sum(isinstance(error, CredentialsRefusedError) for error in errors) >= 1


async def test_a_take_that_one_run_has_given_up_is_not_tried_by_another(board: Path, endpoint: str) -> None:
    """The bounds on retries hold over all runs; both tell the reason."""
    asked = Counter[str]()

    def answer(body: dict[str, Any], number: int) -> Answer:
        asked[body["prompt"]] += 1
        return refusal(400, f"5005: no such thing as {body['prompt']}")

    (board.parent / "pets.yaml").write_text("output: {size: 64x64}\nprompts: [a cat, a dog, a bird]\n")
    with served(answer) as rejecting:
        errors = await asyncio.gather(
            *(ends(board, settings_of(board, rejecting.url, lane=lane, rate_limit=120)) for lane in ("a", "b"))
        )

    assert asked == {"a cat": 1, "a dog": 1, "a bird": 1}
    assert all("no such thing as a cat" in str(error) for error in errors)


async def test_a_run_that_makes_something_else_shares_nothing(board: Path, endpoint: str, tmp_path: Path) -> None:
    """An edited storyboard, rendered while the first one still is, gets a film of its own."""
    first = asyncio.create_task(ends(board, settings_of(board, endpoint)))
    await until(lambda: kept(board) > 0)
    board.write_text(board.read_text().replace("hold: 0.1s", "hold: 0.2s"))

    second = await ends(board, settings_of(board, endpoint))

    assert isinstance(second, RunResult)
    assert isinstance(await first, RunResult)
    assert second.video_seconds == pytest.approx(FRAMES * 0.2, abs=0.1)
    assert len({group for (group,) in table(board, runs.c.group_id)}) == 2


async def test_unlike_encoders_are_told_and_not_joined(
    board: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that makes the film encodes all of it."""
    builds = iter([EncoderBuild("a", "ffmpeg 7.1"), EncoderBuild("b", "ffmpeg 6.0")])
    monkeypatch.setattr(run_context, "encoder_build", lambda _: next(builds))

    results = await asyncio.gather(*(ends(board, settings_of(board, endpoint, lane=lane)) for lane in ("a", "b")))

    remarks = [remark for result in results if isinstance(result, RunResult) for remark in result.remarks]
    assert [remark for remark in remarks if "ffmpeg 7.1" in remark and "ffmpeg 6.0" in remark] == remarks
    assert len(remarks) == 1


RENDER = """
import asyncio, sys
from pathlib import Path
from tests.integration.test_groups import ends, settings_of
board = Path(sys.argv[1])
asyncio.run(ends(board, settings_of(board, sys.argv[2], lane="conductor", rate_limit=60)))
"""


async def test_the_others_stop_when_the_run_that_makes_the_film_is_killed(board: Path, endpoint: str) -> None:
    """What they hold is kept; rendering again goes on, and pays for nothing twice but what was in flight."""
    conductor = subprocess.Popen([sys.executable, "-c", RENDER, str(board), endpoint], cwd=Path(__file__).parents[2])
    await until(lambda: kept(board) > 0)
    other = asyncio.create_task(ends(board, settings_of(board, endpoint, lane="other", rate_limit=60)))
    await until(lambda: len(table(board, runs.c.run_id)) == 2)

    conductor.send_signal(signal.SIGKILL)
    conductor.wait(WAIT_S)
    error = await other
    again = await ends(board, settings_of(board, endpoint))

    assert isinstance(error, IncompleteError)
    assert "the run that makes the film died" in str(error)
    assert isinstance(again, RunResult)
    assert again.state is RunState.COMPLETED
    sent = Counter(key for (key,) in table(board, attempts.c.request_key))
    uncertain = [key for key, status in table(board, attempts.c.request_key, attempts.c.status) if status == "unknown"]
    assert {key for key, count in sent.items() if count > 1} <= set(uncertain)
