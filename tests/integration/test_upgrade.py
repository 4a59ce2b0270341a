"""An output folder made by version 0.1: today's code reads all of it, and generates nothing again.

`tests/fixtures/made_by_0_1` holds a storyboard, and what three commands of version 0.1 left of it: a render with an
answer that never came and a refusal for the rate limit, a re-roll with a prompt of its own, and a pick.
"""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.cli.following import follow_last_run
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, RunState
from pipelines.ledger.schema import SCHEMA_VERSION
from pipelines.report.statement import statement_of
from pipelines.report.status import status_of
from pipelines.run.local import run_locally
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Storyboard
from pipelines.storyboard.plan import Plan, plan_frames
from pipelines.storyboard.quote import quote_takes
from pipelines.takes.inventory import read_inventory
from tests.support.older_ledgers import OLDER_VERSIONS, statements_back_to

MADE_BY_0_1 = Path(__file__).parent.parent / "fixtures" / "made_by_0_1"
# Frozen: a request key that changed would have every take generated, and paid for, once more.
REQUEST_KEYS = {
    (0, 1): "60c4f478fb8e5c1931aae97c5db9e98b58c500c87b730a094e4f9b113defa771",
    (0, 2): "9ded5b2aaf64f003ad1fdec79d09f5cdff6ca7585e17b858f42a61012e6930d1",
    (1, 1): "a9ec32c86b7cc10bc1e25354ce261c38f199f38d2560ac329a14c57fa995d1cd",
    (2, 1): "34f91efc6f77dbdfeb1b542745c5b6822ddb074cd4dff75e3e3c688da8cfddc7",
    (2, 2): "a4067549b26ce17c13ea1c0c7e26988e91b55584b2d2ffdde315473c0fe907c5",
}
COST_USD = Decimal("0.00161")
UNCERTAIN_USD = Decimal("0.000322")


@pytest.fixture
def board(tmp_path: Path) -> Storyboard:
    """A copy of the storyboard, with its output folder beside it."""
    shutil.copytree(MADE_BY_0_1, tmp_path, dirs_exist_ok=True)
    return load_storyboard(tmp_path / "harbor.yaml")


@pytest.fixture
def settings(board: Storyboard, tmp_path: Path) -> Settings:
    """The settings that the folder was made with; nothing listens at the endpoint."""
    return Settings(output=tmp_path / "output", endpoint="http://127.0.0.1:8787", model="flux-1-schnell")


@pytest.fixture
def plan(board: Storyboard) -> Plan:
    return plan_frames(board, model="flux-1-schnell")


@pytest.mark.parametrize("version", [*OLDER_VERSIONS, SCHEMA_VERSION])
def test_the_last_real_run_of_an_older_ledger_is_followed(tmp_path: Path, board: Storyboard, version: int) -> None:
    """By a command that only looks, whatever schema it finds."""
    told_nothing = Settings(output=tmp_path / "output")
    Ledger.open(told_nothing.effective_database_url).close()
    if version < SCHEMA_VERSION:
        with closing(sqlite3.connect(tmp_path / "output/storyreel.db")) as ledger, ledger:
            for statement in statements_back_to(version):
                ledger.execute(statement)

    followed = follow_last_run(told_nothing, board, asks=True)

    assert (followed.endpoint, followed.dialect, followed.model) == ("http://127.0.0.1:8787", "flux", "flux-1-schnell")


def test_every_attempt_and_every_cent_is_found(settings: Settings) -> None:
    """As many as there were, and how they ended."""
    with Ledger.open(settings.effective_database_url) as ledger:
        totals = ledger.storyboard_totals("harbor", simulated=False)
        simulated = ledger.storyboard_totals("harbor", simulated=True)

    assert (totals.requests, totals.open, simulated.requests) == (8, 0, 0)
    assert totals.by_status == {AttemptStatus.OK: 5, AttemptStatus.RATE_LIMITED: 2, AttemptStatus.UNKNOWN: 1}
    assert (totals.cost.usd, totals.uncertain_usd) == (COST_USD, UNCERTAIN_USD)


