"""The statement of a storyboard: what was asked, what it cost, what is uncertain, and whether it all agrees."""

import getpass
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pipelines.common.errors import UsageError
from pipelines.common.formatting import format_amounts, format_decimal
from pipelines.common.settings import Settings
from pipelines.ledger.database import LedgerDatabase, require_ledger
from pipelines.ledger.gate import pace_of
from pipelines.ledger.models import Correction, Totals
from pipelines.ledger.queries import endpoints_of, storyboard_totals, write_ledger_csv
from pipelines.ledger.settlement import correct_attempt
from pipelines.ledger.verification import unsettled_attempts, verify_storyboard

_MAX_USD = 1_000_000


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement of a storyboard.

    Attributes:
        accounts: what its attempts came to, `real` and `simulated` ones apart.
        unsettled: attempts of unknown outcome that nobody has settled.
        paces: the share of the rate limit, from 0 to 1, that is aimed at, by endpoint.
        differences: what does not agree; None where nobody asked.
    """

    storyboard: str
    accounts: dict[str, Totals]
    unsettled: list[int]
    paces: dict[str, float]
    differences: list[str] | None

    def as_json(self) -> dict[str, object]:
        """Return the statement as plain JSON values, amounts as decimal strings."""
        found = {} if self.differences is None else {"differences": self.differences}
        accounts = {kind: _account_json(account) for kind, account in self.accounts.items()}
        return {"storyboard": self.storyboard, **accounts, "unsettled": self.unsettled, "pace": self.paces, **found}

    def lines(self) -> list[str]:
        """Return the statement as it is said to a person."""
        accounts = [_account_line(kind, account) for kind, account in self.accounts.items() if account.requests]
        paces = [
            f"  pace       {pace:.0%} of the rate limit at {endpoint}, after it said that it was too much"
            for endpoint, pace in self.paces.items()
            if pace < 1
        ]
        unsettled = [
            f"  attempt {attempt_id} is unknown, and charged at what was reserved; once you know what it cost: "
            f"--settle {attempt_id} --cost USD"
            for attempt_id in self.unsettled
        ]
        return [self.storyboard, *accounts, *paces, *unsettled]


def statement_of(settings: Settings, storyboard: str, *, verify: bool, csv_path: Path | None) -> Statement:
    """Draw up the statement of a storyboard; write its ledger to `csv_path` if that is given.

    Raises:
        UsageError: there are no books yet.
        StorageError: the ledger could not be written.
    """
    with LedgerDatabase(require_ledger(settings.effective_database_url, output=settings.output)) as books:
        if csv_path:
            write_ledger_csv(books, storyboard, csv_path)
        folder = settings.output / storyboard
        return Statement(
            storyboard=storyboard,
            accounts={
                kind: storyboard_totals(books, storyboard, simulated=kind == "simulated")
                for kind in ("real", "simulated")
            },
            unsettled=unsettled_attempts(books, storyboard),
            paces={endpoint: pace_of(books, endpoint) for endpoint in endpoints_of(books, storyboard)},
            differences=verify_storyboard(books, storyboard, folder=folder) if verify else None,
        )


def settle_attempt(settings: Settings, storyboard: str, attempt_id: int, *, cost: str, why: str) -> None:
    """Close an attempt of unknown outcome by hand, and write the storyboard's ledger anew.

    Args:
        settings: where the books are.
        storyboard: whose attempt it is.
        attempt_id: which.
        cost: an amount in US dollars; `none` where nobody can find out.
        why: how the person at the terminal knows.

    Raises:
        UsageError: there is no such attempt, its outcome is known, or `cost` is no amount.
    """
    correction = Correction(_cost(cost), corrected_by=_user(), reason=why)
    with LedgerDatabase(require_ledger(settings.effective_database_url, output=settings.output)) as books:
        correct_attempt(books, attempt_id, correction, storyboard=storyboard)
        write_ledger_csv(books, storyboard, settings.output / storyboard / "ledger.csv")


def _cost(text: str) -> Decimal | None:
    if text == "none":
        return None
    try:
        cost_usd = Decimal(text)
    except InvalidOperation:
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


def _account_json(account: Totals) -> dict[str, object]:
    return {
        "requests": account.requests,
        "by_status": {status.value: count for status, count in account.by_status.items()},
        "cost_usd": format_decimal(account.cost.usd),
        "cost_thb": format_decimal(account.cost.thb),
        "neurons": format_decimal(account.cost.neurons),
        "uncertain_usd": format_decimal(account.uncertain_usd),
    }


def _account_line(kind: str, account: Totals) -> str:
    statuses = ", ".join(f"{count} {status.value}" for status, count in account.by_status.items())
    uncertain = f", at most {format_decimal(account.uncertain_usd)} USD uncertain" if account.uncertain_usd else ""
    cost = format_amounts(account.cost.usd, account.cost.thb, account.cost.neurons)
    return f"  {kind:<9}  {account.requests} requests ({statuses}): {cost}{uncertain}"
