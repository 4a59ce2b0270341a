"""The group of a run: the other runs of its storyboard, on this machine or on others, as the ledger shows them.

They share one stop, and one of them, the conductor, makes the film.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.common.errors import (
    BudgetError,
    EndpointError,
    EndpointUnreachableError,
    IncompleteError,
    InterruptedRunError,
    StorageError,
    StoryreelError,
)
from pipelines.common.quality import Quality
from pipelines.film.claims import PieceClaims
from pipelines.ledger.executor import AsyncLedger
from pipelines.ledger.models import GroupMember, GroupNews, GroupStop, Run, RunState
from pipelines.report.lanes import lane_text
from pipelines.run.observer import RunObserver
from pipelines.run.result import state_after
from pipelines.storyboard.model import SoundMix
from pipelines.storyboard.plan import Plan

# Seconds. A stop is to reach every run within two.
_LOOK_EVERY_S = 1.0
# What the others have done is added up less often: it is shown, and nothing waits for it. In a large ledger that takes
# a while, so it is given a twentieth of the time at most.
_ADD_UP_EVERY_S = 2.0
_MOST_SHARE = 0.05
# With these a conductor has nothing left that others could still help with.
_MADE = (RunState.COMPLETED, RunState.INCOMPLETE)


class RunGroup:
    """The group of one run, which it follows while `following` lasts."""

    def __init__(
        self, run: Run, ledger: AsyncLedger, observer: RunObserver, *, encoder: str, grace_period_s: float
    ) -> None:
        """Set up the group of a run.

        Args:
            run: already entered in the ledger.
            ledger: where the others are seen.
            observer: is stopped when another run has stopped the group.
            encoder: what this machine encodes with.
            grace_period_s: how long what is in flight is then awaited.
        """
        self._encoder = encoder
        self._run = run
        self._ledger = ledger
        self._observer = observer
        self._grace_period_s = grace_period_s
        self._told = False
        self._news: GroupNews | None = None
        self._awaits_film = False
        self._add_up_at = 0.0
        self._conductor_ended: asyncio.Future[RunState] = asyncio.get_running_loop().create_future()
        self._conductors_encoder = encoder

    @property
    def unlike(self) -> str | None:
        """How this machine encodes otherwise than the conductor's, in words; None where it does not.

        Then its pieces could not be joined with the others, and it makes none.
        """
        if self._conductors_encoder == self._encoder:
            return None
        return (
            f"this machine encodes with {self._encoder}, the one that makes the film with {self._conductors_encoder}: "
            "all segments are encoded there; install the same ffmpeg and fonts on both to share that work too"
        )

    @property
    def claims(self) -> PieceClaims:
        """The claims of this run on pieces of films."""
        return _NoClaims() if self.unlike else LedgerClaims(self._run, self._ledger)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Hand this run's stop on to the others, and theirs to this run, for as long as the block lasts."""
        news = await self._ledger.group_news(self._run)
        self._conductors_encoder = news.encoder or self._encoder
        tasks = [asyncio.create_task(work) for work in (self._hand_on(), self._listen(news))]
        tasks[-1].add_done_callback(self._hand_on_failure)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            # A run that ends in the moment in which it is stopped.
            if self._observer.stop_signal.stopped:
                await self._tell()

    async def conductor_ended(self) -> RunState:
        """Wait until the conductor has ended; return its state, which is DIED where it ended without a word."""
        self._awaits_film = True
        self._show_conductor()
        return await asyncio.shield(self._conductor_ended)

    async def members(self) -> tuple[GroupMember, ...]:
        """Return all runs of the group with what each has done; none where this one is alone."""
        members = await self._ledger.group_members(self._run.group_id)
        return tuple(members) if len(members) > 1 else ()

    async def _hand_on(self) -> None:
        await self._observer.stop_signal.wait()
        await self._tell()

    async def _tell(self) -> None:
        error = self._observer.stop_signal.error
        if self._told or error is None or not _concerns_all(error):
            return
        self._told = True
        # Away, it reaches nobody; each run notices by itself.
        with contextlib.suppress(StorageError):
            await self._ledger.stop_group(self._run, state=state_after(error), reason=str(error))

    async def _listen(self, news: GroupNews | None) -> None:
        while not self._conductor_ended.done():
            try:
                news = news or await self._ledger.group_news(self._run)
                self._heed(news)
                await self._show(news)
            except StorageError as error:
                # Whoever makes the film needs no news; one that waits for it would wait for ever.
                if not self._run.conducts:
                    self._stop(error)
            news = None
            await asyncio.sleep(_LOOK_EVERY_S)

    def _hand_on_failure(self, listening: "asyncio.Task[None]") -> None:
        """Let nobody wait for a conductor that is no longer looked at."""
        error = None if listening.cancelled() else listening.exception()
        if error and not self._conductor_ended.done():
            self._conductor_ended.set_exception(error)

    async def _show(self, news: GroupNews) -> None:
        """Let the progress show what the other runs of the group do, if there are any."""
        began = time.monotonic()
        if news.runs > 1 and began >= self._add_up_at:
            self._observer.progress.members = await self.members()
            took = time.monotonic() - began
            self._add_up_at = began + max(_ADD_UP_EVERY_S, took / _MOST_SHARE)
        self._news = news
        if self._awaits_film:
            self._show_conductor()

    def _show_conductor(self) -> None:
        if self._news is None:
            return
        progress = self._observer.progress
        conductor = next((lane_text(member) for member in progress.members if member.conducts), "it")
        progress.await_film(f"{conductor} is {self._news.stage}", seconds_left=self._news.seconds_left)

    def _heed(self, news: GroupNews) -> None:
        if news.stop and news.stop.stopped_by != self._run.run_id:
            self._told = True
            self._stop(_error_of(news.stop))
        if self._run.conducts or news.conductor.running:
            return
        if news.conductor not in _MADE:
            self._stop(ConductorGoneError(news.conductor))
        self._conductor_ended.set_result(news.conductor)

    def _stop(self, error: StoryreelError) -> None:
        if self._observer.stop_signal.stopped:
            return
        if isinstance(error, InterruptedRunError):
            self._observer.interrupt(error, grace_period_s=self._grace_period_s)
        else:
            self._observer.stop_signal.stop(error)


