"""Renders without Prefect, which takes seconds to start: those that have nothing to generate."""

import asyncio
from collections.abc import Mapping
from typing import Any

from pipelines.cli.speaking import plan_shown
from pipelines.common.errors import BudgetError, LedgerError, StoryboardError
from pipelines.common.settings import Settings
from pipelines.flows.handover import Handover
from pipelines.run.preparation import require_quote_within_budgets
from pipelines.storyboard.model import Storyboard
from pipelines.takes.inventory import read_inventory_here


def needs_prefect(board: Storyboard, settings: Settings) -> bool:
    """Return whether a render has anything to orchestrate: takes to generate, for which the budgets can pay.

    Raises:
        UsageError: takes of the storyboard lie in another output folder.
    """
    try:
        plan = plan_shown(board, settings)
    except StoryboardError:
        # The check that follows says so, together with all else that is wrong.
        return False
    try:
        inventory = read_inventory_here(plan, settings)
        quote = inventory.quote(settings)
        if quote.generate:
            require_quote_within_budgets(quote, board, settings)
    except (BudgetError, LedgerError):
        # The run itself fails for the same reason: refused by its budget, it has its entry in the ledger and a report.
        return False
    return bool(quote.generate)


def run_directly(_: str, parameters: Mapping[str, Any], given: Handover) -> None:
    """Run a render to its end, in this process; see `flows.running.run_flow`.

    Raises:
        StoryreelError: why the run is not whole.
    """
    # Here and not above: Prefect starts while what makes films is imported.
    from pipelines.run.local import run_locally

    otio = bool(parameters.get("otio"))
    run = run_locally(
        given.board, given.settings, observer=given.observer, otio=otio, notes=given.notes, began=given.began
    )
    asyncio.run(run)
