"""The result of a run says what it came to; a run that is not whole says so, and why."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.common import errors
from pipelines.common.errors import (
    AllocationExhaustedError,
    BudgetError,
    CommitUnknownError,
    CredentialsRefusedError,
    DatabaseAwayError,
    EndpointError,
    EndpointUnreachableError,
    FilmError,
    FramesMissingError,
    IncompleteError,
    InterruptedRunError,
    LedgerError,
    StorageError,
    StoryboardError,
    StoryreelError,
    UsageError,
    WrongEndpointError,
)
from pipelines.common.geometry import Size
from pipelines.endpoints.amounts import Price
from pipelines.film.probe import Film
from pipelines.ledger.models import RunState, Totals
from pipelines.run.outcomes import Failed, Generated, Reused, Unsent
from pipelines.run.result import RunRecord, incomplete_error, state_after, sum_up
from pipelines.storyboard.plan import Plan, TakeSpec
from pipelines.storyboard.quote import Quote
from pipelines.takes.discovery import FoundTakes
from pipelines.takes.inventory import TakeInventory
from pipelines.takes.models import FrameTakes, Take
from tests.support.builders import MODEL, group_member, take_spec
from tests.support.results import run_result

SPECS = tuple(take_spec(number, prompt=f"a harbor, view {number}") for number in range(5))
REROLL = take_spec(0, take=2, prompt="a harbor, view 0")
TOTALS = Totals(3, 0, {}, Price(Decimal("0.001304"), Decimal("0.04564"), Decimal("115.2")), Decimal("0.000652"))


def plan_of(specs: Sequence[TakeSpec]) -> Plan:
    """Return a plan of the frames that these are takes of."""
    return Plan("harbor", "Harbor", MODEL, tuple(spec.frame for spec in specs), ())


def take(spec: TakeSpec) -> Take:
    return Take(spec, Path(f"takes/{spec.request_key}.png"), spec.prompt, Decimal("0.000652"))


def inventory_of(
    frames: Sequence[TakeSpec], there: Collection[TakeSpec], *, picked: int | None = None
) -> TakeInventory:
    """Return the inventory of frames of which these takes are there; the first frame may have a pick."""
    found = FoundTakes({spec.request_key: take(spec) for spec in there})
    of_frame = [tuple(take(spec) for spec in there if spec.frame == first.frame) for first in frames]
    picks = [picked, *[None] * (len(frames) - 1)]
    return TakeInventory(
        tuple(FrameTakes(spec.frame, takes, pick) for spec, takes, pick in zip(frames, of_frame, picks, strict=True)),
        tuple(frames),
        tuple({*frames, *there}),
        found,
    )


def record_of(there: Collection[TakeSpec], *, requested: Sequence[TakeSpec] = SPECS, reroll: bool = False) -> RunRecord:
    """Return the record of a run that is about `requested`, and in the end found these takes."""
    published = frozenset(spec.frame.number for spec in there)
    inventory = inventory_of(SPECS, there)
    return RunRecord(requested=tuple(requested), reroll=reroll, inventory=inventory, published=published)


# --- states


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, RunState.COMPLETED),
        (StoryreelError("x"), RunState.FAILED),
        (UsageError("x"), RunState.FAILED),
        (StoryboardError([]), RunState.FAILED),
        (LedgerError("x"), RunState.FAILED),
        (BudgetError("x"), RunState.OVER_BUDGET),
        (IncompleteError("x"), RunState.INCOMPLETE),
        (FramesMissingError("x"), RunState.INCOMPLETE),
        (StorageError("x"), RunState.INCOMPLETE),
        (DatabaseAwayError("x"), RunState.INCOMPLETE),
        (CommitUnknownError("x"), RunState.INCOMPLETE),
        (FilmError("x"), RunState.INCOMPLETE),
        (EndpointError("x"), RunState.ENDPOINT_UNAVAILABLE),
        (EndpointUnreachableError("x"), RunState.ENDPOINT_UNAVAILABLE),
        (CredentialsRefusedError("x"), RunState.ENDPOINT_UNAVAILABLE),
        (AllocationExhaustedError("x"), RunState.ENDPOINT_UNAVAILABLE),
        (WrongEndpointError("x"), RunState.ENDPOINT_UNAVAILABLE),
        (InterruptedRunError("x"), RunState.CANCELLED),
        (asyncio.CancelledError(), RunState.CANCELLED),
        (ZeroDivisionError("a bug"), RunState.FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_error_has_its_state(error: BaseException | None, state: RunState) -> None:
    """A run without one is complete; a bug failed it."""
    assert state_after(error) is state


def test_no_error_is_forgotten() -> None:
    """Errors with one exit code end in one state, those that are added later too."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StoryreelError)]
    states: dict[int, set[RunState]] = {}
    for kind in kinds:
        # Without its arguments: the state follows from the class alone.
        states.setdefault(kind.exit_code, set()).add(state_after(kind.__new__(kind)))

    assert states == {
        1: {RunState.FAILED},
        2: {RunState.FAILED},
        3: {RunState.OVER_BUDGET},
        4: {RunState.INCOMPLETE},
        5: {RunState.ENDPOINT_UNAVAILABLE},
        130: {RunState.CANCELLED},
    }


