"""What the page shows, as plain nouns: filled in by whoever knows the books, the plan and the films."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TakeView:
    """One take of a frame.

    Attributes:
        number: from 1, as `storyreel pick` takes it.
        picture: address of the whole picture, relative to the page.
        thumbnail: address of a small JPEG, relative to the page, or a data URI.
        prompt: what made it.
        cost_usd: what it cost; None where that is not known.
        latency_s: from its request to its end; None where no attempt is in the books.
    """

    number: int
    picture: str
    thumbnail: str
    prompt: str
    cost_usd: Decimal | None
    latency_s: float | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One request for a take, as the ledger has it.

    Attributes:
        take: the number of the take that was asked for.
        number: of the tries for this take, from 1.
        status: as in ledger.csv: ok, rate_limited, rejected, refused, failed, unusable, unknown.
        error: in words; None where it went well.
        cost_usd: None where that is not known; then `reserved_usd` stays charged.
        sent_at: UTC.
        latency_s: None while there is no answer.
    """

    take: int
    number: int
    status: str
    http_status: int | None
    error: str | None
    cost_usd: Decimal | None
    reserved_usd: Decimal
    sent_at: datetime
    latency_s: float | None


@dataclass(frozen=True, slots=True)
class FrameView:
    """One frame of the storyboard.

    Attributes:
        number: from 0.
        name: `frame_0007`.
        key: tells the frame from all others, wherever it stands.
        scene, shot: ids.
        prompt: what the storyboard asks for.
        caption: shown with it; None where there is none.
        width, height: of the picture, in pixels.
        start_s, hold_s: when the film shows it, and for how long.
        price_usd: what one more take costs.
        takes: those that are there, by number; may be none.
        shown: the number of the take that the film shows; None where there is none.
        picked: whether somebody chose it.
        attempts: oldest first.
    """

    number: int
    name: str
    key: str
    scene: str
    shot: str
    prompt: str
    caption: str | None
    width: int
    height: int
    start_s: float
    hold_s: float
    price_usd: Decimal
    takes: tuple[TakeView, ...]
    shown: int | None
    picked: bool
    attempts: tuple[AttemptView, ...]


@dataclass(frozen=True, slots=True)
class SceneView:
    """A scene, which is a chapter of the film; `start_s` is when the film comes to it."""

    id: str
    title: str
    start_s: float
    frames: tuple[FrameView, ...]


@dataclass(frozen=True, slots=True)
class FilmView:
    """A film: its address relative to the page, its MIME type, its length and size in words (`1344x768`)."""

    url: str
    mime: str
    seconds: float
    size: str


@dataclass(frozen=True, slots=True)
class CostView:
    """What the storyboard came to in all its runs; simulated costs and real ones are never in one of these together.

    Attributes:
        requests: attempts.
        cost_usd, cost_thb, neurons: the sum of what is known.
        uncertain_usd: reserved by attempts whose cost is not known.
        simulated: the costs are made up: sketches are free.
    """

    requests: int
    cost_usd: Decimal
    cost_thb: Decimal
    neurons: Decimal
    uncertain_usd: Decimal
    simulated: bool


@dataclass(frozen=True, slots=True)
class RunView:
    """The last run that sent anything, for the plots.

    Attributes:
        started_at: UTC.
        attempts: every request it sent, oldest first.
        rate_limit: requests a minute that the endpoint allows.
        quote_usd: what it was to cost, without re-sends.
        budget_usd: its hard cap; None where it had none.
    """

    started_at: datetime
    attempts: tuple[AttemptView, ...]
    rate_limit: int
    quote_usd: Decimal
    budget_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class PageView:
    """All that the page says.

    Attributes:
        title: the film's.
        storyboard: its id.
        made_at: when the page was made, UTC.
        scenes: in storyboard order.
        films: the first output first; none while frames are missing.
        accounts: one, or one of real and one of simulated costs; none before the first request.
        run: None before the first request.
        sheets: addresses of the contact sheet's pages, relative to the page.
        ledger: address of ledger.csv, relative to the page.
    """

    title: str
    storyboard: str
    made_at: datetime
    scenes: tuple[SceneView, ...]
    films: tuple[FilmView, ...]
    accounts: tuple[CostView, ...]
    run: RunView | None
    sheets: tuple[str, ...]
    ledger: str
