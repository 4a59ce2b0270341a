"""Runs under Prefect, whose API starts in the background while the command does what comes before them."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.common.errors import UsageError
from pipelines.flows.handover import Handover, RunFlow
from pipelines.flows.local_api import ConfiguredApi, drain_prefect, is_configured, prefect_api
from pipelines.flows.local_server import LocalServer


def require_api_for_lanes(lanes: int) -> None:
    """Require a Prefect API that workers on other machines have too, where a run is to have several lanes.

    Raises:
        UsageError: none is configured.
    """
    if lanes > 1 and not is_configured():
        raise UsageError(
            f"--lanes {lanes}: a Prefect API starts the other lanes, and none is configured: set PREFECT_API_URL, and "
            "start STORYREEL_LANE=<a name for its address> prefect worker start --pool storyreel --work-queue lanes on "
            "each further machine; or, without Prefect, run this without --lanes on each, with another STORYREEL_LANE; "
            "nothing was sent"
        )


@contextlib.contextmanager
def prefect_flows() -> Iterator[RunFlow]:
    """Yield the function that runs a flow under Prefect; it waits until Prefect's API is up, which starts here.

    In the end, wait until the API has all that was logged.

    Raises:
        UsageError: Prefect's API cannot be started.
    """
    with contextlib.ExitStack() as stack:
        yield _PrefectFlows(stack.enter_context(prefect_api()), stack)


class _PrefectFlows:
    def __init__(self, api: LocalServer | ConfiguredApi, stack: contextlib.ExitStack) -> None:
        self._api = api
        self._stack = stack
        self._is_up = False

    def __call__(self, name: str, parameters: Mapping[str, Any], given: Handover) -> None:
        progress = given.observer.progress
        if not self._is_up:
            progress.enter(self._api.step)
        # Not at the top of the file: it takes seconds, and Prefect reads its settings as it is imported.
        from pipelines.flows import running

        if not self._is_up:
            self._api.wait_until_up(progress.enter)
            self._is_up = True
            # Its log and events are sent in the background; the API ends with this block.
            self._stack.callback(drain_prefect)
        running.run_flow(name, parameters, given)