# --- whether a run is whole


def test_a_run_whose_takes_are_all_there_is_whole() -> None:
    """There is nothing to say against it."""
    assert incomplete_error(plan_of(SPECS), record_of(SPECS), stopped_by=None) is None


def test_what_stopped_a_run_is_why_it_is_not_whole() -> None:
    """Even where all its takes are there."""
    stopped_by = BudgetError("too dear")

    assert incomplete_error(plan_of(SPECS), record_of(SPECS), stopped_by=stopped_by) is stopped_by


def test_missing_frames_are_named_with_their_reasons() -> None:
    """The first three of them; a take that was there and is gone is no less missing."""
    record = record_of([SPECS[4]])
    record.outcomes = [Failed(SPECS[0], "prompt refused"), Unsent(SPECS[1]), Generated(SPECS[4], 1)]

    error = incomplete_error(plan_of(SPECS), record, stopped_by=None)

    assert (type(error), str(error)) == (
        FramesMissingError,
        "4 of 5 frames are missing: frame_0000 arrival/wide: prompt refused; "
        "frame_0001 arrival/wide: its file is gone; frame_0002 arrival/wide: its file is gone; and 1 more. "
        "Everything generated is kept; run again to complete",
    )


def test_a_take_that_another_machine_has_kept_meanwhile_is_not_called_gone() -> None:
    """It is paid for, and not to be seen from here."""
    record = record_of(SPECS[1:])
    assert record.inventory
    found = replace(record.inventory.found, elsewhere={SPECS[0].request_key: "the studio"})
    record.inventory = replace(record.inventory, found=found)

    error = incomplete_error(plan_of(SPECS), record, stopped_by=None)

    assert str(error).partition(". ")[0] == (
        "1 of 5 frames is missing: frame_0000 arrival/wide: another run has kept it in an output folder that is not "
        "seen from here"
    )


def test_a_frame_that_could_not_be_published_is_missing() -> None:
    """Its take was found, and its file was gone when the frames were written."""
    record = record_of(SPECS)
    record.published = frozenset({0, 1, 3, 4})

    error = incomplete_error(plan_of(SPECS), record, stopped_by=None)

    assert isinstance(error, FramesMissingError)
    assert (error.exit_code, str(error).partition(". ")[0]) == (
        4,
        "1 of 5 frames is missing: frame_0002 arrival/wide: its file is gone",
    )


def test_a_run_that_ended_before_frames_were_published_misses_none_for_that() -> None:
    """What was found is there."""
    record = record_of(SPECS)
    record.published = None

    assert incomplete_error(plan_of(SPECS), record, stopped_by=None) is None


def test_a_reroll_is_judged_by_its_own_takes() -> None:
    """Holes elsewhere are no fault of it."""
    record = record_of([SPECS[0], REROLL], requested=[REROLL], reroll=True)

    assert incomplete_error(plan_of(SPECS), record, stopped_by=None) is None


def test_a_reroll_whose_take_did_not_come_is_not_whole() -> None:
    """It counts takes, and only its own."""
    record = record_of(SPECS, requested=[REROLL], reroll=True)
    record.outcomes = [Failed(REROLL, "prompt refused")]

    error = incomplete_error(plan_of(SPECS), record, stopped_by=None)

    assert str(error).partition(". ")[0] == "1 of 1 take is missing: frame_0000 arrival/wide take 2: prompt refused"


# --- what it came to


def sum_of(record: RunRecord) -> dict[str, object]:
    """Return the result of a run as JSON."""
    plan, ledger = plan_of(SPECS), Path("outputs/harbor/ledger.csv")
    return sum_up(plan, record, TOTALS, run_id="1", simulated=False, ledger=ledger).as_json()


