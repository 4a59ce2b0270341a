"""How far a run is, as Prefect's page shows it."""

from decimal import Decimal

import pytest

from pipelines.flows.artifacts import progress_share, progress_text
from pipelines.ledger.models import RunState
from pipelines.run.observer import RunObserver
from pipelines.run.progress import Progress
from tests.support.builders import group_member
from tests.support.results import run_result


def test_frames_and_segments_are_counted() -> None:
    """With all frames there and no segment yet, a run says so."""
    progress = Progress("assembling the film", frames=6, reused=2, generated=4, segments=2, simulated=True)

    observer = RunObserver(progress)

    assert progress_text(observer) == "assembling the film: 6 of 6 frames, 0 of 2 segments, 0 USD (simulated)"


def test_failed_frames_are_counted_and_are_not_done() -> None:
    """Nor is what a budget leaves out."""
    progress = Progress(
        "generating frames",
        frames=4,
        generated=1,
        failed=1,
        cost_usd=Decimal("0.001"),
        uncertain_usd=Decimal("0.002"),
        budget_usd=Decimal("0.01"),
    )

    observer = RunObserver(progress)

    assert progress_text(observer) == (
        "generating frames: 1 of 4 frames, 1 failed, 0.001 of 0.01 USD and at most 0.002 uncertain"
    )


def test_the_lanes_of_a_group_are_shown_with_their_sum() -> None:
    """The budget is one for all of them; a lane that has ended has no speed."""
    members = (
        group_member("a", kept=2, requests=2, cost_usd=Decimal("0.002"), requests_per_minute=30.0),
        group_member("b", kept=1, requests=1, cost_usd=Decimal("0.001"), state=RunState.COMPLETED),
    )
    progress = Progress(
        "generating frames", frames=4, generated=3, elsewhere=1, budget_usd=Decimal("0.01"), members=members
    )

    assert progress_text(RunObserver(progress)) == (
        "generating frames: 3 of 4 frames, 0.003 of 0.01 USD; lanes: a 2 for 0.002 USD, b 1 for 0.001 USD; requests a "
        "minute: a 30"
    )


@pytest.mark.parametrize(
    ("state", "share", "text"),
    [
        (RunState.COMPLETED, 100, "Completed: 2 of 2 frames, 0 of 3 segments, 0 USD"),
        (RunState.CANCELLED, 50, "Cancelled: 2 of 2 frames, 0 of 3 segments, 0 USD"),
    ],
)
def test_a_run_that_has_ended_says_how(state: RunState, share: float, text: str) -> None:
    """One that is whole is done, though it made no film, as a re-roll may."""
    progress = Progress("writing the report", frames=2, generated=2, segments=3)
    takes = progress.time_left.takes
    takes.expected, takes.assumed_s = 4, 1.0
    takes.count()
    takes.count()

    observer = RunObserver(progress, result=run_result(state=state))

    assert (progress_share(observer), progress_text(observer)) == (share, text)
