"""The tags of a flow run, by which Prefect's page filters runs, and automations choose among them."""

from prefect import get_client
from prefect.context import FlowRunContext

from pipelines.flows.best_effort import best_effort
from pipelines.ledger.models import Run


async def tag_flow_run(run: Run) -> None:
    """Tag the flow run with its storyboard's id, and with `real` or `simulated`, as its costs are."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    tags = {*context.flow_run.tags, *tags_of(run)}
    with best_effort("the run's tags were not set"):
        async with get_client() as client:
            await client.update_flow_run(context.flow_run.id, tags=sorted(tags))


def tags_of(run: Run) -> set[str]:
    """Return the tags of a run besides those of its deployment."""
    return {run.storyboard, "simulated" if run.simulated else "real"}
