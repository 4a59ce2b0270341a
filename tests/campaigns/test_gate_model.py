"""Campaign: the gate against a simple model, whatever is admitted, settled, killed and set back in whatever order."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from pipelines.common.budgets import Budgets, BudgetScope
from pipelines.ledger.gate import PACE, Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import (
    AlreadyKept,
    AttemptStatus,
    Billed,
    HeldElsewhere,
    Outcome,
    OverBudget,
    Permit,
    Run,
    RunState,
)
from pipelines.ledger.schema import spending
from tests.campaigns.tally import LONG, Tally
from tests.support.ledger import Clock, kill, new_take, nth_request, opened
from tests.support.pictures import PRICE_USD

LIMIT = 60
INTERVAL_S = 60 / (LIMIT * PACE)
CAPS = Budgets(run_usd=6 * PRICE_USD, storyboard_usd=12 * PRICE_USD, daily_usd=9 * PRICE_USD)
DAY_S = 24 * 3600

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("database")]


@dataclass
class Sent:
    """An attempt as the model has it; `due_s` by a clock that is never set."""

    number: int
    run: str
    key: int
    due_s: float
    day: int
    charged_usd: Decimal = PRICE_USD
    status: str | None = None
    billed: bool = False


class GateModel(RuleBasedStateMachine):
    """Three runs of one storyboard generate eight takes at one endpoint."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = Path(tempfile.mkdtemp(prefix="storyreel-model-"))
        self.stack.callback(shutil.rmtree, folder)
        self.clock = Clock()
        self.true_s = 0.0
        self.ledger: Ledger = self.stack.enter_context(opened(folder, clock=self.clock))
        self.gates: dict[str, Gate] = {}
        self.living: dict[str, bool] = {}
        self.sent: list[Sent] = []
        self.leases: dict[int, str] = {}
        self.cool_until_s = 0.0

    def teardown(self) -> None:
        self.stack.close()

    @rule()
    def start(self) -> None:
        """A run starts, at most three at once."""
        if sum(self.living.values()) < 3:
            name = f"run-{len(self.living)}"
            run = Run(name, "harbor", "http://flux.test", "flux-1-schnell", simulated=False, budgets=CAPS)
            self.ledger.start_run(run)
            self.gates[name] = self.ledger.gate(run, rate_limit=LIMIT)
            self.living[name] = True

    @precondition(lambda self: any(self.living.values()))
    @rule(data=st.data(), key=st.integers(0, 7))
    def admit(self, data: st.DataObject, key: int) -> None:
        """A living run asks for a take; the model says with which result."""
        run = data.draw(st.sampled_from([name for name, lives in self.living.items() if lives]))
        admission = self.gates[run].admit(nth_request(key))
        day = self._day()
        if self._is(key, status="ok"):
            assert admission == AlreadyKept()
        elif self._held(run, key):
            assert isinstance(admission, HeldElsewhere)
        elif scope := self._over_budget(run, day):
            assert isinstance(admission, OverBudget), scope
        else:
            assert isinstance(admission, Permit)
            self.sent.append(Sent(admission.attempt_id, run, key, self.true_s + admission.wait_s, day))
            self.leases[key] = run

    @precondition(lambda self: self._open())
    @rule(data=st.data(), event=st.sampled_from(["bill", "keep", "refuse", "too much", "no answer", "withdraw"]))
    def settle(self, data: st.DataObject, event: str) -> None:
        """Something becomes of an attempt of a living run."""
        attempt = data.draw(st.sampled_from(self._open()))
        gate = self.gates[attempt.run]
        match event:
            case "bill":
                self.ledger.settle_bill(attempt.number, Billed(PRICE_USD / 2))
                attempt.charged_usd, attempt.billed = PRICE_USD / 2, True
            case "keep":
                self.ledger.keep_take(attempt.number, new_take(f"takes/{attempt.number}.png"))
                attempt.status = "ok"
                self.leases.pop(attempt.key, None)
            case "refuse" | "too much" if not attempt.billed:
                self.ledger.close_attempt(attempt.number, Outcome(AttemptStatus.FAILED, event, 500, Decimal(0)))
                attempt.charged_usd, attempt.status = Decimal(0), "failed"
                if event == "too much":
                    gate.slow_down(sent_at=self.clock.now_us, cool_down_s=7)
                    self.cool_until_s = max(self.cool_until_s, self.true_s + 7)
            case "no answer":
                self.ledger.close_attempt(attempt.number, Outcome(AttemptStatus.UNKNOWN, event))
                attempt.status = "unknown"
            case "withdraw" if not attempt.billed:
                gate.withdraw(Permit(attempt.number, 0, 0))
                self.sent.remove(attempt)

    @precondition(lambda self: any(self.living.values()))
    @rule(data=st.data(), ends=st.sampled_from(["killed", "finished"]))
    def end(self, data: st.DataObject, ends: str) -> None:
        """A run is killed, or finishes; what it left open stays open."""
        run = data.draw(st.sampled_from([name for name, lives in self.living.items() if lives]))
        if ends == "killed":
            kill(self.ledger, run)
        else:
            self.ledger.finish_run(run, state=RunState.FAILED)
        self.living[run] = False

    @rule()
    def recover(self) -> None:
        """The next run closes exactly what dead ones left open."""
        left = self.ledger.abandoned_attempts("harbor")
        theirs = {sent.number for sent in self.sent if sent.status is None and not self.living[sent.run]}
        assert {attempt.attempt_id for attempt in left} == theirs
        for attempt in left:
            self.ledger.close_attempt(attempt.attempt_id, Outcome(AttemptStatus.UNKNOWN, "killed"))
        for sent in self.sent:
            if sent.number in theirs:
                sent.status = "unknown"

    @rule(seconds=st.sampled_from([0.001, 0.5, 1, 3, 61, DAY_S]))
    def pass_time(self, seconds: float) -> None:
        """Time goes by."""
        self.true_s += seconds
        self.clock.turn(seconds)

    @rule(seconds=st.sampled_from([0.001, 2, 600]))
    def set_back(self, seconds: float) -> None:
        """The clock is set back; no time goes by. It starts at eight o'clock: the day stays the same."""
        self.clock.turn(-seconds)

    @invariant()
    def no_two_are_due_within_an_interval(self) -> None:
        """Places are an interval apart by the true time, whatever the clock said, and none is in a cool-down."""
        GateModel.steps += 1
        due = sorted(sent.due_s for sent in self.sent)
        gaps = [later - earlier for earlier, later in pairwise(due)]
        assert all(gap > INTERVAL_S - 1e-4 for gap in gaps), gaps

    @invariant()
    def the_sums_are_those_of_the_attempts(self) -> None:
        """Each run, the storyboard, each day; none above its cap."""
        expected: dict[str, Decimal] = {}
        for sent in self.sent:
            for scope in (f"run {sent.run}", "storyboard real harbor", sent.day):
                expected[str(scope)] = expected.get(str(scope), Decimal(0)) + sent.charged_usd
        with self.ledger.database.reading() as connection:
            found = {row.scope: row.committed_usd for row in connection.execute(select(spending))}
        days = sorted(usd for scope, usd in found.items() if scope.startswith("day") and usd)
        assert days == sorted(usd for scope, usd in expected.items() if scope.isdecimal() and usd)
        for scope, usd in found.items():
            if not scope.startswith("day"):
                assert usd == expected.get(scope, 0)
        assert all(usd <= CAPS.daily_usd for usd in days)

    @invariant()
    def no_take_is_generated_by_two_at_once(self) -> None:
        """Of the open attempts at a take all are one run's."""
        for key in range(8):
            assert len({sent.run for sent in self.sent if sent.key == key and sent.status is None}) <= 1

    def _open(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.status is None and self.living[sent.run]]

    def _is(self, key: int, *, status: str) -> bool:
        return any(sent.key == key and sent.status == status for sent in self.sent)

    def _held(self, run: str, key: int) -> bool:
        holder = self.leases.get(key, run)
        left_open = any(sent.key == key and sent.status is None and sent.run != run for sent in self.sent)
        return left_open or (holder != run and self.living[holder])

    def _over_budget(self, run: str, day: int) -> BudgetScope | None:
        spent: Callable[[Callable[[Sent], bool]], Decimal] = lambda counts: sum(  # noqa: E731
            (sent.charged_usd for sent in self.sent if counts(sent)), PRICE_USD
        )
        sums = {
            BudgetScope.RUN: spent(lambda sent: sent.run == run),
            BudgetScope.STORYBOARD: spent(lambda _: True),
            BudgetScope.DAY: spent(lambda sent: sent.day == day),
        }
        return next((scope for scope, cap in CAPS.caps.items() if sums[scope] > cap), None)

    def _day(self) -> int:
        return self.clock.now_us // 1_000_000 // DAY_S


def test_the_gate_does_as_the_model_says(open_tally: Callable[[str], Tally], database: str) -> None:
    """Rate, budgets and leases hold at every step."""
    tally = open_tally(f"gate against a model, {database}")
    GateModel.steps = 0
    examples = 2000 if LONG else 60

    run_state_machine_as_test(
        GateModel,
        settings=settings(
            max_examples=examples if database == "sqlite" else examples // 5,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
            # Shrinking a failure would take minutes: each step is a transaction on a real database.
            phases=[Phase.generate],
        ),
    )

    tally.trials = GateModel.steps
    tally.remarks = "steps, each checked against the model"
