"""The seller's book beside the client's ledger: every request, every cost, every sum."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Correction
from tests.campaigns.answers import ANSWERS, AnswerKind, Tries
from tests.campaigns.book import Sale, price_usd, tiles_of, total
from tests.campaigns.fault_policy import Row, Violation

# As boards.py asks: one step, 1:1.
ASKED_USD = price_usd(tiles_of((1024, 1024)), 1)
_DIFFERENCE_OF = re.compile(r"attempt ([0-9]+): .*the price list says")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds that a run was given."""

    max_resends: int = 1
    max_refusals: int = 2
    max_rate_limited: int = 3

    def most(self, tries: Tries) -> int:
        """Return how often one prompt may be answered in such a way."""
        of = {
            Tries.REFUSALS: self.max_refusals,
            Tries.RESENDS: 1 + self.max_resends,
            Tries.WAITS: self.max_rate_limited,
        }
        return of.get(tries, 1)

    def settings(self) -> dict[str, int]:
        """Return them as settings."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Story:
    """One storyboard's side of both accounts.

    Attributes:
        folder: the storyboard's.
        sales: what the seller wrote down for its prompts, oldest first.
        kinds: the kinds of answers, by the names in `sales`.
    """

    folder: Path
    sales: Sequence[Sale]
    kinds: Mapping[str, AnswerKind]

    @property
    def rows(self) -> list[Row]:
        """Its ledger.csv, oldest first."""
        ledger = self.folder / "ledger.csv"
        return list(csv.DictReader(io.StringIO(ledger.read_bytes().decode(), newline=""))) if ledger.exists() else []

    def answered(self) -> list[tuple[Row, AnswerKind]]:
        """Return each row with the kind of answer that the seller gave to it; a prompt is asked once at a time."""
        sales = _by_prompt(self.sales)
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            rows[row["prompt"]].append(row)
        return [
            (row, self.kinds[sale.kind])
            for prompt, own in rows.items()
            for row, sale in zip(own, sales[prompt], strict=False)
        ]


def _by_prompt(sales: Sequence[Sale]) -> dict[str, list[Sale]]:
    prompts: dict[str, list[Sale]] = defaultdict(list)
    for sale in sales:
        prompts[sale.prompt].append(sale)
    return prompts


def story_of(folder: Path, sales: Sequence[Sale], *more: AnswerKind) -> Story:
    """Return a storyboard's side of both accounts; its prompts begin with its name."""
    ours = [sale for sale in sales if sale.prompt.startswith(f"{folder.name},")]
    return Story(folder, ours, {**ANSWERS, **{kind.name: kind for kind in more}})


def row_violations(story: Story, bounds: Bounds) -> Iterator[Violation]:
    """Yield what is wrong with the rows of runs of which none was killed."""
    yield from _missing_rows(story)
    for row, kind in story.answered():
        yield from _wrong_row(row, kind)
    yield from _too_often(story, bounds)


def _missing_rows(story: Story) -> Iterator[Violation]:
    if len(story.rows) != len(story.sales):
        yield "lost", f"{story.folder.name}: {len(story.sales)} requests in the book, {len(story.rows)} rows"


def _wrong_row(row: Row, kind: AnswerKind) -> Iterator[Violation]:
    found, expected = (row["status"], row["http_status"]), (kind.status, kind.http_status)
    if found != expected:
        yield "misread", f"{kind.name}: is {found}, not {expected}: {row['error']}"
    cost, told = kind.row_cost(ASKED_USD), Decimal(row["cost_usd"]) if row["cost_usd"] else None
    if told != cost:
        yield "understated" if told is not None else "misread", f"{kind.name}: costs {told}, not {cost}"
    if row["cost_basis"] != ("" if told is None else "stated"):
        yield "misread", f"{kind.name}: its cost is {row['cost_basis']!r}"
    if any(not character.isprintable() for cell in row.values() for character in cell):
        yield "unforeseen", f"{kind.name}: its row holds what a terminal would obey: {row}"


