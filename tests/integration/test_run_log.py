"""What storyreel's modules log in a flow, as Prefect's loggers get it."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect import flow, task
from prefect.logging.configuration import setup_logging

from pipelines.flows.run_log import logging_to_prefect
from tests.integration.test_logs import captured

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api_url")]

LOG = logging.getLogger("pipelines.run.worker")


@pytest.fixture(autouse=True)
def _prefect_s_loggers() -> None:
    """Configure them now: the first flow of the process would drop a test's handler as it does so."""
    setup_logging()


async def test_a_line_goes_to_the_log_of_the_run_in_which_it_is_written() -> None:
    """A task's to its task run; the flow's, and those of threads without a context, to the flow run."""

    @task
    async def a_task() -> None:
        LOG.info("of the %s", "task")

    @flow
    async def a_flow() -> None:
        with logging_to_prefect(), ThreadPoolExecutor() as threads:
            LOG.info("%s", "of the flow: 100% done")
            await a_task()
            await asyncio.wrap_future(threads.submit(LOG.warning, "of a thread"))
            LOG.debug("more than Prefect's level lets through")
        LOG.warning("after the run")

    with captured("prefect.task_runs") as of_tasks, captured("prefect.flow_runs") as of_flows:
        await a_flow()

    assert [line for line in of_tasks if line.startswith("of")] == ["of the task"]
    assert [line for line in of_flows if not line.startswith(("Beginning", "View at", "Finished"))] == [
        "of the flow: 100% done",
        "of a thread",
    ]


async def test_the_log_of_a_task_run_is_bounded() -> None:
    """A group of takes that are sent again and again has a line for each, and Prefect's page must show them."""

    @task
    async def a_task() -> None:
        for number in range(1000):
            LOG.info("line %d", number)

    @flow
    async def a_flow() -> None:
        with logging_to_prefect():
            await a_task()

    with captured("prefect.task_runs") as lines:
        await a_flow()

    written = [line for line in lines if "line" in line]
    assert (len(written), written[199:]) == (
        201,
        ["line 199", "further lines are left out: the ledger has a row for each attempt"],
    )