def test_every_take_is_found_and_the_pick_holds(settings: Settings, plan: Plan) -> None:
    """Also the one of the re-roll, with its own prompt."""
    frames = read_inventory(plan, settings).frames

    assert [[take.spec.number for take in frame.takes] for frame in frames] == [[1, 2], [1], [1, 2]]
    assert [frame.picked for frame in frames] == [None, None, 2]
    assert [frame.selected.spec.number for frame in frames if frame.selected] == [1, 1, 2]
    assert frames[2].takes[1].prompt == "a lamp burns low in the window"


def test_request_keys_are_those_of_then(settings: Settings, plan: Plan) -> None:
    """The takes' files are named after them."""
    known = read_inventory(plan, settings).known
    files = {path.stem for path in (settings.output / "harbor" / "takes").glob("*.png")}

    assert {(spec.frame.number, spec.number): spec.request_key for spec in known} == REQUEST_KEYS
    assert files == set(REQUEST_KEYS.values())


def test_a_quote_is_for_nothing(settings: Settings, plan: Plan) -> None:
    """All that the storyboard asks for is there."""
    inventory = read_inventory(plan, settings)

    quote = quote_takes(
        inventory.requested, frames=len(plan.frames), settings=settings, kept=inventory.found.takes.keys()
    )

    assert (quote.reuse, quote.generate) == (4, 0)
    assert quote.price.usd == quote.worst_case_usd == 0


def test_the_ledger_agrees_with_the_folder(settings: Settings) -> None:
    """Takes, prices, sums, and ledger.csv to the byte."""
    statement = statement_of(settings, "harbor", verify=True, csv_path=None)

    assert (statement.differences, statement.unsettled) == ([], [2])


def test_the_status_of_the_last_run_is_read(settings: Settings) -> None:
    """The run that cut the film again after the pick."""
    status = status_of(settings, "harbor")

    (run,) = status.runs
    found = {key: run.as_json()[key] for key in ("state", "stage", "frames", "reused", "to_buy", "bought", "pieces")}
    assert found == {
        "state": "Completed",
        "stage": "writing the report",
        "frames": 3,
        "reused": 3,
        "to_buy": 0,
        "bought": 0,
        "pieces": 1,
    }
    assert status.lines()[1:] == ["  frames  3 of 3: 3 reused", "  spent   0 USD for 0 requests"]


@pytest.mark.ffmpeg
def test_a_run_sends_nothing_and_makes_the_film(board: Storyboard, settings: Settings) -> None:
    """Whole again from what is there."""
    takes = {path: path.read_bytes() for path in (settings.output / "harbor" / "takes").iterdir()}
    (settings.output / "harbor" / "harbor.mp4").unlink()

    result = asyncio.run(run_locally(board, settings))

    assert (result.state, result.frames, result.reused, result.generated) == (RunState.COMPLETED, 3, 4, 0)
    assert (result.requests, result.cost_usd, result.remarks) == (0, Decimal(0), ())
    assert result.video == settings.output / "harbor" / "harbor.mp4"
    assert result.video_seconds == 0.75
    assert {path: path.read_bytes() for path in (settings.output / "harbor" / "takes").iterdir()} == takes
    with Ledger.open(settings.effective_database_url) as ledger:
        assert ledger.storyboard_totals("harbor", simulated=False).requests == 8


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_a_ledger_of_an_older_schema_opens_without_loss(settings: Settings, version: int) -> None:
    """Every attempt, every sum; the CSV does not change by a byte."""
    Ledger.open(settings.effective_database_url).close()
    with closing(sqlite3.connect(settings.output / "storyreel.db")) as database:
        database.executescript(";\n".join(statements_back_to(version)))

    with Ledger.open(settings.effective_database_url) as ledger:
        totals = ledger.storyboard_totals("harbor", simulated=False)
        differences = ledger.verify("harbor", folder=settings.output / "harbor")
        history = ledger.attempt_history("harbor")

    assert [attempt.cost_usd for attempt in history].count(None) == 1
    assert (totals.requests, totals.cost.usd, totals.uncertain_usd) == (8, COST_USD, UNCERTAIN_USD)
    assert differences == []
