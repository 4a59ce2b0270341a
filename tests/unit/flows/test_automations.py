"""The automations of examples/automations, against the names that states have."""

from pathlib import Path

import yaml

from pipelines.ledger.models import RunState

AUTOMATIONS = Path(__file__).parents[3] / "examples/automations"
# What `storyreel status` says of runs that have not ended, or not in order: no state in Prefect is named so.
NOT_FINAL = {RunState.RUNNING, RunState.RUNNING_ELSEWHERE, RunState.DIED}


def test_no_run_that_has_ended_is_taken_for_a_dead_one() -> None:
    """Prefect names an event after each state's name, and a run that has ended sends no heartbeat any more."""
    automation = yaml.safe_load((AUTOMATIONS / "crashed.yaml").read_text())

    expected = {f"prefect.flow-run.{state}" for state in RunState if state not in NOT_FINAL}
    assert set(automation["trigger"]["expect"]) == {
        "prefect.flow-run.heartbeat",
        "prefect.flow-run.Crashed",
        *expected,
    }
