"""Results of runs, whole by default, each part named when it matters."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.ledger.models import RunState
from pipelines.run.result import RunResult


def run_result(**values: Any) -> RunResult:
    """Return the result of a run that generated one of two frames, unless `values` say otherwise."""
    result = RunResult(
        storyboard="harbor",
        run_id="1",
        state=RunState.INCOMPLETE,
        frames=2,
        reused=0,
        generated=1,
        failed=1,
        requests=3,
        cost_usd=Decimal("0.000652"),
        uncertain_usd=Decimal(0),
        cost_thb=Decimal("0.02282"),
        neurons=Decimal("57.6"),
        simulated=False,
        video=None,
        video_seconds=None,
        ledger=Path("outputs/harbor/ledger.csv"),
        report=None,
        elapsed_s=2.25,
    )
    return replace(result, **values)
