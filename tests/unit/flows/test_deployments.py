"""The deployments of prefect.yaml, as Prefect's command reads them."""

from pathlib import Path

import pytest
import yaml

DEPLOYMENTS = yaml.safe_load((Path(__file__).parents[3] / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["entrypoint"])
def test_prefect_deploy_has_nothing_to_ask(deployment: dict[str, object]) -> None:
    """On a terminal it asks for whatever of these is not there, and Enter is not always the right answer."""
    assert {"name", "entrypoint", "work_pool", "schedules", "description"} <= deployment.keys()
