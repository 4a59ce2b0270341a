"""Requested takes, less those that are there -> Quote: the exact price before any request, and the worst case."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from pipelines.common.budgets import BudgetScope, OnExceed
from pipelines.common.errors import BudgetError
from pipelines.common.formatting import counted, format_decimal
from pipelines.common.settings import Settings
from pipelines.endpoints.amounts import FREE, Price, total
from pipelines.storyboard.plan import TakeSpec

# One re-send a take would leave a run of a single take no second one.
LEAST_RETRY_QUOTA = 20


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of the takes that a run would generate.

    Attributes:
        frames: frames in the storyboard.
        reuse: takes of them that are there already.
        generate: takes still to be generated, one image each.
        price: the list price of these images.
        worst_case_usd: the price if every re-send that the retry policy allows is made and billed.
        time_at_rate_limit_s: exact seconds that the rate limit takes for these images.
    """

    frames: int
    reuse: int
    generate: int
    price: Price
    worst_case_usd: Decimal
    time_at_rate_limit_s: Fraction


def quote_takes(requested: Sequence[TakeSpec], *, frames: int, settings: Settings, kept: Collection[str] = ()) -> Quote:
    """Price those of the requested takes that are still to be generated.

    Args:
        requested: the takes.
        frames: frames in the storyboard.
        settings: the rate limit, and how often a request may be sent again.
        kept: request keys of the takes that are there.

    Raises:
        UsageError: nothing says what the model of those to generate costs.
    """
    # One request and one image for each: the API makes no batches.
    missing = [spec for spec in requested if spec.request_key not in kept]
    price = total((spec.price for spec in missing), zero=requested[0].frame.model.rates.zero if requested else FREE)
    quota = run_retry_quota(len(missing), configured=settings.retry_quota)
    return Quote(
        frames=frames,
        reuse=len(requested) - len(missing),
        generate=len(missing),
        price=price,
        worst_case_usd=_worst_case_usd(missing, max_resends=settings.max_resends, quota=quota),
        time_at_rate_limit_s=Fraction(len(missing) * 60, settings.rate_limit),
    )


def run_retry_quota(to_generate: int, *, configured: int | None) -> int:
    """Return how many re-sends a whole run may make: as configured, else one a take and at least 20."""
    return max(to_generate, LEAST_RETRY_QUOTA) if configured is None else configured


def require_within_budget(
    quote: Quote, remaining: Mapping[BudgetScope, Decimal], *, on_exceed: OnExceed | None
) -> None:
    """Refuse a run whose budgets are too small; see `Budgets.on_exceed`.

    Args:
        quote: of what it would generate.
        remaining: what is left of each budget that there is, in US dollars.
        on_exceed: what to do where that is too little.

    Raises:
        BudgetError: it is too little; nothing was sent.
    """
    # With STOP the gate ends the run at the cap, attempt by attempt.
    if on_exceed is OnExceed.STOP or not quote.generate:
        return
    if on_exceed is OnExceed.REFUSE:
        limits, usd, cost = remaining, quote.worst_case_usd, "may cost, with every re-send,"
    else:
        # Nothing was chosen: only a run that its own cap could not complete even without a retry is refused.
        limits, usd, cost = {s: left for s, left in remaining.items() if s is BudgetScope.RUN}, quote.price.usd, "cost"
    for scope, left in limits.items():
        if usd > left:
            price, rest = f"{format_decimal(usd)} USD", f"{format_decimal(left)} USD"
            raise BudgetError(
                f"{counted(quote.generate, 'frame')} to generate {cost} {price}, more than the {rest} that are left of "
                f"{scope.label}: nothing was sent; {scope.cure}, or ask for fewer frames"
            )


def _worst_case_usd(missing: Iterable[TakeSpec], *, max_resends: int, quota: int) -> Decimal:
    """Return the most that takes can cost: the run's quota is spent on the dearest, each up to its own bound.

    A take may be asked 1 + max_resends times with its prompt and as often with each fallback.
    """
    dearest = sorted(((spec.most_usd, len(spec.fallback_prompts)) for spec in missing), reverse=True)
    worst = sum((usd for usd, _ in dearest), Decimal(0))
    for usd, fallbacks in dearest:
        most = (1 + max_resends) * (1 + fallbacks) - 1
        resends = min(most, quota)
        worst += resends * usd
        quota -= resends
        if not quota:
            break
    return worst
