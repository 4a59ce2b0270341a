"""The generation of a run's missing takes: in order, in rounds, through one endpoint."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager

from pipelines.common.settings import Settings
from pipelines.endpoints.client import Endpoint, FluxClient, Timeouts
from pipelines.endpoints.retry import RetryPolicy, RetryQuota, RunRetries
from pipelines.run.attempt import AttemptRunner
from pipelines.run.context import RunContext, recover_storyboard
from pipelines.run.outcomes import Failed, Postponed, TakeOutcome
from pipelines.run.scheduling import AdmissionQueue, generate_in_order
from pipelines.run.worker import TakeGenerator
from pipelines.server.config import ServerConfig
from pipelines.storyboard.plan import TakeSpec
from pipelines.storyboard.quote import run_retry_quota

# How often to look, in seconds, whether another run has finished a take that this one needs too.
_POLL_OTHER_RUNS_S = 1.0

# Generates one take.
Generate = Callable[[TakeSpec], Awaitable[TakeOutcome]]
# Yields, while these takes are generated with a run's generator, how one of them is; under Prefect, in task runs.
Generating = Callable[[TakeGenerator, Sequence[TakeSpec]], AbstractAsyncContextManager[Generate]]


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
    queue = AdmissionQueue(context.settings.concurrency)
    quota = run_retry_quota(len(missing), configured=context.settings.retry_quota)
    async with (
        open_generator(context, queue, retry_quota=quota) as generator,
        generating(generator, missing) as generate,
    ):

        async def generate_one(spec: TakeSpec) -> TakeOutcome:
            outcome = await generate(spec)
            on_outcome(outcome)
            return outcome

        return await _generate_in_rounds(context, missing, generate_one, queue)


async def _generate_in_rounds(
    context: RunContext,
    missing: tuple[TakeSpec, ...],
    generate: Generate,
    queue: AdmissionQueue,
) -> list[TakeOutcome]:
    stop_signal = context.observer.stop_signal
    deadline = time.monotonic() + context.settings.max_wait_s
    done: list[TakeOutcome] = []
    while missing and not stop_signal.stopped:
        keys = [spec.request_key for spec in missing]
        # Left out of this round, so that they hold no place in the queue while another run generates them.
        held = await context.ledger.keys_held_elsewhere(keys, run_id=context.run.run_id)
        turn = [spec for spec in missing if spec.request_key not in held]
        outcomes = await generate_in_order(turn, generate, queue=queue, stop_signal=stop_signal)
        # The gate finds others that are held: they come again in the next round.
        done += [outcome for outcome in outcomes if not isinstance(outcome, Postponed)]
        ended = {outcome.spec.request_key for outcome in done}
        missing = tuple(spec for spec in missing if spec.request_key not in ended)
        if missing and time.monotonic() > deadline:
            return [*done, *(Failed(spec, "another run has been generating it for too long") for spec in missing)]
        if missing:
            waits_for = f"for another run, which generates {len(missing)} of these takes"
            with context.observer.progress.waiting(waits_for):
                await stop_signal.pause(_POLL_OTHER_RUNS_S)
            # The other run may have died meanwhile, and left images that were paid for.
            await recover_storyboard(context, context.plan.storyboard)
    return done


@contextlib.asynccontextmanager
async def open_generator(
    context: RunContext, queue: AdmissionQueue, *, retry_quota: int
) -> AsyncIterator[TakeGenerator]:
    """Open the run's endpoint for as long as the block lasts; yield a generator that uses it.

    Args:
        context: the run.
        queue: the queue of takes before the gate.
        retry_quota: re-sends that the whole run may make.
    """
    settings, observer = context.settings, context.observer
    timeouts = Timeouts(settings.connect_timeout_s, settings.read_timeout_s, settings.total_timeout_s)
    gate = context.ledger.gate(context.run, rate_limit=settings.rate_limit, places=context.store.place.ids)
    with _endpoint(settings, seed=int(context.run.run_id, 16)) as endpoint:
        async with FluxClient(
            endpoint,
            concurrency=settings.concurrency,
            timeouts=timeouts,
            max_body_bytes=settings.max_body_mib << 20,
        ) as client:
            attempts = AttemptRunner(
                context.run.model,
                client,
                ledger=context.ledger,
                gate=gate,
                store=context.store,
                stop_signal=observer.stop_signal,
                progress=observer.progress,
            )
            yield TakeGenerator(
                attempts,
                gate,
                RunRetries(_policy(settings), RetryQuota(retry_quota)),
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
        token = settings.api_token
        yield Endpoint(settings.endpoint, token.get_secret_value() if token else None)
        return
    # Not at the top of the file: it imports a web framework, which runs with a real endpoint do without.
    from pipelines.server.running import serve_in_thread

    with serve_in_thread(ServerConfig(rate_limit=settings.rate_limit, seed=seed)) as url:
        yield Endpoint(url, local=True)


def _policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        max_resends=settings.max_resends,
        max_refusals=settings.max_refusals,
        max_rate_limited=settings.max_rate_limited,
        max_connects=settings.max_connects,
        max_retry_after_s=settings.max_retry_after_s,
    )
