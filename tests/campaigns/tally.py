"""The figures of a campaign: its trials, and how often each promise was broken; every count should be 0."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

LONG = os.environ.get("STORYREEL_CAMPAIGN") == "long"
# The name of the property of a test's report that holds the figures of a campaign.
TALLY = "tally"
SEED = int(os.environ.get("STORYREEL_CAMPAIGN_SEED", "20261123"))


@dataclass
class Tally:
    """The figures of one campaign.

    Attributes:
        campaign: its name.
        trials: how often it tried to break something.
        lost: images that the server billed and that are neither kept nor `unknown` in the ledger.
        twice: takes generated twice other than after an `unknown`.
        unrecorded: trials whose ledger, reservations included, came to less than what the server billed.
        over_budget: trials whose ledger or whose bill passed a budget.
        over_limit: trials in which the server saw more requests in some 60 s than its limit.
        half_written: files under a final name that were not whole.
        understated: sums that are told lower than the seller's book, what is uncertain included; costs not as stated.
        misread: answers whose row, or whose consequence, is not what the table of answers says.
        unforeseen: wrong exit codes, foreign exceptions, runs or calls that took too long, frames missing in the end.
        remarks: other figures worth a word.
    """

    campaign: str
    trials: int = 0
    lost: int = 0
    twice: int = 0
    unrecorded: int = 0
    over_budget: int = 0
    over_limit: int = 0
    half_written: int = 0
    understated: int = 0
    misread: int = 0
    unforeseen: int = 0
    remarks: str = ""

    @property
    def violations(self) -> dict[str, int]:
        """Every promise that was broken, and how often."""
        counts = {field.name: getattr(self, field.name) for field in fields(self)[2:-1]}
        return {name: count for name, count in counts.items() if count}

    def enter(self, found: Iterable[tuple[str, str]], *, trials: int) -> None:
        """Fill it in: each broken promise, and how; fail with every detail where there is one."""
        self.trials = trials
        details = list(found)
        for promise, _ in details:
            setattr(self, promise, getattr(self, promise) + 1)
        assert not self.violations, "\n".join(f"{promise}: {detail}" for promise, detail in details)


# Opens the tally of the campaign of this name.
OpenTally = Callable[[str], Tally]


def as_markdown(tallies: list[Tally]) -> str:
    """Return the figures of several campaigns as a Markdown table."""
    columns = [field.name for field in fields(Tally)]
    lines = [columns, ["---"] * len(columns), *([str(getattr(tally, name)) for name in columns] for tally in tallies)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
