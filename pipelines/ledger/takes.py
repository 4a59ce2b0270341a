"""Which takes frames have besides their first, and which one each shows, as somebody picked it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, select

from pipelines.common.errors import UsageError
from pipelines.ledger.database import LedgerDatabase
from pipelines.ledger.models import RequestedTake, Run
from pipelines.ledger.runs import is_alive
from pipelines.ledger.schema import Upsert, picks, takes
from pipelines.storyboard.plan import FrameSpec

MOST_TAKES = 999

_ENTER = Upsert.of(
    takes,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["storyboard", "frame_key", "take"],
        set_={name: insert.excluded[name] for name in ("request_key", "prompt", "run_id")},
    ),
)
_PICK = Upsert.of(
    picks,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["storyboard", "frame_key"],
        set_={name: insert.excluded[name] for name in ("take", "picked_at")},
    ),
)


def requested_takes(books: LedgerDatabase, storyboard: str) -> list[RequestedTake]:
    """Return every take that was ever asked for besides first ones, whether it came or not."""
    with books.reading() as connection:
        return _asked(connection, storyboard)


def register_takes(books: LedgerDatabase, run: Run, wanted: Sequence[tuple[FrameSpec, FrameSpec]]) -> None:
    """Enter takes that the storyboard asks for, each with its frame: they stay the frame's when it asks no more."""
    if not wanted:
        return
    with books.transaction() as connection:
        entries = [_entry(run, frame, take, prompt=None) for frame, take in wanted]
        connection.execute(_ENTER.for_use_on(connection), entries)


def request_more_takes(
    books: LedgerDatabase,
    run: Run,
    frames: Sequence[FrameSpec],
    *,
    count: int,
    prompt: str | None,
    kept: Collection[str],
    spec_of: Callable[[FrameSpec, int], FrameSpec],
) -> list[FrameSpec]:
    """Give each of `frames` that many more takes, and return them, to be bought: all first ones, then all second ones.

    Numbers that a run asked for and did not get before it ended are given out again.

    Args:
        books: the books.
        run: whose takes they will be.
        frames: first takes.
        count: how many for each.
        prompt: what to ask instead of the frames' own prompts.
        kept: request keys of the takes that are there.
        spec_of: returns the spec of a frame's take of this number.

    Raises:
        UsageError: a frame would have more than 999 takes.
    """
    with books.transaction() as connection:
        held = _Numbers(connection, books.now(connection), _asked(connection, run.storyboard), run, kept)
        rounds: list[list[FrameSpec]] = [[] for _ in range(count)]
        for frame in frames:
            free = list(islice(held.free(frame, own_prompt=prompt is not None, spec_of=spec_of), count))
            if len(free) < count:
                raise UsageError(f"{frame.label}: would have more than {MOST_TAKES} takes; ask for fewer")
            for asked, take in zip(rounds, free, strict=True):
                connection.execute(_ENTER.for_use_on(connection), _entry(run, frame, take, prompt=prompt))
                asked.append(take)
    return [take for asked in rounds for take in asked]


def picked_takes(books: LedgerDatabase, storyboard: str) -> dict[str, int]:
    """Return the take that was picked for each frame that anybody picked one for, by the frame's key."""
    query = select(picks.c.frame_key, picks.c.take).where(picks.c.storyboard == storyboard)
    with books.reading() as connection:
        return {row.frame_key: row.take for row in connection.execute(query)}


def pick_take(books: LedgerDatabase, storyboard: str, frame_key: str, take: int) -> None:
    """Write down which take a frame shows from now on; the last one who picks is right."""
    with books.transaction() as connection:
        picked = {"storyboard": storyboard, "frame_key": frame_key, "take": take, "picked_at": books.now(connection)}
        connection.execute(_PICK.for_use_on(connection), picked)


class _Numbers:
    """Which numbers of takes are free: those of no take that is kept, or that a living run is about to buy."""

    def __init__(
        self, connection: Connection, now: int, asked: Iterable[RequestedTake], run: Run, kept: Collection[str]
    ) -> None:
        asked = list(asked)
        alive = {run_id for run_id in {take.run_id for take in asked} if is_alive(connection, run_id, now=now)}
        self._taken = {
            (take.frame_key, take.take)
            for take in asked
            if take.request_key in kept or (take.run_id in alive and take.run_id != run.run_id)
        }
        self._kept = kept

    def free(
        self, frame: FrameSpec, *, own_prompt: bool, spec_of: Callable[[FrameSpec, int], FrameSpec]
    ) -> Iterator[FrameSpec]:
        """Yield specs under free numbers. Those that the storyboard asks for are for its own prompt."""
        for number in range(frame.takes + 1 if own_prompt else 1, MOST_TAKES + 1):
            take = spec_of(frame, number)
            if (frame.request_key, number) not in self._taken and take.request_key not in self._kept:
                yield take


def _asked(connection: Connection, storyboard: str) -> list[RequestedTake]:
    rows = connection.execute(select(takes).where(takes.c.storyboard == storyboard).order_by(takes.c.take))
    return [RequestedTake(row.frame_key, row.take, row.request_key, row.prompt, row.run_id) for row in rows]


def _entry(run: Run, frame: FrameSpec, take: FrameSpec, *, prompt: str | None) -> dict[str, object]:
    return {
        "storyboard": run.storyboard,
        "frame_key": frame.request_key,
        "take": take.take,
        "request_key": take.request_key,
        "prompt": prompt,
        "run_id": run.run_id,
    }
