"""The pool of takes that a run has still to see to, of which it claims a few at a time, in order.

Runs of one storyboard divide its takes so: each claims those that no other has, as it gets to them.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import chain, islice

from pipelines.ledger.executor import AsyncGate
from pipelines.run.outcomes import Failed, Reused, TakeOutcome
from pipelines.storyboard.plan import TakeSpec

# A claim lasts its run for a second, so that at the end none waits for long for another's.
_CLAIMS_A_MINUTE = 60
_MOST_CLAIMED = 16
# What is asked for at once: more than other runs hold, most of the time.
_WINDOW = 200
# Seconds between looks at what other runs hold: they may have kept it, or died over it.
_LOOK_AGAIN_S = 1.0


class TakePool:
    """The takes that a run has still to see to: to generate, or to wait for where another run does.

    Attributes:
        resends: how often runs of this group sent a take without seeing it kept, and died over it, by request key.
    """

    def __init__(
        self,
        gate: AsyncGate,
        specs: Sequence[TakeSpec],
        *,
        rate_limit: int,
        concurrency: int,
        on_settled: Callable[[TakeOutcome], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fill the pool.

        Args:
            gate: the run's.
            specs: the takes, in the order in which they are to be generated.
            rate_limit: requests a minute that the run's endpoint allows.
            concurrency: how many the run can have in flight; it claims no more at once.
            on_settled: called for each that another run has kept or given up.
            clock: monotonic, in seconds.
        """
        self._gate = gate
        self._limit = min(-(-rate_limit // _CLAIMS_A_MINUTE), _MOST_CLAIMED, concurrency)
        self._on_settled = on_settled
        self._clock = clock
        # By request key: several frames may ask for the same.
        self._left: dict[str, list[TakeSpec]] = {}
        for spec in specs:
            self._left.setdefault(spec.request_key, []).append(spec)
        self._held: dict[str, list[TakeSpec]] = {}
        self._claimed: dict[str, list[TakeSpec]] = {}
        self.resends: dict[str, int] = {}
        self._looked = clock()

    def __len__(self) -> int:
        """Return how many takes are not settled: neither handed out, nor kept or given up by other runs."""
        return len(self.specs)

    @property
    def specs(self) -> tuple[TakeSpec, ...]:
        """The takes that are not settled."""
        return tuple(chain.from_iterable((*self._left.values(), *self._held.values())))

    def put_back(self, spec: TakeSpec) -> None:
        """Put a take back that another run turned out to hold."""
        self._held.setdefault(spec.request_key, []).append(spec)

    async def claimed(self) -> AsyncIterator[TakeSpec]:
        """Yield the takes that this run is to generate, until no other run has left it any."""
        while True:
            while self._claimed:
                for spec in self._claimed.pop(next(iter(self._claimed))):
                    yield spec
            if not await self._claim_next():
                return

    async def release(self) -> None:
        """Give up the claims on takes that were not handed out."""
        if self._claimed:
            await self._gate.release(list(self._claimed))
            self._left = {**self._claimed, **self._left}
            self._claimed.clear()

    async def _claim_next(self) -> bool:
        """Claim the next takes; return whether there were any."""
        if self._held and (not self._left or self._clock() - self._looked >= _LOOK_AGAIN_S):
            self._looked = self._clock()
            held, self._held = self._held, {}
            # Before the others: they are earlier in the film, and other runs may have died over them.
            self._left = {**held, **self._left}
        while self._left and not self._claimed:
            await self._claim_among(list(islice(self._left, _WINDOW)))
        return bool(self._claimed)

    async def _claim_among(self, keys: Sequence[str]) -> None:
        claims = await self._gate.claim(keys, limit=self._limit)
        self.resends.update(claims.resends)
        for key in keys:
            if key in claims.kept:
                self._settle(Reused(spec) for spec in self._left.pop(key))
            elif key in claims.given_up:
                self._settle(Failed(spec, claims.given_up[key]) for spec in self._left.pop(key))
        for key in claims.claimed:
            self._claimed[key] = self._left.pop(key)
        for key in claims.held:
            self._held[key] = self._left.pop(key)

    def _settle(self, outcomes: Iterable[TakeOutcome]) -> None:
        for outcome in outcomes:
            self._on_settled(outcome)
