"""The statement of a storyboard: its requests, their cost, what is uncertain, and whether it all agrees."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.formatting import counted, format_amounts, format_decimal, format_known
from pipelines.common.settings import Settings
from pipelines.ledger.database import require_ledger
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Correction, Totals
from pipelines.takes.place import read_place

# More than any image costs, and little enough for the ledger's 63 bits.
_MAX_USD = 1_000_000
# Enough to see which: the ledger has a row for each.
_MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement of a storyboard.

    Attributes:
        totals: the sums of its attempts, under `real` and `simulated`.
        unsettled: numbers of the attempts of unknown cost that have not been settled by hand.
        paces: the share of the rate limit, from 0 to 1, that is aimed at, by endpoint.
        differences: see `Verification.verify`; None where nothing was verified.
        made_otherwise, billed_otherwise: see the methods of `Verification`; empty where nothing was verified.
    """

    storyboard: str
    totals: dict[str, Totals]
    unsettled: list[int]
    paces: dict[str, float]
    differences: list[str] | None
    made_otherwise: dict[str, list[int]]
    billed_otherwise: dict[str, list[int]]

    def as_json(self) -> dict[str, object]:
        """Return the statement as plain JSON values, amounts as decimal strings."""
        found: dict[str, object] = {}
        if self.differences is not None:
            otherwise = {"made_otherwise": self.made_otherwise, "billed_otherwise": self.billed_otherwise}
            found = {"differences": self.differences, **otherwise}
        totals = {kind: _totals_json(totals) for kind, totals in self.totals.items()}
        return {"storyboard": self.storyboard, **totals, "unsettled": self.unsettled, "pace": self.paces, **found}

    def lines(self) -> list[str]:
        """Return the statement as lines of text."""
        totals = [_totals_line(kind, totals) for kind, totals in self.totals.items() if totals.requests]
        paces = [
            f"  pace       {pace:.0%} of the rate limit at {endpoint}, after it said that it was too much"
            for endpoint, pace in self.paces.items()
            if pace < 1
        ]
        otherwise = [
            f"  as asked?  {_attempts(numbers)} made with {words}, as the answer states; that is what its price is for"
            for words, numbers in self.made_otherwise.items()
        ]
        billed = [
            f"  by list?   {_attempts(numbers)} billed at {words}, the price list's; the bill is what is charged"
            for words, numbers in self.billed_otherwise.items()
        ]
        return [self.storyboard, *totals, *paces, *self._unsettled_lines(), *otherwise, *billed]

    def _unsettled_lines(self) -> list[str]:
        if not self.unsettled:
            return []
        return [
            f"  uncertain  the cost of {_attempts(self.unsettled)} is not known, and charged at what was reserved; "
            f"once you know one: --settle {self.unsettled[0]} --cost USD"
        ]


def statement_of(settings: Settings, storyboard: str, *, verify: bool, csv_path: Path | None) -> Statement:
    """Return the statement of a storyboard.

    Args:
        settings: where the ledger is.
        storyboard: its id.
        verify: compare the ledger with everything that has to agree with it.
        csv_path: where to write the ledger as CSV; None for nowhere.

    Raises:
        UsageError: there is no ledger yet, or the output folder's place cannot be read.
        StorageError: the ledger could not be written.
    """
    with Ledger.open(require_ledger(settings.effective_database_url, output=settings.output)) as ledger:
        # Written first, so that verifying sees it.
        if csv_path:
            ledger.write_csv(storyboard, csv_path)
        folder = settings.output / storyboard
        places = read_place(settings.output).ids
        return Statement(
            storyboard=storyboard,
            totals={
                kind: ledger.storyboard_totals(storyboard, simulated=kind == "simulated")
                for kind in ("real", "simulated")
            },
            unsettled=ledger.unsettled_attempts(storyboard),
            paces=ledger.paces(storyboard),
            differences=ledger.verify(storyboard, folder=folder, places=places) if verify else None,
            made_otherwise=ledger.made_otherwise(storyboard) if verify else {},
            billed_otherwise=ledger.billed_otherwise(storyboard) if verify else {},
        )


def _attempts(numbers: Sequence[int]) -> str:
    """Return attempts by their numbers, of many the first few: `attempts 1, 2, 3 and 4 more`."""
    named = ", ".join(str(number) for number in numbers[:_MAX_NAMED])
    more = f" and {len(numbers) - _MAX_NAMED} more" if len(numbers) > _MAX_NAMED else ""
    return f"attempt{'' if len(numbers) == 1 else 's'} {named}{more}"


def settle_attempt(settings: Settings, storyboard: str, attempt_id: int, *, cost: str, why: str) -> None:
    """Settle an attempt of unknown cost by hand, and write the storyboard's ledger.csv again.

    Args:
        settings: where the ledger is.
        storyboard: the id of the attempt's storyboard.
        attempt_id: the attempt's number.
        cost: an amount in US dollars; `none` where it cannot be found out.
        why: the reason, in words.

    Raises:
        UsageError: there is no such attempt, its outcome is known, or `cost` is no amount.
    """
    correction = Correction(_cost(cost), corrected_by=_user(), reason=why)
    with Ledger.open(require_ledger(settings.effective_database_url, output=settings.output)) as ledger:
        ledger.correct_attempt(attempt_id, correction, storyboard=storyboard)
        ledger.write_csv(storyboard, settings.output / storyboard / "ledger.csv")


def _cost(text: str) -> Decimal | None:
    if text == "none":
        return None
    try:
        cost_usd = Decimal(text)
    except InvalidOperation:
        # Refused below, with the same message as an amount that is out of bounds.
        cost_usd = Decimal("NaN")
    if not cost_usd.is_finite() or not 0 <= cost_usd <= _MAX_USD:
        raise UsageError(f"--cost {text}: must be an amount in US dollars like 0.000652, or none")
    return cost_usd


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return "unknown"


def _totals_json(totals: Totals) -> dict[str, object]:
    return {
        "requests": totals.requests,
        "by_status": {status.value: count for status, count in totals.by_status.items()},
        "cost_usd": format_decimal(totals.cost.usd),
        "cost_thb": format_decimal(totals.cost.thb),
        "neurons": format_known(totals.cost.neurons),
        "estimated_usd": format_decimal(totals.estimated_usd),
        "uncertain_usd": format_decimal(totals.uncertain_usd),
    }


def _totals_line(kind: str, totals: Totals) -> str:
    statuses = ", ".join(f"{count} {status.value}" for status, count in totals.by_status.items())
    cost = format_amounts(totals.cost.usd, totals.cost.thb, totals.cost.neurons, uncertain_usd=totals.uncertain_usd)
    return f"  {kind:<9}  {counted(totals.requests, 'request')} ({statuses}): {cost}"
