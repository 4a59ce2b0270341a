"""The consequences of each fault, written down a second time, and whether what a run left agrees with them."""

import csv
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from pipelines.server.config import Fault, FaultKind, ServerConfig
from pipelines.server.faults import FaultDraw
from tests.campaigns.book import Book, Sale, total
from tests.campaigns.seller import FormFaultDraw
from tests.campaigns.ways import FLUX, FormFault, Way

Row = dict[str, str]
Kind = FaultKind | FormFault
# A promise, as the tally names it, and how it was broken.
Violation = tuple[str, str]

BACKOFF_CAP_S = 0.1
# The time that a run takes besides its attempts, on a busy machine.
_OVERHEAD_S = 30.0

# So many frames without an image, all in the same way, end a run.
_HOPELESS_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Then:
    """The consequence of a fault: the row, and the end of a run that meets nothing else.

    Attributes:
        status, http_status: as in the row.
        exit_code: the end, if the run has too few frames to see that there is no hope.
        hopeless: whether more of them end it.
    """

    status: str
    http_status: str
    exit_code: int
    hopeless: bool = False


POLICY: dict[Kind | None, Then] = {
    None: Then("ok", "200", 0),
    FaultKind.JPEG: Then("ok", "200", 0),
    FaultKind.WRONG_SIZE: Then("ok", "200", 0),
    FaultKind.RATE_LIMIT: Then("rate_limited", "429", 4),
    FaultKind.SERVER_ERROR: Then("failed", "500", 4, hopeless=True),
    FaultKind.REFUSED: Then("failed", "500", 4, hopeless=True),
    FaultKind.AUTHENTICATION: Then("refused", "500", 5),
    FaultKind.HANG: Then("unknown", "", 4),
    FaultKind.RESET: Then("unknown", "", 4),
    FaultKind.TRUNCATE: Then("unusable", "200", 4),
    FaultKind.CORRUPT: Then("unusable", "200", 4, hopeless=True),
    FaultKind.HTML: Then("unusable", "200", 4, hopeless=True),
    **dict.fromkeys(FormFault, Then("unusable", "200", 4, hopeless=True)),
}
# Where a refusal has a status of its own.
TELLING_POLICY = {
    **POLICY,
    FaultKind.REFUSED: Then("rejected", "400", 4, hopeless=True),
    FaultKind.AUTHENTICATION: Then("refused", "401", 5),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A server's faults, and the bounds that the run is given."""

    seed: int
    faults: dict[Kind, float]
    frames: int
    latency_s: tuple[float, float]
    read_timeout_s: float
    max_resends: int
    max_refusals: int
    max_rate_limited: int
    retry_quota: int | None
    fallbacks: int
    way: Way = FLUX

    @property
    def policy(self) -> dict[Kind | None, Then]:
        """The consequence of each fault."""
        return TELLING_POLICY if self.way.statuses_tell else POLICY

    @property
    def form_faults(self) -> dict[FormFault, float]:
        """The faults of form alone."""
        return {kind: rate for kind, rate in self.faults.items() if isinstance(kind, FormFault)}

    @property
    def quota(self) -> int:
        """The re-sends that the whole run may make."""
        return max(self.frames, 20) if self.retry_quota is None else self.retry_quota

    @property
    def most_attempts(self) -> int:
        """The most attempts for one frame: before each costly one, nearly as many 429s as stop the run."""
        return (1 + self.fallbacks) * (1 + self.max_resends) * self.max_rate_limited

    @property
    def patient(self) -> bool:
        """Whether the client waits so long that no answer comes too late."""
        return self.read_timeout_s > self.latency_s[1] + 10

    def bound_s(self, frame_attempts: int, run_attempts: int) -> float:
        """Return how long a run may take with so many attempts for one frame, and in all."""
        # They go out one by one, each after a cool-down at the most; a frame's own follow upon each other.
        queue_s = run_attempts * (BACKOFF_CAP_S + 0.01)
        return _OVERHEAD_S + queue_s + frame_attempts * (self.read_timeout_s + 2 + BACKOFF_CAP_S)

    def settings(self) -> dict[str, Any]:
        """Return the settings that bound the run."""
        return {
            "rate_limit": 60_000,
            "read_timeout_s": self.read_timeout_s,
            "total_timeout_s": self.read_timeout_s + 2,
            "max_resends": self.max_resends,
            "max_refusals": self.max_refusals,
            "max_rate_limited": self.max_rate_limited,
            "retry_quota": self.retry_quota,
        }

    def server(self) -> ServerConfig:
        """Return what is served."""
        # Of the requests that do not go wrong in form.
        left = 1 - sum(self.form_faults.values())
        kinds = {kind: rate for kind, rate in self.faults.items() if isinstance(kind, FaultKind)}
        faults = tuple(Fault(kind, rate / left) for kind, rate in kinds.items())
        return ServerConfig(latency_s=self.latency_s, rate_limit=0, faults=faults, seed=self.seed)

    def drawn(self, requests: int) -> list[Kind | None]:
        """Return the faults that the server draws for its first requests, in no order."""
        in_form = FormFaultDraw(self.form_faults, self.seed)
        misformed = [kind for kind in (in_form.draw() for _ in range(requests)) if kind]
        draw = FaultDraw(self.server().faults, random.Random(f"faults {self.seed}"))
        return [*misformed, *(draw.draw() for _ in range(requests - len(misformed)))]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The traces of a run: its exit code, its rows, the seller's book, and the storyboard's folder."""

    trial: Trial
    folder: Path
    missing: set[int]
    exit_code: int
    elapsed_s: float
    rows: list[Row]
    sales: list[Sale]

    @property
    def by_frame(self) -> dict[int, list[Row]]:
        """The rows of each frame, oldest first."""
        frames: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows:
            frames[int(row["frame"])].append(row)
        return frames

    @property
    def images(self) -> int:
        """How many images were billed."""
        return sum(sale.billed_usd > 0 for sale in self.sales)

    @property
    def kept(self) -> set[int]:
        """The frames whose take was kept."""
        return {int(row["frame"]) for row in self.rows if row["status"] == "ok"}

    @property
    def rate_limited(self) -> bool:
        """Whether some frame was answered 429 so often in a row that it stopped the run."""
        most = max((_longest_rate_limited(rows) for rows in self.by_frame.values()), default=0)
        return most >= self.trial.max_rate_limited


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of a storyboard's ledger, oldest first."""
    ledger = folder / "ledger.csv"
    return list(csv.DictReader(ledger.read_text().splitlines())) if ledger.exists() else []


def violations(left: Aftermath) -> list[Violation]:
    """Return every promise that a run broke."""
    checks = (
        _wrong_exit, _overtime, _wrong_rows, _wrong_money, _wrong_costs, _wrong_files, _generated_twice, _too_often,
        _too_early,
    )  # fmt: skip
    return [violation for check in checks for violation in check(left)]


def _wrong_exit(left: Aftermath) -> Iterator[Violation]:
    """Yield an exit code other than 0 for all there, 5 for an endpoint that is of no use, 4 for the rest."""
    trial = left.trial
    stops = {5: any(row["status"] == "refused" for row in left.rows), 4: left.rate_limited}
    codes = {code for code, met in stops.items() if met} or {0 if left.kept == left.missing else 4}
    # Images that came later, of requests that were in flight, don't take it back.
    if _is_hopeless(left):
        codes = codes | {5} if left.kept or left.rate_limited else {5}
    if trial.patient and len(trial.faults) == 1 and 1.0 in trial.faults.values():
        [then] = (trial.policy[kind] for kind in trial.faults)
        codes = {5 if then.hopeless and trial.frames >= _HOPELESS_FRAMES else then.exit_code}
    if left.exit_code not in codes:
        yield "unforeseen", f"exit code {left.exit_code}, not one of {codes}"


def _is_hopeless(left: Aftermath) -> bool:
    """Return whether enough frames were answered in one way that is no image, however many images came besides."""
    frames: dict[str, set[int]] = defaultdict(set)
    for frame, rows in left.by_frame.items():
        for row in rows:
            if row["status"] == "unusable" and "broke off" not in row["error"]:
                frames["no image"].add(frame)
            # A prompt that was refused shows nothing before its last fallback was refused as well.
            elif row["status"] in ("failed", "rejected") and (not _is_refused(left.trial, row) or row is rows[-1]):
                frames[row["error"]].add(frame)
    return any(len(numbers) >= _HOPELESS_FRAMES for numbers in frames.values())


def _overtime(left: Aftermath) -> Iterator[Violation]:
    """Yield a run that took longer than its attempts can explain."""
    most = max((len(rows) for rows in left.by_frame.values()), default=0)
    if left.elapsed_s > left.trial.bound_s(most, len(left.rows)):
        yield "unforeseen", f"took {left.elapsed_s:.1f} s for {len(left.rows)} attempts"


def _wrong_rows(left: Aftermath) -> Iterator[Violation]:
    """Yield rows that are not one for each request, or not those that the drawn faults explain."""
    requests = len(left.sales)
    followed = [left.trial.policy[kind] for kind in left.trial.drawn(requests)]
    expected = Counter((then.status, then.http_status) for then in followed)
    found = Counter((row["status"], row["http_status"]) for row in left.rows)
    if left.trial.patient:
        agree = found == expected
    else:
        # Any answer may have come too late, and a request may have been given up before the server read it.
        late = found[("unknown", "")]
        agree = len(left.rows) >= requests and (found - expected).total() <= late
        agree = agree and set(found - expected) <= {("unknown", "")}
    if not agree:
        yield "lost", f"rows {found}, where {expected} was drawn for {requests} requests"


def _wrong_money(left: Aftermath) -> Iterator[Violation]:
    """Yield rows that do not cover what the seller billed."""
    paid = [row for row in left.rows if row["status"] in ("ok", "unusable")]
    unknown = [row for row in left.rows if row["status"] == "unknown"]
    spent = sum((Decimal(row["cost_usd"] or 0) for row in paid), Decimal(0))
    charged = spent + sum((Decimal(row["reserved_usd"]) for row in unknown), Decimal(0))
    billed = total(left.sales)
    if charged < billed:
        yield "unrecorded", f"{spent} spent and {charged - spent} reserved, where {billed} was billed"
    if any(Decimal(row["cost_usd"] or 0) for row in left.rows if row["status"] not in ("ok", "unusable")):
        yield "unrecorded", "an answer that is never billed has a cost"
    if sum(bool(row["cost_usd"]) for row in paid) + len(unknown) < left.images:
        yield "lost", f"{left.images} images billed"


def _wrong_costs(left: Aftermath) -> Iterator[Violation]:
    """Yield rows whose cost is not the seller's to the last digit, or that say more of it than is known."""
    # A request that was given up before the seller read it is in no book.
    if len(left.rows) != len(left.sales):
        return
    sales = {prompt: iter(own) for prompt, own in Book(left.sales).by_prompt().items()}
    for row in left.rows:
        sale, way = next(sales[row["prompt"]]), left.trial.way
        told = Decimal(row["cost_usd"]) if row["cost_usd"] else None
        if row["status"] == "ok" and row["cost_basis"] != way.basis:
            yield "misread", f"a cost that is {row['cost_basis']!r}: {row}"
        # What is not stated is the list's price, or uncertain: where no answer came, or one that costs nothing.
        right = way.reserved_usd if row["cost_basis"] == "estimated" else sale.billed_usd
        uncertain = told is None and (row["status"] == "unknown" or not sale.billed_usd)
        if (told != right and not uncertain) or (told or Decimal(row["reserved_usd"])) < sale.billed_usd:
            yield "understated", f"{row['status']}: {told} {row['cost_basis']}, billed {sale.billed_usd}"


def _wrong_files(left: Aftermath) -> Iterator[Violation]:
    """Yield takes that are not whole or not of their row, and paid rubbish that was not quarantined."""
    kept = [row for row in read_rows(left.folder) if row["status"] == "ok"]
    named = {f"takes/{path.name}" for path in (left.folder / "takes").iterdir() if path.is_file()}
    if named != {row["file"] for row in kept}:
        yield "half_written", f"{len(named)} files among the takes, {len(kept)} rows"
    for row in kept:
        if not _is_whole(left.folder / row["file"], row):
            yield "half_written", f"{row['file']} is not what its row says"
    for row in left.rows:
        if row["status"] == "unusable" and not (left.folder / f"takes/unusable/{row['attempt_id']}.bin").is_file():
            yield "lost", f"the body of attempt {row['attempt_id']} is gone"


def _is_whole(path: Path, row: Row) -> bool:
    if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
        return False
    try:
        with Image.open(path) as picture:
            picture.load()
            return (str(picture.width), str(picture.height)) == (row["width"], row["height"])
    except (OSError, SyntaxError):
        return False


def _generated_twice(left: Aftermath) -> Iterator[Violation]:
    """Yield frames that were asked for once they were kept, or before their last attempt had ended."""
    for frame, rows in left.by_frame.items():
        if "ok" in [row["status"] for row in rows[:-1]]:
            yield "twice", f"frame {frame} was asked for after it was kept"
        if any(after["sent_at"] < before["finished_at"] for before, after in pairwise(rows)):
            yield "twice", f"frame {frame} was asked for twice at once"


def _too_often(left: Aftermath) -> Iterator[Violation]:
    """Yield frames with more attempts, and runs with more re-sends, than the policy allows."""
    trial = left.trial
    for frame, rows in left.by_frame.items():
        prompts = _by_prompt(rows)
        often = (
            len(rows) > trial.most_attempts
            or len(prompts) > 1 + trial.fallbacks
            or max(map(_resends, prompts)) > trial.max_resends
            or max(_refusals(trial, prompt) for prompt in prompts) > trial.max_refusals
            or _longest_rate_limited(rows) > trial.max_rate_limited
        )
        if often:
            yield "unforeseen", f"frame {frame} saw {len(rows)} attempts with {len(prompts)} prompts"
    if (resends := _costly_resends(left)) > trial.quota:
        yield "unforeseen", f"{resends} re-sends that may cost, where {trial.quota} are allowed"


def _too_early(left: Aftermath) -> Iterator[Violation]:
    """Yield frames that were given up with tries left, in a run that nothing stopped."""
    trial = left.trial
    if left.exit_code == 5 or left.rate_limited or _costly_resends(left) >= trial.quota:
        return
    for frame in left.missing - left.kept:
        prompts = _by_prompt(left.by_frame[frame])
        refused = len(prompts) == 1 + trial.fallbacks and _refusals(trial, prompts[-1]) == trial.max_refusals
        if not refused and (not prompts or _resends(prompts[-1]) < trial.max_resends):
            yield "unforeseen", f"frame {frame} was given up after {len(left.by_frame[frame])} attempts"


def incomplete(second: Aftermath) -> Iterator[Violation]:
    """Yield what a run without faults did other than to generate, once each, the frames that were missing."""
    if second.exit_code != 0 or second.kept != second.missing:
        yield "unforeseen", f"the second run kept {second.kept} of {second.missing}, exit code {second.exit_code}"
    if set(second.by_frame) - second.missing or second.images != len(second.missing):
        yield "twice", f"the second run was billed {second.images} images of {len(second.missing)} missing"


def _by_prompt(rows: list[Row]) -> list[list[Row]]:
    return [list(group) for _, group in groupby(rows, key=lambda row: row["prompt"])]


def _resends(rows: list[Row]) -> int:
    """Count the attempts with one prompt that could cost money, beyond the first; a 429 never does."""
    return max(0, sum(row["status"] != "rate_limited" for row in rows) - 1)


def _costly_resends(left: Aftermath) -> int:
    """Count what was sent again after an answer, or none, that may have been billed: no 429, no refused prompt."""
    groups = [group for rows in left.by_frame.values() for group in _by_prompt(rows)]
    return sum(_may_be_billed(left.trial, before) for group in groups for before, _ in pairwise(group))


def _may_be_billed(trial: Trial, row: Row) -> bool:
    return row["status"] != "rate_limited" and not _is_refused(trial, row)


def _refusals(trial: Trial, rows: list[Row]) -> int:
    return sum(_is_refused(trial, row) for row in rows)


def _is_refused(trial: Trial, row: Row) -> bool:
    return trial.way.refused_words in row["error"]


def _longest_rate_limited(rows: list[Row]) -> int:
    """Return how often in a row one prompt was answered 429."""
    runs = groupby(rows, key=lambda row: (row["prompt"], row["status"]))
    return max((len(list(run)) for (_, status), run in runs if status == "rate_limited"), default=0)