def _too_often(story: Story, bounds: Bounds) -> Iterator[Violation]:
    """Yield prompts that were sent again though no answer called for it, in one run."""
    one_run = groupby(sorted(story.answered(), key=_place), key=lambda pair: (pair[0]["prompt"], pair[0]["run_id"]))
    for (prompt, _), group in one_run:
        kinds = [kind for _, kind in group]
        if any(kind.tries is Tries.ONCE for kind in kinds[:-1]):
            yield "twice", f"{prompt}: sent again after {[kind.name for kind in kinds]}"
        for tries in (Tries.REFUSALS, Tries.RESENDS):
            if sum(kind.tries is tries for kind in kinds) > bounds.most(tries):
                yield "twice", f"{prompt}: sent too often: {[kind.name for kind in kinds]}"
        waits = (len(list(same)) for tries, same in groupby(kinds, key=lambda kind: kind.tries) if tries is Tries.WAITS)
        if max(waits, default=0) > bounds.max_rate_limited:
            yield "twice", f"{prompt}: waited too often: {[kind.name for kind in kinds]}"


def _place(pair: tuple[Row, AnswerKind]) -> tuple[str, str, int]:
    row = pair[0]
    return row["prompt"], row["run_id"], int(row["attempt_id"])


def kept_once(story: Story) -> Iterator[Violation]:
    """Yield requests for what was kept already."""
    kept: set[str] = set()
    for row in story.rows:
        if row["request_key"] in kept:
            yield "twice", f"{row['prompt']}: attempt {row['attempt_id']} asks for what is kept"
        if row["status"] == "ok":
            kept.add(row["request_key"])


def sum_violations(story: Story, database_url: str) -> Iterator[Violation]:
    """Yield sums that are told lower than the book's, or otherwise than they must be where all was stated."""
    billed = total(story.sales)
    with Ledger.open(database_url) as ledger:
        told = ledger.storyboard_totals(story.folder.name, simulated=False)
    if told.cost.usd + told.uncertain_usd < billed:
        yield "understated", f"{story.folder.name}: {told.cost.usd} and {told.uncertain_usd} uncertain, billed {billed}"
    if not told.uncertain_usd and told.cost.usd != billed:
        yield "unrecorded", f"{story.folder.name}: {told.cost.usd} where all was stated, billed {billed}"
    known = sum((Decimal(row["cost_usd"]) for row in story.rows if row["cost_usd"]), Decimal(0))
    if known != told.cost.usd:
        yield "unrecorded", f"{story.folder.name}: ledger.csv comes to {known}, the ledger to {told.cost.usd}"


def differences(story: Story, database_url: str) -> Iterator[Violation]:
    """Yield what `ledger --verify` names that is no lie of the seller's."""
    lies = {row["attempt_id"] for row, kind in story.answered() if kind.lies}
    with Ledger.open(database_url) as ledger:
        for difference in ledger.verify(story.folder.name, folder=story.folder):
            of = _DIFFERENCE_OF.match(difference)
            if of is None or of[1] not in lies:
                yield "unforeseen", f"{story.folder.name}: {difference}"


def settle_by_the_book(story: Story, database_url: str) -> Iterator[Violation]:
    """Settle each unknown cost with the book's figure; yield a sum that is not the book's to the last digit then."""
    name = story.folder.name
    left = {prompt: total(sales) for prompt, sales in _by_prompt(story.sales).items()}
    for row in story.rows:
        left[row["prompt"]] = left.get(row["prompt"], Decimal(0)) - Decimal(row["cost_usd"] or 0)
    prompts = {int(row["attempt_id"]): row["prompt"] for row in story.rows}
    with Ledger.open(database_url) as ledger:
        for attempt_id in ledger.unsettled_attempts(name):
            # All that is not known of a prompt is settled with the first of its attempts, the others with nothing.
            cost_usd = left.get(prompts[attempt_id], Decimal(0))
            left[prompts[attempt_id]] = Decimal(0)
            ledger.correct_attempt(attempt_id, Correction(cost_usd, "the seller", "its book"), storyboard=name)
        ledger.write_csv(name, story.folder / "ledger.csv")
        told, still_open = ledger.storyboard_totals(name, simulated=False), ledger.unsettled_attempts(name)
    if told.cost.usd != total(story.sales) or told.uncertain_usd or still_open:
        yield "unrecorded", f"{name}: settled at {told.cost.usd}, the book says {total(story.sales)}: {still_open}"
    yield from differences(story, database_url)
