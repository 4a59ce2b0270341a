"""Campaign: every fault of the served API, rare and constant, alone and mixed: runs end well, and the ledger agrees."""

import asyncio
import json
import random
import shutil
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from pipelines.common.settings import Settings
from pipelines.server.config import FaultKind
from tests.campaigns.fault_policy import Aftermath, Kind, Trial, Violation, incomplete, read_rows, violations
from tests.campaigns.runs import generate_without_film
from tests.campaigns.seller import selling
from tests.campaigns.tally import LONG, SEED, OpenTally, Tally
from tests.campaigns.ways import FLUX, WAYS, Way
from tests.conftest import Storyreel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_pauses")]

MIXTURES = 100 if LONG else 8
COMMANDS = 8 if LONG else 1
FRAMES = 24 if LONG else 6
LATENCIES_S = ((0.0, 0.0), (0.0, 0.2), (0.0, 2.0), (0.0, 10.0)) if LONG else ((0.0, 0.0), (0.0, 0.2))
AT_ONCE = 8

# Does one run of a trial, with this storyboard, at this address; returns the exit code.
RunTrial = Callable[[Trial, Path, str], int]


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of a trial."""

    trial: Trial
    violations: list[Violation]
    requests: int = 0
    struck: int = 0


def draw_trial(rng: random.Random, faults: dict[Kind, float], way: Way) -> Trial:
    """Draw everything but the faults."""
    latency_s = rng.choice(LATENCIES_S)
    # Now and then too short for half of the answers: these count as unknown.
    hasty = rng.random() < 0.1
    read_timeout_s = max(latency_s[1] / 2, 0.05) if hasty else enough_patience_s(faults, latency_s[1])
    drawn = Trial(
        seed=rng.randrange(1 << 30),
        faults=faults,
        frames=FRAMES,
        latency_s=latency_s,
        read_timeout_s=read_timeout_s,
        max_resends=rng.choice((0, 1, 1, 2, 3)),
        max_refusals=rng.choice((1, 2, 3)),
        max_rate_limited=rng.choice((1, 2, 3, 4)),
        retry_quota=rng.choice((None, None, 0, 3)),
        fallbacks=rng.choice((0, 1)),
        way=way,
    )
    # A trial that no fault strikes would try nothing.
    while not any(drawn.drawn(drawn.frames)):
        drawn = replace(drawn, seed=rng.randrange(1 << 30))
    return drawn


def enough_patience_s(faults: dict[Kind, float], latency_s: float) -> float:
    """Return how long an answer is waited for so that none comes too late; not as long where some never come."""
    return latency_s + (1 if FaultKind.HANG in faults else 20)


def kinds_of(way: Way) -> list[Kind]:
    """Return every kind of fault that a seller has in its dialect."""
    return [*FaultKind, *way.form_faults]


def draw_mixture(rng: random.Random, way: Way) -> dict[Kind, float]:
    """Draw some kinds of faults, together rare, common, or striking every request."""
    kinds = rng.sample(kinds_of(way), rng.randint(2, 5))
    weights = [rng.random() for _ in kinds]
    share = rng.choice((0.05, 0.3, 0.6, 1.0)) / sum(weights)
    return {kind: weight * share for kind, weight in zip(kinds, weights, strict=True)}


def draw_trials(way: Way) -> list[Trial]:
    """Draw a trial for each kind of fault, rare, common and constant, and the mixtures.

    Dialects differ in what constant faults show, and in what kinds there are to mix: in short, that is tried in each.
    """
    rng = random.Random(f"trials {SEED}")
    sometimes: list[dict[Kind, float]] = [{kind: rate} for kind in kinds_of(way) for rate in (0.01, 0.2)]
    mixtures = [draw_mixture(rng, way) for _ in range(MIXTURES if way is FLUX else MIXTURES // 4)]
    constant = [with_roomy_bounds(draw_trial(rng, {kind: 1.0}, way)) for kind in kinds_of(way)]
    others = [*sometimes, *mixtures] if LONG or way is FLUX else mixtures
    return [*constant, *(draw_trial(rng, faults, way) for faults in others)]


def with_roomy_bounds(trial: Trial) -> Trial:
    """Return the trial with bounds that a constant fault meets, each unhidden by another."""
    patience_s = enough_patience_s(trial.faults, trial.latency_s[1])
    return replace(
        trial, read_timeout_s=patience_s, max_resends=3, max_refusals=2, max_rate_limited=3, retry_quota=None
    )


def write_board(folder: Path, trial: Trial) -> Path:
    """Write the storyboard of a trial."""
    fallbacks = [f"any harbor, version {number}" for number in range(trial.fallbacks)]
    shots = [{"id": f"view-{n}", "prompt": f"view {n}", "fallback_prompts": fallbacks} for n in range(trial.frames)]
    board = {
        "title": "A quiet harbor",
        "output": {"fps": 12, "size": "192x192"},
        "defaults": {"aspect": "1:1", "steps": 1, "hold": 0.25},
        "scenes": [{"id": "harbor", "shots": shots}],
    }
    path = folder / "film.yaml"
    path.write_text(json.dumps(board))
    return path


def generate_frames(trial: Trial, board: Path, url: str) -> int:
    """Do a whole run below Prefect, within the longest time that its bounds allow."""
    settings = Settings(endpoint=url, model=trial.way.model, output=board.parent / "outputs", **trial.settings())
    longest_s = trial.bound_s(trial.most_attempts, trial.most_attempts * trial.frames)
    return asyncio.run(asyncio.wait_for(generate_without_film(board, settings), longest_s))


def run_against_seller(trial: Trial, board: Path, run: RunTrial) -> Aftermath:
    """Do one run of a trial, and gather what it left."""
    folder = board.parent / "outputs/film"
    earlier = read_rows(folder)
    missing = set(range(trial.frames)) - {int(row["frame"]) for row in earlier if row["status"] == "ok"}
    with selling(trial.server(), way=trial.way, form_faults=trial.form_faults) as seller:
        start = time.monotonic()
        exit_code = run(trial, board, seller.url)
        elapsed_s = time.monotonic() - start
        seller.settle()
    return Aftermath(trial, folder, missing, exit_code, elapsed_s, read_rows(folder)[len(earlier) :], seller.sales)


def judge(trial: Trial, folder: Path, run: RunTrial) -> Judged:
    """Do the run, and a second one without faults to complete it; check what each left."""
    folder.mkdir()
    board = write_board(folder, trial)
    try:
        first = run_against_seller(trial, board, run)
        found = violations(first)
        patient = replace(trial, faults={}, latency_s=(0, 0), read_timeout_s=30)
        second = run_against_seller(patient, board, run)
        found += [*violations(second), *incomplete(second)]
        struck = sum(kind is not None for kind in trial.drawn(len(first.sales)))
        return Judged(trial, found, len(first.rows) + len(second.rows), struck)
    except Exception:  # noqa: BLE001 - a run must not end in any foreign exception
        return Judged(trial, [("unforeseen", traceback.format_exc())])
    finally:
        shutil.rmtree(folder)


def enter(tally: Tally, trials: list[Judged]) -> None:
    """Fill in the tally, and fail with every detail if a promise was broken."""
    tally.trials = len(trials)
    tally.remarks = f"{sum(one.requests for one in trials)} requests, {sum(one.struck for one in trials)} went wrong"
    details = [(promise, detail, one.trial) for one in trials for promise, detail in one.violations]
    for promise, _, _ in details:
        setattr(tally, promise, getattr(tally, promise) + 1)
    assert not tally.violations, "\n".join(f"{promise}: {detail}\n  {trial}" for promise, detail, trial in details)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_any_fault_ends_in_an_agreeing_ledger(open_tally: OpenTally, tmp_path: Path, way: Way) -> None:
    """Whole runs below Prefect: every kind of fault at 1 %, 20 % and 100 %, and mixtures."""
    tally, trials = open_tally(f"faults of the endpoint, {way.name}"), draw_trials(way)
    folders = [tmp_path / str(number) for number in range(len(trials))]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        judged = list(pool.map(partial(judge, run=generate_frames), trials, folders))

    enter(tally, judged)


def test_the_command_ends_well_under_any_fault(
    open_tally: OpenTally, tmp_path: Path, storyreel_on_prefect: Storyreel
) -> None:
    """The same through the command itself, Prefect, film and all."""
    tally, rng = open_tally("faults of the endpoint, by the command"), random.Random(f"commands {SEED}")

    def render(trial: Trial, board: Path, url: str) -> int:
        given = {name: value for name, value in trial.settings().items() if value is not None}
        variables = {f"STORYREEL_{name.upper()}": str(value) for name, value in given.items()}
        where = ("--endpoint", url, "--model", trial.way.model, "--output", str(board.parent / "outputs"))
        ended = storyreel_on_prefect("render", str(board), *where, "--json", **variables)
        assert "Traceback" not in ended.stderr, ended.stderr
        assert (ended.json["state"] == "Completed") == (ended.exit_code == 0), ended
        return ended.exit_code

    trials = [draw_trial(rng, draw_mixture(rng, way), way) for _ in range(COMMANDS) for way in WAYS]
    enter(tally, [judge(trial, tmp_path / f"command-{number}", render) for number, trial in enumerate(trials)])
