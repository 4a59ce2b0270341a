"""The flow `reroll-takes`: more takes of some frames, and a film if every frame has a take."""

from decimal import Decimal
from functools import partial

from prefect import State, flow

from pipelines.common.quality import Quality
from pipelines.flows.orchestration import FlowRequest, orchestrate
from pipelines.run.result import RunResult
from pipelines.storyboard.selection import select_extra_takes


# Not retried by Prefect: a second run would ask for other takes, and pay for them.
@flow(name="reroll-takes", flow_run_name="{storyboard}: {frames}", retries=0, persist_result=False)
async def reroll_takes(
    storyboard: str,
    # `--param frames=3` is a number to Prefect's command line, which reads values as JSON.
    frames: str | int,
    takes: int = 1,
    prompt: str | None = None,
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
    """Generate more takes of some frames; each frame shows the same take as before until another is picked.

    Args:
        storyboard: path of the YAML file; a relative one is found from STORYREEL_ROOT.
        frames: numbers, ranges, shots and scenes, with commas between: `3,7-9`, `arrival/wide`, `arrival`.
        takes: how many more of each.
        prompt: what to ask instead of the frames' own prompts.
        output: folder for everything that is made; default `outputs`, found likewise.
        endpoint: address of the image API, without any secret; default STORYREEL_ENDPOINT, else the embedded one, free.
        dialect: the API that it speaks; default by its address.
        model: the model to ask for; default `flux-1-schnell`, or `sketch` for the embedded endpoint.
        price_usd: the most that an image may cost in US dollars, where no price list says what it costs.
        budget_usd: hard cap for this run in US dollars, beside the storyboard's own.
        rate_limit: requests a minute that the endpoint allows; default 720.
        concurrency: requests in flight at most; default 128.
        quality: of the films, draft or final; default what the storyboard says, else final.
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
    select = partial(select_extra_takes, text=str(frames), count=takes, prompt=prompt)
    return await orchestrate(FlowRequest(storyboard, options, select=select))
