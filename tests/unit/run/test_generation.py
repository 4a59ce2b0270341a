"""Takes are generated in rounds: what another run is generating is waited for, but not for ever."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from pipelines.common.errors import InterruptedRunError
from pipelines.common.settings import Settings
from pipelines.ledger.models import AttemptRequest
from pipelines.run import generation
from pipelines.run.context import RunContext, open_run
from pipelines.run.generation import Generate, Generating, Settled, generate_missing
from pipelines.run.observer import RunObserver
from pipelines.run.outcomes import Failed, Generated, Postponed, Reused, TakeOutcome, Unsent
from pipelines.run.preparation import prepare_run
from pipelines.run.worker import TakeGenerator
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import TakeSpec
from tests.support import builders


@contextlib.asynccontextmanager
async def opened_run(folder: Path, *, max_wait_s: float = 60) -> AsyncIterator[RunContext]:
    """Open a run of three frames."""
    path = folder / "pets.yaml"
    path.write_text("prompts: [a cat, a dog, a bird]\n")
    settings = Settings(output=folder / "outputs", max_wait_s=max_wait_s)
    async with open_run(await prepare_run(load_storyboard(path), settings), RunObserver()) as context:
        yield context


def specs_of(context: RunContext) -> tuple[TakeSpec, ...]:
    return tuple(frame.first_take for frame in context.plan.frames)


def answering(outcome_of: Callable[[TakeSpec], TakeOutcome]) -> Generating:
    """Return a way to generate takes that asks no endpoint."""

    async def generate(spec: TakeSpec) -> TakeOutcome:
        return outcome_of(spec)

    @contextlib.asynccontextmanager
    async def generating(_: TakeGenerator, takes: Sequence[TakeSpec], settled: Settled) -> AsyncIterator[Generate]:
        yield generate

    return generating


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after other runs without a wait."""
    monkeypatch.setattr(generation, "_LOOK_AGAIN_S", 0.01)


async def test_takes_are_generated_in_their_order(tmp_path: Path) -> None:
    """Each outcome is handed on as it comes."""
    seen: list[TakeOutcome] = []
    async with opened_run(tmp_path) as context:
        specs = specs_of(context)

        outcomes = await generate_missing(
            context, specs, answering(lambda spec: Generated(spec, 1)), on_outcome=seen.append
        )

    assert outcomes == seen == [Generated(spec, 1) for spec in specs]


async def test_a_take_that_is_postponed_has_its_turn_again(tmp_path: Path) -> None:
    """Until the other run has it, or has given it up."""
    turns: list[int] = []

    def outcome_of(spec: TakeSpec) -> TakeOutcome:
        turns.append(spec.frame.number)
        return Postponed(spec) if turns in ([0], [0, 1, 2, 0]) else Reused(spec)

    async with opened_run(tmp_path) as context:
        specs = specs_of(context)

        outcomes = await generate_missing(context, specs, answering(outcome_of), on_outcome=lambda _: None)

    assert turns == [0, 1, 2, 0, 0]
    assert outcomes == [Reused(specs[1]), Reused(specs[2]), Reused(specs[0])]


async def test_a_take_that_another_run_holds_is_not_asked_for(tmp_path: Path) -> None:
    """Its turn comes when the other run has let go of it."""
    async with opened_run(tmp_path) as context:
        specs, ledger, other = specs_of(context), context.ledger.blocking, builders.run("other", storyboard="other")
        ledger.start_run(other)
        gate = ledger.gate(other, rate_limit=720)
        gate.admit(AttemptRequest(specs[0], specs[0].prompt, 1))
        turns: list[int] = []

        def outcome_of(spec: TakeSpec) -> TakeOutcome:
            turns.append(spec.frame.number)
            gate.release([specs[0].request_key])
            return Generated(spec, 1)

        await generate_missing(context, specs, answering(outcome_of), on_outcome=lambda _: None)

    assert turns == [1, 2, 0]


async def test_another_run_is_not_waited_for_longer_than_the_settings_allow(tmp_path: Path) -> None:
    """The take has failed then, with the reason."""
    async with opened_run(tmp_path, max_wait_s=0) as context:
        specs = specs_of(context)

        outcomes = await generate_missing(context, specs[:1], answering(Postponed), on_outcome=lambda _: None)

    assert outcomes == [Failed(specs[0], "another run has been generating it for too long")]


async def test_a_run_that_is_stopped_begins_no_other_round(tmp_path: Path) -> None:
    """What was not sent stays missing."""
    async with opened_run(tmp_path) as context:
        specs = specs_of(context)

        def outcome_of(spec: TakeSpec) -> TakeOutcome:
            context.observer.stop_signal.stop(InterruptedRunError("stop"))
            return Unsent(spec)

        outcomes = await generate_missing(context, specs, answering(outcome_of), on_outcome=lambda _: None)

    # Those that had begun when the stop came, each once.
    assert outcomes == [Unsent(spec) for spec in specs][: len(outcomes)]
    assert outcomes
