"""The flow `render-storyboard`: from a storyboard to its film and ledger."""

from decimal import Decimal
from typing import Annotated

from prefect import State, flow
from pydantic import Field

from pipelines.common.quality import Quality
from pipelines.flows.orchestration import FlowRequest, orchestrate
from pipelines.run.result import RunResult


# Not retried by Prefect: a run has sent again what its bounds allow. Running it again is the user's decision.
@flow(name="render-storyboard", flow_run_name="{storyboard}", retries=0, persist_result=False)
async def render_storyboard(
    storyboard: str,
    output: str | None = None,
    endpoint: str | None = None,
    dialect: str | None = None,
    model: str | None = None,
    price_usd: Decimal | None = None,
    budget_usd: Decimal | None = None,
    rate_limit: int | None = None,
    concurrency: int | None = None,
    quality: Quality | None = None,
    otio: bool = False,
    lanes: Annotated[int, Field(ge=1, le=64)] = 1,
) -> "RunResult | State[RunResult]":
    """Render a storyboard: generate what is missing, cut the film, write the ledger.

    Args:
        storyboard: path of the YAML file; a relative one is found from STORYREEL_ROOT.
        output: folder for everything that is made; default `outputs`, found likewise.
        endpoint: address of the image API, without any secret; default STORYREEL_ENDPOINT, else the embedded one, free.
        dialect: the API that it speaks; default by its address.
        model: the model to ask for; default `flux-1-schnell`, or `sketch` for the embedded endpoint.
        price_usd: the most that an image may cost in US dollars, where no price list says what it costs.
        budget_usd: hard cap for this run in US dollars, beside the storyboard's own.
        rate_limit: requests a minute that the endpoint allows; default 720.
        concurrency: requests in flight at most; default 128.
        quality: of the films, draft or final; default what the storyboard says, else final.
        otio: write the timeline as OpenTimelineIO too, for an editor.
        lanes: addresses to send from, this run's and those of workers of the queue `lanes`, which it begins.
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
    return await orchestrate(FlowRequest(storyboard, options, otio=otio, lanes=lanes))