class LedgerClaims:
    """The claims of one run on pieces of films, in the ledger; see `film.claims.PieceClaims`."""

    def __init__(self, run: Run, ledger: AsyncLedger) -> None:
        self._run = run
        self._ledger = ledger

    async def claim(self, names: Sequence[str]) -> frozenset[str]:
        """Claim pieces; return those that no other living run encodes."""
        keys = {_key_of(name): name for name in names}
        claimed = await self._ledger.claim_pieces(self._run, list(keys))
        return frozenset(keys[key] for key in claimed)

    async def release(self, names: Sequence[str]) -> None:
        """Give claims back."""
        await self._ledger.release_pieces(self._run, [_key_of(name) for name in names])


class _NoClaims:
    """Claims that are never granted."""

    async def claim(self, names: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset()

    async def release(self, names: Sequence[str]) -> None:
        pass


def _key_of(piece: str) -> str:
    """Return the hash that names a piece."""
    return piece.partition(".")[0]


class ConductorGoneError(IncompleteError):
    """The run that was to make the film has ended without it."""

    def __init__(self, state: RunState) -> None:
        how = "died" if state is RunState.DIED else f"ended as {state}"
        super().__init__(f"the run that makes the film {how}: what this one has generated is kept; run again")


def plan_digest(plan: Plan) -> str:
    """Return the hex sha-256 of all that runs of a plan make: its takes and its films, wherever their files lie."""
    takes = [(frame.request_key, frame.takes) for frame in plan.frames]
    # Machines may see the same files at different paths.
    sounds = [replace(sound, file=Path(sound.file.name)) for sound in plan.timeline.sound.sounds]
    films = [replace(timeline, sound=SoundMix(), digest="") for timeline in plan.timelines]
    # Both only where there are any: runs of earlier versions know nothing of them.
    heard = [part for timeline in plan.timelines for part in (timeline.spoken, timeline.sound.further) if part]
    drafts = [number for number, timeline in enumerate(plan.timelines) if timeline.output.quality is Quality.DRAFT]
    ingredients = (takes, sounds, films, *heard, *([drafts] if drafts else []))
    return hashlib.sha256(repr(ingredients).encode()).hexdigest()


def _concerns_all(error: StoryreelError) -> bool:
    """Return whether what stops one run is to stop all of its group.

    A lane that cannot reach the endpoint, or the ledger, says nothing of the others.
    """
    shared = isinstance(error, InterruptedRunError | BudgetError | EndpointError)
    return shared and not isinstance(error, EndpointUnreachableError)


def _error_of(stop: GroupStop) -> StoryreelError:
    """Return the error with which a run ends that another one has stopped."""
    match stop.state:
        case RunState.CANCELLED:
            return InterruptedRunError(stop.reason)
        case RunState.OVER_BUDGET:
            return BudgetError(stop.reason)
        case _:
            return EndpointError(stop.reason)
