"""Hard caps on what may be spent, and what a run does about them."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class BudgetScope(StrEnum):
    """What a budget is for."""

    RUN = "run"
    STORYBOARD = "storyboard"
    DAY = "day"

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        return {"run": "the budget", "storyboard": "the storyboard's budget", "day": "the day's budget"}[self]

    @property
    def cure(self) -> str:
        """What to do where it is too small."""
        return {
            "run": "raise budget.usd or --budget",
            "storyboard": "raise budget.total_usd",
            "day": "wait until 00:00 UTC or raise STORYREEL_BUDGET_DAILY_USD",
        }[self]


class OnExceed(StrEnum):
    """What to do when not everything can be bought within the budgets."""

    STOP = "stop"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Budgets:
    """The caps that hold for a run, in US dollars; None where there is none.

    Attributes:
        run_usd: for this run.
        storyboard_usd: for all runs of the storyboard together, ever.
        daily_usd: for all runs in the same books together, on one day, UTC.
        on_exceed: STOP buys until a cap is reached; REFUSE sends nothing unless the worst case fits. None is STOP, but
            sends nothing either where the quote alone passes the run's own cap.
    """

    run_usd: Decimal | None = None
    storyboard_usd: Decimal | None = None
    daily_usd: Decimal | None = None
    on_exceed: OnExceed | None = None

    @property
    def caps(self) -> dict[BudgetScope, Decimal]:
        """The caps that there are."""
        caps = {
            BudgetScope.RUN: self.run_usd,
            BudgetScope.STORYBOARD: self.storyboard_usd,
            BudgetScope.DAY: self.daily_usd,
        }
        return {scope: cap for scope, cap in caps.items() if cap is not None}
