"""The takes that were requested besides frames' first ones, and the picks."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, select

from pipelines.common.errors import UsageError
from pipelines.ledger.database import LedgerPart
from pipelines.ledger.models import RequestedTake, Run
from pipelines.ledger.runs import is_alive
from pipelines.ledger.schema import Upsert, picks, takes
from pipelines.storyboard.plan import FrameSpec, TakeSpec, take_of

# A limit, so that a mistyped number does not ask for a million takes.
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


class TakeRegistry(LedgerPart):
    """Records the takes that are requested besides frames' first ones, and the picks."""

    def requested_takes(self, storyboard: str) -> list[RequestedTake]:
        """Return every take that was ever requested besides first ones, whether it is kept or not, by number."""
        with self.database.reading() as connection:
            return _requested(connection, storyboard)

    def register_takes(self, run: Run, new: Sequence[TakeSpec]) -> None:
        """Enter takes that the storyboard asks for; they stay their frames' takes when it asks for fewer again."""
        if not new:
            return
        with self.database.transaction() as connection:
            connection.execute(_ENTER.for_use_on(connection), [_entry(run, take, prompt=None) for take in new])

    def request_more_takes(
        self, run: Run, frames: Sequence[FrameSpec], *, count: int, prompt: str | None, kept: Collection[str]
    ) -> list[TakeSpec]:
        """Enter more takes of each of `frames`.

        Numbers that an ended run requested and did not get are given out again.

        Args:
            run: the run that will generate them.
            frames: some of its plan's.
            count: the number of takes for each frame.
            prompt: asked instead of the frames' own prompts; None for those.
            kept: request keys of the takes that are there.

        Returns:
            The new takes, in the order to generate them: the next one of each frame, then the one after it.

        Raises:
            UsageError: a frame would have more than 999 takes.
        """
        with self.database.transaction() as connection:
            requested = _requested(connection, run.storyboard)
            numbers = _FreeNumbers.read(connection, requested, run=run, kept=kept, now=self.database.now(connection))
            # One list for the next take of each frame, one for the take after it: a run that ends early has served
            # every frame.
            rounds: list[list[TakeSpec]] = [[] for _ in range(count)]
            for frame in frames:
                free = list(islice(numbers.of(frame, run.model, prompt), count))
                if len(free) < count:
                    raise UsageError(f"{frame.label}: would have more than {MOST_TAKES} takes; ask for fewer")
                for round_, take in zip(rounds, free, strict=True):
                    connection.execute(_ENTER.for_use_on(connection), _entry(run, take, prompt=prompt))
                    round_.append(take)
        return [take for round_ in rounds for take in round_]

    def picked_takes(self, storyboard: str) -> dict[str, int]:
        """Return the picked take's number for each frame with a pick, by the request key of the frame's first take."""
        query = select(picks.c.frame_key, picks.c.take).where(picks.c.storyboard == storyboard)
        with self.database.reading() as connection:
            return {row.frame_key: row.take for row in connection.execute(query)}

    def pick_take(self, storyboard: str, frame_key: str, number: int) -> None:
        """Record the take that a frame shows from now on; of several picks the last one counts."""
        with self.database.transaction() as connection:
            values = {"storyboard": storyboard, "frame_key": frame_key, "take": number}
            now = self.database.now(connection)
            connection.execute(_PICK.for_use_on(connection), {**values, "picked_at": now})


@dataclass(frozen=True, slots=True)
class _FreeNumbers:
    """The numbers that are free for new takes.

    Attributes:
        taken: pairs of a frame's key and a number: of takes that are kept, or that a living run is about to generate.
        kept: request keys of the takes that are there.
    """

    taken: frozenset[tuple[str, int]]
    kept: Collection[str]

    @classmethod
    def read(
        cls, connection: Connection, requested: Sequence[RequestedTake], *, run: Run, kept: Collection[str], now: int
    ) -> "_FreeNumbers":
        others = {take.run_id for take in requested} - {run.run_id}
        alive = {run_id for run_id in others if is_alive(connection, run_id, now=now)}
        taken = (
            (take.frame_key, take.number) for take in requested if take.request_key in kept or take.run_id in alive
        )
        return cls(frozenset(taken), kept)

    def of(self, frame: FrameSpec, model: str, prompt: str | None) -> Iterator[TakeSpec]:
        """Yield a frame's takes under free numbers, the lowest first."""
        # The numbers that the storyboard itself asks for keep its own prompt.
        for number in range(1 if prompt is None else frame.takes + 1, MOST_TAKES + 1):
            take = take_of(frame, number, model=model, prompt=prompt)
            if (frame.request_key, number) not in self.taken and take.request_key not in self.kept:
                yield take


def _requested(connection: Connection, storyboard: str) -> list[RequestedTake]:
    rows = connection.execute(select(takes).where(takes.c.storyboard == storyboard).order_by(takes.c.take))
    return [RequestedTake(row.frame_key, row.take, row.request_key, row.prompt, row.run_id) for row in rows]


def _entry(run: Run, take: TakeSpec, *, prompt: str | None) -> dict[str, object]:
    return {
        "storyboard": run.storyboard,
        "frame_key": take.frame.request_key,
        "take": take.number,
        "request_key": take.request_key,
        "prompt": prompt,
        "run_id": run.run_id,
    }
