"""Lanes: runs of one storyboard on other machines, which Prefect's workers there begin, and which share its takes.

The ledger decides what each of them does. Prefect only starts them, and where it cannot, the conductor goes on alone.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import State, get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from pipelines.common.addresses import without_secrets
from pipelines.common.formatting import counted
from pipelines.common.settings import Settings
from pipelines.flows.best_effort import best_effort
from pipelines.flows.tags import tags_of
from pipelines.flows.tasks import generating_in_task_runs
from pipelines.run.context import RunContext
from pipelines.run.generation import Generate, Generating, Settled
from pipelines.run.worker import TakeGenerator
from pipelines.storyboard.plan import TakeSpec

_log = logging.getLogger(__name__)

_DEPLOYMENT = "render-lane/lane"
# A worker is about to begin a pending one.
_UNBEGUN = (StateType.SCHEDULED, StateType.PENDING)
_BROKEN = (StateType.FAILED, StateType.CRASHED)
_WORKER = "STORYREEL_LANE=<a name for its address> prefect worker start --pool storyreel --work-queue lanes"


@contextlib.asynccontextmanager
async def generating_in_lanes(
    context: RunContext, options: Mapping[str, Any], *, lanes: int, on_remark: Callable[[str], None]
) -> AsyncIterator[Generating]:
    """Yield how a run generates its takes, in so many lanes; in the end, cancel those that no worker has begun.

    Args:
        context: the run; its own lane is one of them.
        options: the settings that it was given, by name.
        lanes: how many in all.
        on_remark: called with a sentence for people where there are fewer.
    """
    if lanes == 1 or not context.run.conducts:
        yield generating_in_task_runs
        return
    others = _OtherLanes(context, lane_parameters(context, options), count=lanes - 1, on_remark=on_remark)
    try:
        yield others.generating
    finally:
        await others.cancel_unbegun()


def lane_parameters(context: RunContext, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run's other lanes: its own and its group, whatever their environments say.

    Paths are as other machines find them. What is of each machine, such as a rate limit, is as the run was told.
    """
    settings, run = context.settings, context.run
    # The endpoint that the storyboard names is named by it there too, with a token of that machine.
    told = None if settings.named_endpoint else settings.endpoint
    parameters = {
        **options,
        "storyboard": _shared_path(context.prepared.board.path, settings),
        "output": _shared_path(settings.output, settings),
        "endpoint": told,
        "dialect": run.dialect if told else options.get("dialect"),
        # Not its short name, by which another machine could not ask for what no price list has.
        "model": run.model_id or run.model,
        "price_usd": settings.price_usd,
        "budget_usd": run.budgets.run_usd,
        "quality": settings.quality,
        "group": run.group_id,
    }
    if told and without_secrets(told) != told:
        # Parameters stand on Prefect's page. A worker has the whole address from STORYREEL_ENDPOINT, or joins nothing.
        del parameters["endpoint"]
    return {name: value for name, value in parameters.items() if value is not None}


def _shared_path(path: Path, settings: Settings) -> str:
    """Return a path relative to STORYREEL_ROOT, which each machine may have elsewhere, or an absolute one."""
    path = path.absolute()
    return str(path.relative_to(settings.root) if settings.root and path.is_relative_to(settings.root) else path)


class _OtherLanes:
    """The lanes of a conductor besides its own: flow runs of a deployment."""

    def __init__(
        self, context: RunContext, parameters: Mapping[str, Any], *, count: int, on_remark: Callable[[str], None]
    ) -> None:
        self._run = context.run
        self._stop_signal = context.observer.stop_signal
        self._parameters = parameters
        self._count = count
        self._on_remark = on_remark
        self._started: list[UUID] = []

    @contextlib.asynccontextmanager
    async def generating(
        self, generator: TakeGenerator, takes: Sequence[TakeSpec], settled: Settled
    ) -> AsyncIterator[Generate]:
        """Start the lanes while this one generates; see `run.generation.Generating`."""
        # Not awaited first: this lane need not wait for Prefect.
        starting = asyncio.create_task(self._start())
        try:
            async with generating_in_task_runs(generator, takes, settled) as generate:
                yield generate
        finally:
            await starting
        # A run that was stopped may have ended before any of them could begin.
        if not self._stop_signal.stopped:
            self._tell_of_missing(await self._read())

    async def cancel_unbegun(self) -> None:
        """Cancel the lanes that no worker has begun: there is nothing left for them."""
        over: State[Any] = Cancelled(message="the run that makes the film has ended")
        unbegun = [flow_run for flow_run in await self._read() if _type_of(flow_run) in _UNBEGUN]
        with best_effort("lanes that no worker has begun were not cancelled"):
            async with get_client() as client:
                for flow_run in unbegun:
                    await client.set_flow_run_state(flow_run.id, over)

    async def _start(self) -> None:
        with best_effort("no other lanes were started"):
            try:
                async with get_client() as client:
                    await client.read_deployment_by_name(_DEPLOYMENT)
            except ObjectNotFound:
                self._remark(
                    f"no other lanes were started: Prefect has no {_DEPLOYMENT}; `prefect deploy --all` makes it"
                )
                return
            await asyncio.gather(*(self._start_one(number) for number in range(1, self._count + 1)))
        _log.info("%s: started %s", self._run.storyboard, counted(len(self._started), "other lane"))
        if missing := self._count - len(self._started):
            others = counted(self._count, "other lane")
            self._remark(f"{missing} of {others} could not be started: the log on Prefect's page says why")

    async def _start_one(self, number: int) -> None:
        with best_effort(f"lane {number} was not started"):
            self._started.append(await start_lane(number, self._parameters, sorted(tags_of(self._run))))

    async def _read(self) -> list[FlowRun]:
        """Return the flow runs of the lanes as they are now, in no order; none where Prefect cannot be asked."""
        if self._started:
            with best_effort("what became of other lanes is not known"):
                async with get_client() as client:
                    return await client.read_flow_runs(
                        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=self._started))
                    )
        return []

    def _tell_of_missing(self, flow_runs: Sequence[FlowRun]) -> None:
        """Tell why lanes did not help, so that next time they do."""
        if idle := sum(_type_of(flow_run) is StateType.SCHEDULED for flow_run in flow_runs):
            others = counted(self._count, "other lane")
            self._remark(f"no worker has begun {idle} of {others}: on each machine for one, start {_WORKER}")
        for flow_run in flow_runs:
            if flow_run.state and flow_run.state.type in _BROKEN:
                self._remark(f"{flow_run.name}: {flow_run.state.name}: {flow_run.state.message}")

    def _remark(self, text: str) -> None:
        _log.warning("%s: %s", self._run.storyboard, text)
        self._on_remark(text)


def _type_of(flow_run: FlowRun) -> StateType | None:
    return flow_run.state.type if flow_run.state else None


@task(name="start-lane", task_run_name="lane {number}", retries=0, cache_policy=NO_CACHE, persist_result=False)
async def start_lane(number: int, parameters: Mapping[str, Any], tags: list[str]) -> UUID:
    """Schedule another lane, for the first worker that has room for it; return the id of its flow run."""
    flow_run = await arun_deployment(
        _DEPLOYMENT,
        parameters=dict(parameters),
        flow_run_name=f"{parameters['storyboard']}: lane {number}",
        tags=tags,
        # Asked again after a lost answer, Prefect makes no second one.
        idempotency_key=f"{parameters['group']}-{number}",
        timeout=0,
    )
    return flow_run.id
