"""The views that the templates of the page are filled with: plain values, gathered by `views`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TakeView:
    """One take of a frame.

    Attributes:
        number: from 1, as `storyreel pick` takes it.
        picture: address of the whole picture, relative to the page.
        thumbnail: address of a small JPEG, relative to the page, or a data URI; empty where there is none.
        prompt: the prompt that made it.
        cost_usd: its cost; None where that is not known.
        latency_s: seconds from its request to the end of its answer; None where the ledger has no attempt for it.
        remarks: what is unusual about it, in words.
    """

    number: int
    picture: str
    thumbnail: str
    prompt: str
    cost_usd: Decimal | None
    latency_s: float | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One request for a take, as the ledger has it.

    Attributes:
        take: the number of the take that was asked for.
        number: of the attempts for this take in its run, from 1.
        status: as in ledger.csv: ok, rate_limited, rejected, refused, failed, unusable, unknown.
        http_status: None where no status line came.
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
class WordView:
    """A word of a narration.

    Attributes:
        before: what stands before it in the text, usually a space.
        text: the word.
        start_s, end_s: seconds from where the voice begins.
    """

    before: str
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class NarrationView:
    """What is spoken over a frame, and perhaps over those after it.

    Attributes:
        text: as it is written.
        words: those of the text, with what stands between them.
        voice: the name of what speaks.
        sound: address of the recording, relative to the page.
        length_s: of the recording, in seconds.
        frames: how many it is spoken over.
        missing_s: seconds by which these are held too short for its words; 0 where they are not.
    """

    text: str
    words: tuple[WordView, ...]
    voice: str
    sound: str
    length_s: float
    frames: int
    missing_s: float


@dataclass(frozen=True, slots=True)
class FrameView:
    """One frame of the storyboard.

    Attributes:
        number: from 0.
        name: `frame_0007`.
        key: the request key of its first take, which tells the frame from all others wherever it is moved.
        scene, shot: ids.
        prompt: the storyboard's own.
        caption: shown with it; None where there is none.
        width, height: of the picture, in pixels.
        start_s: seconds from the film's start until the frame is shown.
        takes: those that are there, by number; may be none.
        selected: the number of the take that the film shows; None where there is none.
        picked: whether that take was picked, rather than being the first.
        attempts: oldest first.
        narration: what begins to be spoken with it; None where nothing does.
        narrated_from: the number of the frame whose narration is spoken over this one too; None where none is.
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
    takes: tuple[TakeView, ...]
    selected: int | None
    picked: bool
    attempts: tuple[AttemptView, ...]
    narration: NarrationView | None = None
    narrated_from: int | None = None

    @property
    def selected_take(self) -> TakeView | None:
        """The take that the film shows."""
        return next((take for take in self.takes if take.number == self.selected), None)


@dataclass(frozen=True, slots=True)
class SceneView:
    """A scene, which is a chapter of the film; `start_s` is the chapter's start in seconds."""

    id: str
    title: str
    start_s: float
    frames: tuple[FrameView, ...]


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A page of a long report in its index.

    Attributes:
        scenes: the titles of its scenes; one, unless they are short.
        start_s: of the first, in seconds from the film's start.
        page: its address.
        sheet: the address of its contact sheet.
        frames: how many it has.
        kinds: how many of them belong to each kind that a page can be filtered by.
        spent: on them, in words.
    """

    scenes: tuple[str, ...]
    start_s: float
    page: str
    sheet: str
    frames: int
    kinds: tuple[tuple[str, int], ...]
    spent: str


@dataclass(frozen=True, slots=True)
class Way:
    """Where a page of a long report leads, and what it is a part of.

    Attributes:
        of: the film's title.
        index: the address of the index.
        previous, next: of the pages beside it; None where there is none.
        spent: on its frames, in words.
    """

    of: str
    index: str
    previous: str | None
    next: str | None
    spent: str


@dataclass(frozen=True, slots=True)
class FilmView:
    """A film.

    Attributes:
        url: its address, relative to the page.
        mime: its MIME type.
        seconds: its length.
        size: its size in words, `1344x768`.
        draft: whether it is a draft.
    """

    url: str
    mime: str
    seconds: float
    size: str
    draft: bool = False


@dataclass(frozen=True, slots=True)
class CostView:
    """The cost of all runs of the storyboard; simulated costs and real ones are never added up.

    Attributes:
        requests: attempts.
        cost_usd, cost_thb: the sum of what is known.
        neurons: the same in neurons; None where none are billed.
        uncertain_usd: reserved by attempts whose cost is not known.
        simulated: whether the costs are made up: sketches are free.
    """

    requests: int
    cost_usd: Decimal
    cost_thb: Decimal
    neurons: Decimal | None
    uncertain_usd: Decimal
    simulated: bool


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane of the last run: what the runs there have done.

    Attributes:
        name: its own, or its machine's.
        kept: takes that it has generated.
        requests: attempts that it has sent; one at least.
        spent: their cost, in words.
        rate_limit: requests a minute that it was allowed.
        sent_at: when each was sent, UTC, in order.
    """

    name: str
    kept: int
    requests: int
    spent: str
    rate_limit: int
    sent_at: tuple[datetime, ...]

    @property
    def requests_per_minute(self) -> float | None:
        """Its rate from the first request to the last; None where there is only one."""
        seconds = (self.sent_at[-1] - self.sent_at[0]).total_seconds()
        # n requests span n - 1 gaps.
        return 60 * (len(self.sent_at) - 1) / seconds if seconds else None


@dataclass(frozen=True, slots=True)
class RunView:
    """The last run that sent anything, for the charts; with all runs of its group, where it had one.

    Attributes:
        started_at: when its first request was sent, UTC.
        attempts: every request that it sent, oldest first; one at least.
        rate_limit: requests a minute that it was allowed.
        quote_usd: the price of its takes, without re-sends.
        budget_usd: its hard cap; None where it had none.
        lanes: those that it was generated in; none where it was only one.
    """

    started_at: datetime
    attempts: tuple[AttemptView, ...]
    rate_limit: int
    quote_usd: Decimal
    budget_usd: Decimal | None
    lanes: tuple[LaneView, ...] = ()


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything that the page says.

    Attributes:
        title: the film's.
        storyboard: its id.
        made_at: when the page was made, UTC.
        scenes: in storyboard order.
        films: the first output first; none while frames are missing.
        costs: one, or one of real and one of simulated costs; none before the first request.
        last_run: None before the first request.
        sheets: addresses of the contact sheet's pages, relative to the page.
        ledger: address of ledger.csv, relative to the page.
        remarks: about the takes that are shown, a sentence for each kind.
        notes: on the storyboard, a line for each.
        language: of titles and captions, as a BCP 47 tag; None where the storyboard does not state it.
    """

    title: str
    storyboard: str
    made_at: datetime
    scenes: tuple[SceneView, ...]
    films: tuple[FilmView, ...]
    costs: tuple[CostView, ...]
    last_run: RunView | None
    sheets: tuple[str, ...]
    ledger: str
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    language: str | None = None

    @property
    def frames(self) -> tuple[FrameView, ...]:
        """The frames of all scenes, in storyboard order."""
        return tuple(frame for scene in self.scenes for frame in scene.frames)

    @property
    def speaks(self) -> bool:
        """Whether anything is spoken over any of its frames."""
        return any(frame.narration for frame in self.frames)
