"""Sums and CSV: exact, honest about what is not known, and safe to open in a spreadsheet."""

import csv
import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.errors import StorageError, UsageError
from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.amounts import Price
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Billed, Correction, KeptTake, Outcome, Remark, RemarkKind, Totals
from pipelines.ledger.queries import COLUMNS, ledger_csv
from pipelines.ledger.schema import attempts
from tests.support.builders import frame_spec, run, take_spec
from tests.support.ledger import (
    Clock,
    admit,
    alter,
    attempt_request,
    committed_usd,
    gate_of,
    new_take,
    nth_request,
    opened,
)

PRICE = frame_spec().price
SETTLED_COLUMNS = ("settled_by", "settled_at", "settled_why")
FIRST_COLUMNS = (
    "attempt_id, run_id, storyboard, frame, scene, shot, take, try, request_key, endpoint, prompt, steps, "
    "aspect_ratio, status, http_status, error, reserved_usd, cost_usd, cost_thb, neurons, width, height, tiles, "
    "latency_s, sent_at, finished_at, file, sha256"
)

pytestmark = pytest.mark.usefixtures("database")


def generate(
    ledger: Ledger, gate: Gate, n: int, *, cost_usd: Decimal | None = PRICE.usd, file: str | None = None
) -> int:
    """Generate a take from first to last and return its attempt."""
    attempt_id = admit(gate, nth_request(n)).attempt_id
    ledger.settle_bill(attempt_id, Billed(cost_usd, neurons=PRICE.neurons, tiles=4))
    ledger.keep_take(attempt_id, new_take(file or f"takes/{n}.png"))
    return attempt_id


