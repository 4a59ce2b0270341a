"""TakeInventory besides the first, and picks: each number is given once, to one run; the last pick counts."""

from collections.abc import Collection, Sequence
from functools import partial

import pytest

from pipelines.common.errors import UsageError
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.models import RequestedTake, Run
from pipelines.ledger.runs import finish_run, start_run
from pipelines.ledger.takes import (
    MOST_TAKES,
    pick_take,
    picked_takes,
    register_takes,
    request_more_takes,
    requested_takes,
)
from pipelines.storyboard.plan import FrameSpec, another_take
from tests.support.builders import MODEL, frame_spec, run

pytestmark = pytest.mark.usefixtures("database")

HARBOR = frame_spec(0)
STORM = frame_spec(1, prompt="a storm")


def ask(
    books: LedgerDatabase,
    which: Run,
    frames: Sequence[FrameSpec],
    *,
    count: int = 1,
    prompt: str | None = None,
    kept: Collection[str] = (),
) -> list[FrameSpec]:
    """Ask for more takes of `frames`, where those of the keys `kept` are there."""
    spec_of = partial(another_take, model=MODEL, prompt=prompt)
    return request_more_takes(books, which, frames, count=count, prompt=prompt, kept=kept, spec_of=spec_of)


def numbers(specs: Sequence[FrameSpec]) -> list[tuple[int, int]]:
    """Return frame and take of each spec."""
    return [(spec.number, spec.take) for spec in specs]


def started(books: LedgerDatabase, run_id: str) -> Run:
    """Enter a run of this process, which lives."""
    start_run(books, run(run_id))
    return run(run_id)


def test_more_takes_follow_those_that_are_there(books: LedgerDatabase) -> None:
    """All first ones come before all second ones."""
    kept = {HARBOR.request_key, STORM.request_key, another_take(STORM, 2, model=MODEL).request_key}

    asked = ask(books, started(books, "run-1"), [HARBOR, STORM], count=2, kept=kept)

    assert numbers(asked) == [(0, 2), (1, 3), (0, 3), (1, 4)]
    assert asked[0] == another_take(HARBOR, 2, model=MODEL)


def test_a_frame_that_has_none_gets_its_first(books: LedgerDatabase) -> None:
    """Nobody asks for a second take before there is a first."""
    assert numbers(ask(books, started(books, "run-1"), [HARBOR], count=2)) == [(0, 1), (0, 2)]


def test_a_prompt_of_its_own_never_takes_the_place_of_what_the_storyboard_asks(books: LedgerDatabase) -> None:
    """Its numbers begin after those that the storyboard wants, bought or not."""
    wanted_thrice = frame_spec(0, takes=3)

    [asked] = ask(books, started(books, "run-1"), [wanted_thrice], prompt="fog", kept={HARBOR.request_key})

    assert (asked.take, asked.prompt, asked.fallback_prompts) == (4, "fog", ())
    assert requested_takes(books, "harbor") == [
        RequestedTake(HARBOR.request_key, 4, asked.request_key, "fog", "run-1"),
    ]


def test_two_runs_at_once_get_different_numbers(books: LedgerDatabase) -> None:
    """Whoever comes second goes on where the first one stopped."""
    kept = {HARBOR.request_key}

    first = ask(books, started(books, "run-1"), [HARBOR], count=2, kept=kept)
    second = ask(books, started(books, "run-2"), [HARBOR], count=2, kept=kept)

    assert numbers(first) == [(0, 2), (0, 3)]
    assert numbers(second) == [(0, 4), (0, 5)]


def test_numbers_that_came_to_nothing_are_given_again(books: LedgerDatabase) -> None:
    """A run that ended without its second take leaves that number to the next; its first take stays."""
    kept = {HARBOR.request_key}
    first = ask(books, started(books, "run-1"), [HARBOR], count=2, kept=kept)
    finish_run(books, "run-1", state="Failed")

    second = ask(books, started(books, "run-2"), [HARBOR], count=2, prompt="fog", kept={*kept, first[0].request_key})

    assert numbers(second) == [(0, 3), (0, 4)]
    assert [(take.take, take.prompt) for take in requested_takes(books, "harbor")] == [
        (2, None),
        (3, "fog"),
        (4, "fog"),
    ]


def test_no_frame_has_endless_takes(books: LedgerDatabase) -> None:
    """One too many is refused, and nothing is entered."""
    frame = frame_spec(0, takes=MOST_TAKES)

    with pytest.raises(UsageError, match=r"^frame_0000 arrival/wide: would have more than 999 takes; ask for fewer$"):
        ask(books, started(books, "run-1"), [frame], prompt="fog")

    assert requested_takes(books, "harbor") == []


def test_takes_are_a_storyboards_own(books: LedgerDatabase) -> None:
    """Another storyboard with the same frame has its own."""
    register_takes(books, started(books, "run-1"), [(HARBOR, another_take(HARBOR, 2, model=MODEL))])

    assert len(requested_takes(books, "harbor")) == 1
    assert requested_takes(books, "other") == []


def test_the_last_pick_counts(books: LedgerDatabase) -> None:
    """Two who pick at once do not fail; one of them is right."""
    for take in (2, 3):
        pick_take(books, "harbor", HARBOR.request_key, take)
    pick_take(books, "harbor", STORM.request_key, 1)

    assert picked_takes(books, "harbor") == {HARBOR.request_key: 3, STORM.request_key: 1}
    assert picked_takes(books, "other") == {}