def test_a_result_is_plain_json() -> None:
    """Amounts are decimal strings, paths and the state text."""
    record = record_of(SPECS)
    record.quote = Quote(5, 2, 3, Price(), Decimal(0), Fraction(0))
    record.outcomes = [Generated(SPECS[0], 1), Generated(SPECS[1], 2), Reused(SPECS[2])]
    record.films = [Film(Path("outputs/harbor/harbor.mp4"), 120, Fraction(5), Size(64, 48), Fraction(24))]
    record.report = Path("outputs/harbor/report.html")

    values = sum_of(record)

    elapsed_s = values.pop("elapsed_s")
    assert isinstance(elapsed_s, float)
    assert values == {
        "storyboard": "harbor",
        "run_id": "1",
        "state": "Completed",
        "frames": 5,
        "reused": 3,
        "generated": 2,
        "failed": 0,
        "requests": 3,
        "cost_usd": "0.001304",
        "uncertain_usd": "0.000652",
        "estimated_usd": "0",
        "cost_thb": "0.04564",
        "neurons": "115.2",
        "simulated": False,
        "video": "outputs/harbor/harbor.mp4",
        "video_seconds": 5.0,
        "ledger": "outputs/harbor/ledger.csv",
        "report": "outputs/harbor/report.html",
        "notes": (),
    }


def test_a_result_says_what_its_films_are() -> None:
    """One draft among them makes them drafts; without a film there is nothing to say."""
    film, reel = Path("harbor.mp4"), Path("harbor-reel.mp4")
    made = run_result(video=film, more_videos=(reel,))
    results = [made, replace(made, drafts=frozenset({reel})), replace(made, finished=frozenset({film})), run_result()]

    assert [result.as_json().get("quality") for result in results] == [None, "draft", None, None]


def test_a_result_says_what_each_lane_has_done() -> None:
    """A program reads the runs of the group, each with its own cost; the keys of a run's own figures stay."""
    members = (
        group_member("a", run_id="1", kept=2, requests=3, cost_usd=Decimal("0.001304")),
        group_member("", run_id="2", kept=1, requests=1, uncertain_usd=Decimal("0.000652")),
    )
    values = run_result(generated=2, reused=1, members=members).as_json()

    assert (values["generated"], values["reused"], values["cost_usd"]) == (2, 1, "0.000652")
    assert values["lanes"] == [
        {
            "lane": "a",
            "run_id": "1",
            "host": "attic",
            "generated": 2,
            "requests": 3,
            "cost_usd": "0.001304",
            "uncertain_usd": "0",
        },
        {
            "lane": "",
            "run_id": "2",
            "host": "attic",
            "generated": 1,
            "requests": 1,
            "cost_usd": "0",
            "uncertain_usd": "0.000652",
        },
    ]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((), "0 by other runs"),
        (("b",), "7 by another run (lane b)"),
        (("b", "c"), "7 by 2 other runs (b, c)"),
        (("",), "7 by another run (attic)"),
    ],
)
def test_a_result_names_the_lanes_that_the_other_takes_came_in(others: Sequence[str], words: str) -> None:
    """One that has generated nothing is not named."""
    members = (*(group_member(lane, kept=lane not in ("a", "d")) for lane in ("a", *others, "d")),)
    result = run_result(run_id="run-a", reused=9, elsewhere=7 if others else 0, members=members)

    assert result.counts == f"1 generated here, {words}, {9 - result.elsewhere} reused, 1 failed"


def test_what_is_uncertain_is_stated_beside_the_cost() -> None:
    """It is never part of it, and zero where all is known."""
    values = run_result(cost_usd=Decimal("0.0010"), uncertain_usd=Decimal(0)).as_json()

    assert (values["cost_usd"], values["uncertain_usd"]) == ("0.001", "0")


def test_a_run_that_failed_early_has_a_result_too() -> None:
    """Its state is that of its error; what it never came to is none."""
    values = sum_of(RunRecord(error=BudgetError("too dear")))

    assert (values["state"], values["generated"], values["video"], values["report"]) == ("OverBudget", 0, None, None)


def test_a_reroll_names_its_takes() -> None:
    """Those that came, with their files."""
    takes = sum_of(record_of([SPECS[0], REROLL], requested=[REROLL], reroll=True))["takes"]

    assert takes == [{"frame": 0, "take": 2, "file": f"takes/{REROLL.request_key}.png"}]


def test_a_render_names_no_takes() -> None:
    """Its frames are in its folder."""
    assert "takes" not in sum_of(record_of(SPECS))


@pytest.mark.parametrize(
    ("there", "instead"), [(SPECS, "take 1 stands in for it"), (SPECS[1:], "no other is there")], ids=["other", "none"]
)
def test_a_lost_pick_is_worth_a_remark(there: Sequence[TakeSpec], instead: str) -> None:
    """It names the frame, what is shown instead, and the cure."""
    record = record_of(there)
    record.inventory = inventory_of(SPECS, there, picked=3)
    record.remarks = ["no report: the disk is full"]

    result = sum_up(plan_of(SPECS), record, TOTALS, run_id="1", simulated=False, ledger=Path("ledger.csv"))

    assert result.remarks == (
        "no report: the disk is full",
        f"frame_0000 arrival/wide: take 3, which was picked, is gone; {instead}; pick another, or put its file back",
    )