def rows_of(text: str) -> list[dict[str, str]]:
    """Read CSV as any program would."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


# What is kept


def test_kept_takes_are_those_that_were_asked_about(ledger: Ledger) -> None:
    """Whole, oldest first, whichever run generated them; not open ones, failed ones, forgotten ones."""
    gate = gate_of(ledger, run("run-1"))
    theirs = gate_of(ledger, run("run-2", storyboard="forest"))
    keys = [nth_request(n).take.request_key for n in range(6)]
    first, second = generate(ledger, gate, 0), generate(ledger, theirs, 1, cost_usd=None)
    ledger.forget_lost_takes([generate(ledger, gate, 2)])
    ledger.close_attempt(admit(gate, nth_request(3)).attempt_id, Outcome(AttemptStatus.FAILED, "500", 500))
    admit(gate, nth_request(4))
    generate(ledger, gate, 5)

    same = Remark(RemarkKind.SAME, "has the same bytes as take 1 of frame 0 of harbor")
    assert ledger.kept_takes(reversed(keys[:5])) == [
        KeptTake(first, keys[0], "harbor", "takes/0.png", 3, "0" * 64, "harbor 0", PRICE.usd, 1024, 1024),
        KeptTake(second, keys[1], "forest", "takes/1.png", 3, "0" * 64, "harbor 1", None, 1024, 1024, (same,)),
    ]


def test_kept_takes_of_a_long_storyboard_are_all_found(ledger: Ledger) -> None:
    """More request keys than a statement may have variables, the kept one last."""
    generate(ledger, gate_of(ledger, run()), 7)
    keys = [f"{n:064}" for n in range(40_000)] + [nth_request(7).take.request_key]

    assert [take.file for take in ledger.kept_takes(iter(keys))] == ["takes/7.png"]


def test_asking_for_nothing_finds_nothing(ledger: Ledger) -> None:
    """An empty list of request keys is no mistake."""
    assert ledger.kept_takes([]) == []


# Adding up


def test_a_run_is_added_up_by_what_is_known(ledger: Ledger) -> None:
    """Known costs are summed; reservations of the rest stand apart; open attempts count as unknown."""
    gate = gate_of(ledger, run("run-1"))
    generate(ledger, gate, 0)
    generate(ledger, gate, 1, cost_usd=None)
    ledger.close_attempt(
        admit(gate, nth_request(2)).attempt_id, Outcome(AttemptStatus.RATE_LIMITED, "", 429, Decimal(0))
    )
    ledger.close_attempt(admit(gate, nth_request(3)).attempt_id, Outcome(AttemptStatus.UNKNOWN, "no answer"))
    admit(gate, nth_request(4))
    generate(ledger, gate_of(ledger, run("run-2")), 9)

    totals = ledger.run_totals("run-1")

    statuses = {AttemptStatus.OK: 2, AttemptStatus.RATE_LIMITED: 1, AttemptStatus.UNKNOWN: 2}
    assert totals == Totals(5, 1, statuses, PRICE, uncertain_usd=3 * PRICE.usd)


def test_a_storyboard_is_added_up_over_all_its_runs(ledger: Ledger) -> None:
    """Other storyboards are not in the sum."""
    for n, storyboard in enumerate(("harbor", "harbor", "forest")):
        generate(ledger, gate_of(ledger, run(f"run-{n}", storyboard=storyboard)), n)

    totals = ledger.storyboard_totals("harbor", simulated=False)

    assert totals == Totals(2, 0, {AttemptStatus.OK: 2}, PRICE * 2, Decimal(0))


def test_simulated_costs_are_never_added_to_real_ones(ledger: Ledger) -> None:
    """Two sums, whatever the storyboard."""
    generate(ledger, gate_of(ledger, run("real")), 0, cost_usd=Decimal("0.1"))
    generate(ledger, gate_of(ledger, run("rehearsal", simulated=True)), 1, cost_usd=Decimal("0.2"))

    costs = [ledger.storyboard_totals("harbor", simulated=simulated).cost.usd for simulated in (False, True)]

    assert costs == [Decimal("0.1"), Decimal("0.2")]


def test_nothing_comes_to_nothing(ledger: Ledger) -> None:
    """A run or storyboard without attempts costs an exact zero."""
    nothing = Totals(0, 0, {}, Price(), Decimal(0))

    assert ledger.run_totals("run-9") == nothing
    assert ledger.storyboard_totals("nowhere", simulated=True) == nothing


# CSV


def test_the_columns_never_change_their_order() -> None:
    """New ones were added at the end."""
    later = ["model", "simulated", *SETTLED_COLUMNS, "cost_basis", "stated_steps", "remarks", "lane"]
    assert [*COLUMNS] == [*FIRST_COLUMNS.split(", "), *later]


def test_a_kept_attempt_fills_its_whole_row(ledger: Ledger, clock: Clock) -> None:
    """Decimals exact and without exponent, times ISO 8601 in UTC, latency in seconds."""
    gate = gate_of(ledger, replace(run(), lane="attic"))
    spec = take_spec(12, steps=4)
    clock.turn(0.5)
    attempt_id = admit(gate, attempt_request(spec, number=2)).attempt_id
    ledger.settle_bill(attempt_id, Billed(PRICE.usd, neurons=PRICE.neurons, tiles=4, steps=4))
    clock.turn(3.25)
    ledger.keep_take(attempt_id, new_take("takes/a.png", sha256="ab" * 32))

    assert rows_of(ledger_csv(ledger.database, "harbor")) == [
        {
            "attempt_id": str(attempt_id),
            "run_id": "run-1",
            "storyboard": "harbor",
            "frame": "12",
            "scene": "arrival",
            "shot": "wide",
            "take": "1",
            "try": "2",
            "request_key": spec.request_key,
            "endpoint": "http://flux.test",
            "prompt": "a harbor at dawn",
            "steps": "4",
            "aspect_ratio": "1:1",
            "status": "ok",
            "http_status": "200",
            "error": "",
            "reserved_usd": "0.000652",
            "cost_usd": "0.000652",
            "cost_thb": "0.02282",
            "neurons": "57.6",
            "width": "1024",
            "height": "1024",
            "tiles": "4",
            "latency_s": "3.25",
            "sent_at": "2027-01-15T08:00:00.500Z",
            "finished_at": "2027-01-15T08:00:03.750Z",
            "file": "takes/a.png",
            "sha256": "ab" * 32,
            "model": "flux-1-schnell",
            "simulated": "false",
            **dict.fromkeys(SETTLED_COLUMNS, ""),
            "cost_basis": "stated",
            "stated_steps": "4",
            "remarks": "",
            "lane": "attic",
        }
    ]


def test_an_open_attempt_is_listed_as_unknown(ledger: Ledger) -> None:
    """It has had no answer; what is not known is an empty cell, never zero."""
    admit(gate_of(ledger, run(simulated=True)))

    (row,) = rows_of(ledger_csv(ledger.database, "harbor"))

    unknown = ("http_status", "error", "cost_usd", "cost_thb", "neurons", "latency_s", "finished_at", "file", "sha256")
    assert (row["status"], row["reserved_usd"], row["simulated"]) == ("unknown", "0.000652", "true")
    assert [row[column] for column in unknown] == [""] * len(unknown)


@pytest.mark.parametrize(
    ("cost", "usd", "thb"),
    [
        ("0", "0", "0"),
        ("0.000000000001", "0.000000000001", "0.000000000035"),
        ("100", "100", "3500"),
        ("1234567.000000000001", "1234567.000000000001", "43209845.000000000035"),
        ("0.10", "0.1", "3.5"),
    ],
)
def test_money_is_written_in_plain_digits(ledger: Ledger, cost: str, usd: str, thb: str) -> None:
    """No exponent, no trailing zeros, no digit lost."""
    generate(ledger, gate_of(ledger, run()), 0, cost_usd=Decimal(cost))

    (row,) = rows_of(ledger_csv(ledger.database, "harbor"))

    assert (row["cost_usd"], row["cost_thb"]) == (usd, thb)


@pytest.mark.parametrize(
    ("microseconds", "iso"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_999_999, "2027-01-15T08:00:00.999Z"),
        (1_709_164_799_000_001, "2024-02-28T23:59:59.000Z"),
    ],
)
def test_times_are_cut_to_the_millisecond(ledger: Ledger, microseconds: int, iso: str) -> None:
    """Cut, not rounded: no time lies in the future of the one it stands for."""
    admit(gate_of(ledger, run()))
    alter(ledger, attempts, {"sent_at": microseconds})

    (row,) = rows_of(ledger_csv(ledger.database, "harbor"))

    assert row["sent_at"] == iso


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n"], ids=["equals", "plus", "minus", "at", "tab", "cr", "lf"]
)
def test_a_cell_that_a_spreadsheet_would_run_is_defused(ledger: Ledger, start: str) -> None:
    """An apostrophe before it, in any column of text; a spreadsheet then shows the text."""
    formula = f'{start}HYPERLINK("http://evil.test";"click")'
    columns = ["scene", "shot", "endpoint", "prompt", "error", "file", "model"]
    admit(gate_of(ledger, run()))
    alter(ledger, attempts, dict.fromkeys(columns, formula))

    (row,) = rows_of(ledger_csv(ledger.database, "harbor"))

    assert [row[column] for column in columns] == [f"'{formula}"] * len(columns)


def test_a_cell_that_is_harmless_is_left_alone(ledger: Ledger) -> None:
    """Only the first character makes a formula."""
    gate = gate_of(ledger, run())
    harmless = ["a = b", "1-2", "'quoted'", "x@y", " =1"]
    for prompt in harmless:
        admit(gate, attempt_request(prompt=prompt))

    assert [row["prompt"] for row in rows_of(ledger_csv(ledger.database, "harbor"))] == harmless


# No prompt holds a NUL (the loader refuses it), and Postgres keeps none.
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=5))
@settings(max_examples=12, deadline=None)
def test_any_prompt_survives_the_way_through_csv(prompts: list[str]) -> None:
    """Quotes, commas, every kind of line end, every script: a strict reader gets back what was asked."""
    with TemporaryDirectory() as folder, opened(Path(folder)) as ledger:
        gate = gate_of(ledger, run())
        for prompt in prompts:
            admit(gate, attempt_request(prompt=f"a{prompt}"))

        text = ledger_csv(ledger.database, "harbor")

    assert [row["prompt"] for row in rows_of(text)] == [f"a{prompt}" for prompt in prompts]


def test_a_prompt_stays_in_its_cell(ledger: Ledger) -> None:
    """A lone carriage return ends no row."""
    gate = gate_of(ledger, run())
    prompts = ["one\rtwo", "one\ntwo", "one\r\ntwo", 'one "two", three', "日の出 🌅"]
    for prompt in prompts:
        admit(gate, attempt_request(prompt=prompt))

    assert [row["prompt"] for row in rows_of(ledger_csv(ledger.database, "harbor"))] == prompts


def test_the_csv_of_a_storyboard_is_its_own_and_in_order(ledger: Ledger) -> None:
    """One row an attempt, oldest first; without any, the columns alone."""
    for n, storyboard in enumerate(("harbor", "forest", "harbor")):
        admit(gate_of(ledger, run(f"run-{n}", storyboard=storyboard)), nth_request(n, aspect=AspectRatio.PORTRAIT))

    assert [row["run_id"] for row in rows_of(ledger_csv(ledger.database, "harbor"))] == ["run-0", "run-2"]
    assert ledger_csv(ledger.database, "nowhere") == ",".join(COLUMNS) + "\r\n"


def test_the_csv_is_written_as_utf_8(ledger: Ledger, tmp_path: Path) -> None:
    """Byte for byte what the ledger says, in a folder that is made for it."""
    admit(gate_of(ledger, run()), attempt_request(prompt="ein Häfen\r\nim Morgenlicht 🌅"))
    path = tmp_path / "new" / "ledger.csv"

    ledger.write_csv("harbor", path)

    assert path.read_bytes() == ledger_csv(ledger.database, "harbor").encode()


def test_a_csv_that_cannot_be_written_is_named(ledger: Ledger, tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "ledger.csv").mkdir()

    with pytest.raises(StorageError) as caught:
        ledger.write_csv("harbor", tmp_path / "ledger.csv")

    assert str(caught.value).startswith(f"{tmp_path / 'ledger.csv'}: cannot be written: ")


def test_what_was_settled_by_hand_says_by_whom_when_and_why(ledger: Ledger) -> None:
    """In its row, with the cost that was found out; the last settlement counts."""
    attempt_id = admit(gate_of(ledger, run())).attempt_id
    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.UNKNOWN, "no answer"))
    for cost_usd, reason in ((None, "the invoice is not here yet"), (Decimal("0.000652"), "=the invoice")):
        ledger.correct_attempt(attempt_id, Correction(cost_usd, "amy", reason), storyboard="harbor")

    (row,) = csv.DictReader(io.StringIO(ledger_csv(ledger.database, "harbor")))

    settled = [row[column] for column in ("status", "cost_usd", *SETTLED_COLUMNS)]
    assert settled == ["unknown", "0.000652", "amy", "2027-01-15T08:00:00.000Z", "'=the invoice"]
    assert committed_usd(ledger) == Decimal("0.000652")


@pytest.mark.parametrize(
    ("attempt_id", "storyboard", "complaint"),
    [
        (9, "harbor", "attempt 9: harbor has none of this number; see its ledger.csv"),
        (1, "forest", "attempt 1: forest has none of this number; see its ledger.csv"),
        (1, "harbor", "attempt 1: its answer is still awaited; settle it once its run has ended"),
        (2, "harbor", "attempt 2: its cost is known, 0 USD (stated); nothing to settle"),
    ],
)
def test_only_a_cost_that_is_not_known_can_be_settled(
    ledger: Ledger, attempt_id: int, storyboard: str, complaint: str
) -> None:
    """One whose answer is awaited or stated its cost, or of another storyboard, is left as it is."""
    gate = gate_of(ledger, run())
    first, second = (admit(gate, nth_request(n)).attempt_id for n in range(2))
    ledger.close_attempt(second, Outcome(AttemptStatus.FAILED, "500", 500, Decimal(0)))

    with pytest.raises(UsageError) as caught:
        ledger.correct_attempt(attempt_id, Correction(Decimal(0), "amy", ""), storyboard=storyboard)

    assert (first, str(caught.value)) == (1, complaint)


UNKNOWN_COSTS = [
    Outcome(AttemptStatus.FAILED, "error code: 524", 524),
    Outcome(AttemptStatus.UNUSABLE, "not an image", 203),
    Outcome(AttemptStatus.UNKNOWN, "no answer"),
    None,
]


@pytest.mark.parametrize("outcome", UNKNOWN_COSTS, ids=["failed", "unusable", "unknown", "ok"])
def test_a_cost_that_is_not_known_can_be_settled_however_the_attempt_ended(
    ledger: Ledger, gate: Gate, outcome: Outcome | None
) -> None:
    """It is listed until then; the basis says who knew it; what was found out can be corrected."""
    attempt_id = admit(gate, nth_request(1)).attempt_id
    if outcome is None:
        ledger.settle_bill(attempt_id, Billed(None))
        ledger.keep_take(attempt_id, new_take())
    else:
        ledger.close_attempt(attempt_id, outcome)
    before = ledger.unsettled_attempts("harbor"), cost_of(ledger)

    ledger.correct_attempt(attempt_id, Correction(Decimal("0.1"), "amy", "invoice"), storyboard="harbor")
    settled = ledger.unsettled_attempts("harbor"), cost_of(ledger), committed_usd(ledger)
    ledger.correct_attempt(attempt_id, Correction(Decimal("0.2"), "amy", "typo"), storyboard="harbor")

    again = cost_of(ledger), committed_usd(ledger)
    ledger.correct_attempt(attempt_id, Correction(None, "amy", "of another month"), storyboard="harbor")

    assert before == ([attempt_id], ("", ""))
    assert settled == ([], ("0.1", "settled"), Decimal("0.1"))
    assert again == (("0.2", "settled"), Decimal("0.2"))
    assert (cost_of(ledger), committed_usd(ledger)) == (("", ""), PRICE.usd)


def cost_of(ledger: Ledger) -> tuple[str, str]:
    """Return the cost of the first attempt, and how it is known, as the CSV has them."""
    row = rows_of(ledger_csv(ledger.database, "harbor"))[0]
    return row["cost_usd"], row["cost_basis"]


def test_a_take_of_the_same_bytes_has_a_remark(ledger: Ledger, gate: Gate) -> None:
    """An endpoint that answers two requests with one picture; the same request's own takes are compared elsewhere."""
    generate(ledger, gate, 0)
    generate(ledger, gate, 1)

    takes = ledger.kept_takes(nth_request(n).take.request_key for n in range(2))

    remark = Remark(RemarkKind.SAME, "has the same bytes as take 1 of frame 0 of harbor")
    assert [take.remarks for take in takes] == [(), (remark,)]
    assert [row["remarks"] for row in rows_of(ledger_csv(ledger.database, "harbor"))] == ["", remark.text]


def test_requests_are_counted_for_each_take(ledger: Ledger, gate: Gate) -> None:
    """Of one storyboard, however they ended."""
    for n in (1, 1, 2):
        admit(gate, nth_request(n))
    admit(gate_of(ledger, run("run-2", storyboard="forest")), nth_request(3))

    keys = [nth_request(n).take.request_key for n in (1, 2)]
    assert ledger.requests_by_take("harbor") == {keys[0]: 2, keys[1]: 1}
