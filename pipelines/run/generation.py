"""The generation of a run's missing takes: in order, in rounds, through one endpoint."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from pipelines.common.settings import Settings
from pipelines.endpoints.choice import chosen_dialect, chosen_model
from pipelines.endpoints.client import Endpoint, EndpointClient
from pipelines.endpoints.connection import endpoint_at, timeouts_of
from pipelines.endpoints.retry import RetryPolicy, RetryQuota, RunRetries
from pipelines.run.attempt import AttemptRunner
from pipelines.run.context import RunContext, recover_storyboard
from pipelines.run.outcomes import Failed, Postponed, TakeOutcome
from pipelines.run.scheduling import AdmissionQueue, generate_in_order
from pipelines.run.take_pool import TakePool
from pipelines.run.worker import TakeGenerator
from pipelines.server.config import ServerConfig
from pipelines.storyboard.plan import TakeSpec
from pipelines.storyboard.quote import run_retry_quota

# How often to look, in seconds, whether another run has kept a take that this one needs too.
_LOOK_AGAIN_S = 1.0

# Generates one take.
Generate = Callable[[TakeSpec], Awaitable[TakeOutcome]]
# The outcomes of takes that other runs have seen to, as they come, by their request keys.
Settled = Mapping[str, TakeOutcome]
# Yields, while these takes are generated with a run's generator, how one of them is; under Prefect, in task runs.
Generating = Callable[[TakeGenerator, Sequence[TakeSpec], Settled], AbstractAsyncContextManager[Generate]]


async def generate_missing(
    context: RunContext,
    missing: tuple[TakeSpec, ...],
    generating: Generating,
    *,
    on_outcome: Callable[[TakeOutcome], None],
) -> list[TakeOutcome]:
    """Generate takes, and return their outcomes; wait for those that another run is generating.

    Args:
        context: the run.
        missing: the takes, in the order in which they are to be generated.
        generating: yields how one is generated.
        on_outcome: called for each as it ends.
    """
    settings, progress = context.settings, context.observer.progress
    queue = AdmissionQueue(settings.concurrency)
    quota = run_retry_quota(len(missing), configured=settings.retry_quota)
    if context.run.conducts:
        await context.ledger.bound_group(context.run, retry_quota=quota)
    settled: dict[str, TakeOutcome] = {}

    def settle(outcome: TakeOutcome) -> None:
        settled[outcome.spec.request_key] = outcome
        failed = isinstance(outcome, Failed)
        progress.count(outcome.spec.frame.scene, failed=failed, elsewhere=not failed)
        on_outcome(outcome)

    pool = TakePool(
        context.gate,
        missing,
        rate_limit=settings.rate_limit,
        concurrency=settings.concurrency,
        on_settled=settle,
    )
    async with (
        open_generator(context, queue, retry_quota=quota, earlier=pool.resends) as generator,
        generating(generator, missing, settled) as generate,
    ):

        async def generate_one(spec: TakeSpec) -> TakeOutcome:
            outcome = await generate(spec)
            on_outcome(outcome)
            return outcome

        return [*await _generate_in_rounds(context, pool, generate_one, queue), *settled.values()]


async def _generate_in_rounds(
    context: RunContext, pool: TakePool, generate: Generate, queue: AdmissionQueue
) -> list[TakeOutcome]:
    """Generate what no other run does, and wait for the rest; return the outcomes of what this run generated."""
    stop_signal = context.observer.stop_signal
    patience = _Patience(context.settings.max_wait_s)
    done: list[TakeOutcome] = []
    while pool and not stop_signal.stopped:
        outcomes = await generate_in_order(pool.claimed(), generate, queue=queue, stop_signal=stop_signal)
        await pool.release()
        for outcome in outcomes:
            # The gate finds others that are held: they come again in the next round.
            pool.put_back(outcome.spec) if isinstance(outcome, Postponed) else done.append(outcome)
        if patience.is_over(left=len(pool)):
            return [*done, *(Failed(spec, "another run has been generating it for too long") for spec in pool.specs)]
        if pool:
            waits_for = f"for another run, which generates {len(pool)} of these takes"
            with context.observer.progress.waiting(waits_for):
                await stop_signal.pause(_LOOK_AGAIN_S)
            # The other run may have died meanwhile, and left images that were paid for.
            await recover_storyboard(context, context.plan.storyboard)
    return done


class _Patience:
    """How long a run waits for takes of other runs, from when any of them last came."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left: int | None = None
        self._since = time.monotonic()

    def is_over(self, *, left: int) -> bool:
        """Take note of how many takes are left; return whether they have stayed so for too long."""
        if left != self._left:
            self._left, self._since = left, time.monotonic()
        return left > 0 and time.monotonic() - self._since > self._seconds


@contextlib.asynccontextmanager
async def open_generator(
    context: RunContext, queue: AdmissionQueue, *, retry_quota: int, earlier: Mapping[str, int] | None = None
) -> AsyncIterator[TakeGenerator]:
    """Open the run's endpoint for as long as the block lasts; yield a generator that uses it.

    Args:
        context: the run.
        queue: the queue of takes before the gate.
        retry_quota: re-sends that the whole run may make.
        earlier: see `RunRetries`.
    """
    settings, observer = context.settings, context.observer
    with _endpoint(settings, seed=int(context.run.run_id, 16)) as endpoint:
        async with EndpointClient(
            endpoint,
            concurrency=settings.concurrency,
            timeouts=timeouts_of(settings),
            max_body_bytes=settings.max_body_mib << 20,
        ) as client:
            attempts = AttemptRunner(
                client,
                ledger=context.ledger,
                gate=context.gate,
                store=context.store,
                stop_signal=observer.stop_signal,
                progress=observer.progress,
            )
            yield TakeGenerator(
                attempts,
                context.gate,
                RunRetries(_policy(settings), RetryQuota(retry_quota), earlier=earlier or {}),
                queue=queue,
                stop_signal=observer.stop_signal,
                progress=observer.progress,
            )


@contextlib.contextmanager
def _endpoint(settings: Settings, *, seed: int) -> Iterator[Endpoint]:
    """Yield the endpoint that was asked for, else the embedded one, which lives as long as this block.

    The embedded one draws other sketches for each `seed`, as a real one makes other images each time it is asked.
    """
    if settings.endpoint is not None:
        yield endpoint_at(settings.endpoint, settings)
        return
    # Not at the top of the file: it imports a web framework, which runs with a real endpoint do without.
    from pipelines.server.running import serve_in_thread

    with serve_in_thread(ServerConfig(rate_limit=settings.rate_limit, seed=seed)) as url:
        yield Endpoint(url, chosen_dialect(settings), chosen_model(settings), local=True)


def _policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        max_resends=settings.max_resends,
        max_refusals=settings.max_refusals,
        max_rate_limited=settings.max_rate_limited,
        max_connects=settings.max_connects,
        max_retry_after_s=settings.max_retry_after_s,
    )
