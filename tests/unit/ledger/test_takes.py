"""Takes besides the first, and picks: each number is given once, to one run; the last pick counts."""

from collections.abc import Collection, Sequence

import pytest

from pipelines.common.errors import UsageError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import RequestedTake, Run, RunState
from pipelines.ledger.takes import MOST_TAKES
from pipelines.storyboard.plan import FrameSpec, TakeSpec, take_of
from tests.support.builders import MODEL, frame_spec, run

pytestmark = pytest.mark.usefixtures("database")

HARBOR = frame_spec(0)
STORM = frame_spec(1, prompt="a storm")


def ask(
    ledger: Ledger,
    which: Run,
    frames: Sequence[FrameSpec],
    *,
    count: int = 1,
    prompt: str | None = None,
    kept: Collection[str] = (),
) -> list[TakeSpec]:
    """Request more takes of `frames`, where those of the keys `kept` are there."""
    return ledger.request_more_takes(which, frames, count=count, prompt=prompt, kept=kept)


def numbers(specs: Sequence[TakeSpec]) -> list[tuple[int, int]]:
    """Return the numbers of frame and take of each spec."""
    return [(spec.frame.number, spec.number) for spec in specs]


def started(ledger: Ledger, run_id: str) -> Run:
    """Enter a run of this process, which lives."""
    ledger.start_run(run(run_id))
    return run(run_id)


def test_more_takes_follow_those_that_are_there(ledger: Ledger) -> None:
    """All first ones come before all second ones."""
    kept = {HARBOR.request_key, STORM.request_key, take_of(STORM, 2, model=MODEL).request_key}

    asked = ask(ledger, started(ledger, "run-1"), [HARBOR, STORM], count=2, kept=kept)

    assert numbers(asked) == [(0, 2), (1, 3), (0, 3), (1, 4)]
    assert asked[0] == take_of(HARBOR, 2, model=MODEL)


def test_a_frame_that_has_none_gets_its_first(ledger: Ledger) -> None:
    """There is no second take before there is a first."""
    assert numbers(ask(ledger, started(ledger, "run-1"), [HARBOR], count=2)) == [(0, 1), (0, 2)]


def test_a_prompt_of_its_own_never_replaces_a_take_that_the_storyboard_asks_for(ledger: Ledger) -> None:
    """Its numbers begin after those that the storyboard asks for, generated or not."""
    of_three_takes = frame_spec(0, takes=3)

    [asked] = ask(ledger, started(ledger, "run-1"), [of_three_takes], prompt="fog", kept={HARBOR.request_key})

    assert (asked.number, asked.prompt, asked.fallback_prompts) == (4, "fog", ())
    assert ledger.requested_takes("harbor") == [
        RequestedTake(HARBOR.request_key, 4, asked.request_key, "fog", "run-1"),
    ]


def test_two_runs_at_once_get_different_numbers(ledger: Ledger) -> None:
    """The second one goes on where the first one stopped."""
    kept = {HARBOR.request_key}

    first = ask(ledger, started(ledger, "run-1"), [HARBOR], count=2, kept=kept)
    second = ask(ledger, started(ledger, "run-2"), [HARBOR], count=2, kept=kept)

    assert numbers(first) == [(0, 2), (0, 3)]
    assert numbers(second) == [(0, 4), (0, 5)]


def test_numbers_that_came_to_nothing_are_given_again(ledger: Ledger) -> None:
    """A run that ended without its second take leaves that number to the next; its first take stays."""
    kept = {HARBOR.request_key}
    first = ask(ledger, started(ledger, "run-1"), [HARBOR], count=2, kept=kept)
    ledger.finish_run("run-1", state=RunState.FAILED)

    second = ask(ledger, started(ledger, "run-2"), [HARBOR], count=2, prompt="fog", kept={*kept, first[0].request_key})

    assert numbers(second) == [(0, 3), (0, 4)]
    assert [(take.number, take.prompt) for take in ledger.requested_takes("harbor")] == [
        (2, None),
        (3, "fog"),
        (4, "fog"),
    ]


def test_no_frame_has_endless_takes(ledger: Ledger) -> None:
    """One too many is refused, and nothing is entered."""
    frame = frame_spec(0, takes=MOST_TAKES)

    with pytest.raises(UsageError, match=r"^frame_0000 arrival/wide: would have more than 999 takes; ask for fewer$"):
        ask(ledger, started(ledger, "run-1"), [frame], prompt="fog")

    assert ledger.requested_takes("harbor") == []


def test_takes_are_a_storyboards_own(ledger: Ledger) -> None:
    """Another storyboard with the same frame has takes of its own."""
    ledger.register_takes(started(ledger, "run-1"), [take_of(HARBOR, 2, model=MODEL)])

    assert len(ledger.requested_takes("harbor")) == 1
    assert ledger.requested_takes("other") == []


def test_the_last_pick_counts(ledger: Ledger) -> None:
    """Two picks at once do not fail; one of them wins."""
    for take in (2, 3):
        ledger.pick_take("harbor", HARBOR.request_key, take)
    ledger.pick_take("harbor", STORM.request_key, 1)

    assert ledger.picked_takes("harbor") == {HARBOR.request_key: 3, STORM.request_key: 1}
    assert ledger.picked_takes("other") == {}
