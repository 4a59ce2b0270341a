"""The flow `render-lane`: helps a run of `render-storyboard` with its takes and its film, from another address."""

from decimal import Decimal

from prefect import State, flow

from pipelines.common.quality import Quality
from pipelines.flows.orchestration import FlowRequest, orchestrate
from pipelines.run.result import RunResult


# Not retried by Prefect: what one lane leaves, the others generate. Each has its name from the run that begins it.
@flow(name="render-lane", retries=0, persist_result=False)
async def render_lane(
    storyboard: str,
    group: str,
    output: str | None = None,
    endpoint: str | None = None,
    dialect: str | None = None,
    model: str | None = None,
    price_usd: Decimal | None = None,
    budget_usd: Decimal | None = None,
    rate_limit: int | None = None,
    concurrency: int | None = None,
    quality: Quality | None = None,
) -> "RunResult | State[RunResult]":
    """Generate takes of a storyboard that another run renders, and encode parts of its film, until that has ended.

    A run of `render-storyboard` begins it. Begun after that has ended, it sends nothing.

    Args:
        storyboard: path of the YAML file; a relative one is found from STORYREEL_ROOT.
        group: the id of the run that makes the film, in the ledger.
        output: that run's output folder; default `outputs`, found likewise.
        endpoint: that run's, without any secret; default STORYREEL_ENDPOINT.
        dialect: that run's.
        model: that run's.
        price_usd: that run's.
        budget_usd: hard cap for that run and all its lanes together in US dollars, beside the storyboard's own.
        rate_limit: requests a minute that the endpoint allows each address; default 720.
        concurrency: requests in flight at most; default 128.
        quality: that run's.
    """
    options = {
        "output": output,
        "endpoint": endpoint,
        "dialect": dialect,
        "model": model,
        "price_usd": price_usd,
        "budget_usd": budget_usd,
        "rate_limit": rate_limit,
        "concurrency": concurrency,
        "quality": quality,
    }
    return await orchestrate(FlowRequest(storyboard, options, group=group))
