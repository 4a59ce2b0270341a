"""The log of a run: what it is to do, what that costs, and how it ended, in words."""

from collections.abc import Iterator

from pipelines.common.budgets import BudgetScope
from pipelines.common.formatting import counted, format_amounts, format_decimal
from pipelines.common.printable import printable_name
from pipelines.common.settings import EMBEDDED_ENDPOINT
from pipelines.ledger.models import Run, RunState
from pipelines.report.lanes import costs_text, lanes_title
from pipelines.run.preparation import PreparedRun
from pipelines.run.result import RunResult
from pipelines.storyboard.quote import Quote

_EXTENTS = {
    BudgetScope.RUN: "for this run",
    BudgetScope.STORYBOARD: "for the storyboard in all",
    BudgetScope.DAY: "a day",
}


def beginning_lines(run: Run, prepared: PreparedRun) -> Iterator[str]:
    """Yield what a run is to do: its storyboard, whom it asks for what, and what it may spend."""
    settings, frames = prepared.settings, counted(len(prepared.plan.frames), "frame")
    yield f"storyboard {printable_name(str(prepared.board.path))}, {frames}; results in {settings.output}"
    lane = f" in lane {run.lane}" if run.lane else ""
    part = f" joins run {run.group}, which makes the film, and" if run.group else ""
    yield (
        f"run {run.run_id}{lane}{part} asks {_endpoint_name(run)} for model {run.model}, at most "
        f"{settings.rate_limit} requests a minute and {settings.concurrency} at once"
        f"{'; its costs are simulated' if run.simulated else ''}"
    )
    if (named := settings.named_endpoint) and named.notice:
        yield named.notice
    yield _budgets_text(run)


def _endpoint_name(run: Run) -> str:
    return "the embedded endpoint" if run.endpoint == EMBEDDED_ENDPOINT else run.endpoint


def quote_text(quote: Quote) -> str:
    """Return what a run is to generate, and the price of that."""
    return (
        f"{quote.generate} to generate for {format_decimal(quote.price.usd)} USD, at worst "
        f"{format_decimal(quote.worst_case_usd)} USD; {quote.reuse} to reuse"
    )


def ending_lines(run: Run, state: RunState, result: RunResult | None) -> Iterator[str]:
    """Yield how a run ended: its counts, its cost with what is not known of it, its files, what else is to be known."""
    if result:
        yield f"{counted(result.frames, 'frame')}: {result.counts}, with {counted(result.requests, 'request')}"
        amounts = format_amounts(result.cost_usd, result.cost_thb, result.neurons, uncertain_usd=result.uncertain_usd)
        yield f"cost: {amounts}{' (simulated)' if result.simulated else ''}; ledger: {result.ledger}"
        if result.members:
            yield f"{lanes_title(result.members)}: {costs_text(result.members)}"
        if result.report:
            yield f"report: {result.report}"
        yield from result.remarks
    yield f"run {run.run_id} ended: {state}"


def _budgets_text(run: Run) -> str:
    # That of a run is for all runs of its group.
    extents = {**_EXTENTS, BudgetScope.RUN: "for all of them together"} if run.group else _EXTENTS
    caps = [f"{format_decimal(usd)} USD {extents[scope]}" for scope, usd in run.budgets.caps.items()]
    return f"budget: {', '.join(caps)}" if caps else "budget: none"
