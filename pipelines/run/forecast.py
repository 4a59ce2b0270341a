"""The time until a film is there, foretold before anything is sent: requests at their pace, answers, encoding."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from pipelines.common.settings import Settings
from pipelines.endpoints.choice import endpoint_name
from pipelines.film.capacity import capacity_for
from pipelines.film.effort import SECONDS_PER_MEGAPIXEL, effort_left
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.gate import PACE
from pipelines.ledger.ledger import Ledger
from pipelines.storyboard.plan import Plan
from pipelines.takes.frame_folder import FrameFolder
from pipelines.takes.inventory import TakeInventory

# Until Prefect's local API is up: 5 to 8 s were measured.
_PREFECT_S = 6.0
# Until the storyboard and the ledger are read; in the end, until the film is joined and the report is written.
_START_AND_END_S = 1.5
_REPORT_S_PER_FRAME = 0.01
# Fewer answers than these say little of the slow ones.
_LEAST_ANSWERS = 10


@dataclass(frozen=True, slots=True)
class Latency:
    """The seconds that an endpoint takes to answer: usually, and for the slow tenth of its answers."""

    usual_s: float
    slow_s: float


# What flux-api.md states of an image: 3 to 10 s.
_STATED = Latency(6.5, 10.0)
# The embedded endpoint draws sketches on this machine.
_EMBEDDED = Latency(0.3, 0.6)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The time that a render will take, in seconds.

    Attributes:
        latency: of the endpoint.
        generating_s: until the last answer, at the pace of the rate limit or of the requests in flight; 0 without any.
        encoding_s: for the segments that are not there, if nothing else is waited for.
        around_s: what comes before and after: the start, the joining of the film, the report.
    """

    latency: Latency
    generating_s: float
    encoding_s: float
    around_s: float

    @property
    def seconds(self) -> float:
        """Until the film is there: segments are encoded while takes still come, the longer of both decides."""
        first_answer_s = self.latency.usual_s if self.generating_s else 0
        return max(self.generating_s, first_answer_s + self.encoding_s) + self.around_s


def forecast_render(plan: Plan, inventory: TakeInventory, settings: Settings) -> Forecast:
    """Foretell how long a render takes.

    Args:
        plan: the storyboard's.
        inventory: its takes.
        settings: the endpoint and its limits; where the ledger is, which knows how fast things went before.

    Raises:
        LedgerError: the ledger cannot be opened.
    """
    latency, megapixels_per_s = _measured(plan, settings)
    missing = len(inventory.missing)
    frame_folder = FrameFolder(settings.output / plan.storyboard)
    pictures = {}
    for take in inventory.selected:
        # A file that has gone since is one to be encoded.
        with contextlib.suppress(OSError):
            pictures[take.frame.number] = frame_folder.picture(take)
    effort = sum(effort_left(timeline, frame_folder.folder / "segments", pictures) for timeline in plan.timelines)
    return Forecast(
        latency=latency,
        generating_s=generating_s(missing, settings, latency),
        encoding_s=effort / megapixels_per_s,
        around_s=_START_AND_END_S + _REPORT_S_PER_FRAME * len(plan.frames) + (_PREFECT_S if missing else 0),
    )


def generating_s(takes: int, settings: Settings, latency: Latency) -> float:
    """Return the seconds until the last of so many takes is there.

    No more may be in flight than the concurrency, so no more come in a second than that divided by their latency
    (Little's law).
    """
    if not takes:
        return 0.0
    at_limit_s = 60 / (settings.rate_limit * PACE)
    return takes * max(at_limit_s, latency.usual_s / settings.concurrency) + latency.slow_s


def latency_of(latencies_s: Sequence[float]) -> Latency | None:
    """Return the latency that answers had; None where they are too few."""
    if len(latencies_s) < _LEAST_ANSWERS:
        return None
    return Latency(median(latencies_s), quantiles(latencies_s, n=10)[-1])


def _measured(plan: Plan, settings: Settings) -> tuple[Latency, float]:
    """Return how fast answers come and how fast segments are encoded: as measured before, else as one may assume."""
    latency, megapixels_per_s = None, None
    url = settings.effective_database_url
    if ledger_exists(url):
        with Ledger.open_to_read(url) as ledger:
            latency = latency_of(ledger.latencies_s(endpoint_name(settings), model=plan.model))
            megapixels_per_s = ledger.megapixels_per_s()
    workers = capacity_for(plan.timeline).workers
    return (
        latency or (_STATED if settings.endpoint else _EMBEDDED),
        megapixels_per_s or workers / SECONDS_PER_MEGAPIXEL,
    )
