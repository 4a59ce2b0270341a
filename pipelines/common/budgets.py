"""Budgets: caps on what may be spent, and what a run does where they are too small."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum


class BudgetScope(StrEnum):
    """The spending that a budget caps."""

    # From the narrowest to the widest: an attempt counts in all three.
    RUN = "run"
    STORYBOARD = "storyboard"
    DAY = "day"

    @property
    def label(self) -> str:
        """The budget's name in a message: "the budget of 0.25 USD ..."."""
        return {"run": "the budget", "storyboard": "the storyboard's budget", "day": "the day's budget"}[self]

    @property
    def cure(self) -> str:
        """The user's way out where the budget is too small: the end of a message."""
        return {
            "run": "raise budget.usd or --budget",
            "storyboard": "raise budget.total_usd",
            "day": "wait until 00:00 UTC or raise STORYREEL_BUDGET_DAILY_USD",
        }[self]


class OnExceed(StrEnum):
    """The choice where not every frame can be generated within the budgets.

    `stop` generates frames until a cap is reached; `refuse` sends nothing unless the worst case fits.
    """

    STOP = "stop"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Budgets:
    """The caps that hold for a run, in US dollars; None where there is none.

    Attributes:
        run_usd: on this run.
        storyboard_usd: on all runs of the storyboard together, ever.
        daily_usd: on all runs in the same ledger together, on one day, UTC.
        on_exceed: the choice where they are too small. None is STOP, but sends nothing either where the quote alone,
            without any retry, exceeds `run_usd`.
    """

    run_usd: Decimal | None = None
    storyboard_usd: Decimal | None = None
    daily_usd: Decimal | None = None
    on_exceed: OnExceed | None = None

    @property
    def caps(self) -> dict[BudgetScope, Decimal]:
        """The caps that there are, in US dollars."""
        caps = {
            BudgetScope.RUN: self.run_usd,
            BudgetScope.STORYBOARD: self.storyboard_usd,
            BudgetScope.DAY: self.daily_usd,
        }
        # A cap of 0 is a cap: nothing may be spent.
        return {scope: cap for scope, cap in caps.items() if cap is not None}

    def within(self, run_usd: Decimal | None) -> "Budgets":
        """Return these caps, with the smaller of two on the run: this one's and `run_usd`; None is none."""
        given = [usd for usd in (self.run_usd, run_usd) if usd is not None]
        return replace(self, run_usd=min(given, default=None))
