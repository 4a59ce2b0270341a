"""A quote is exact: what is missing at its list price, and the dearest way in which everything could go wrong."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.budgets import BudgetScope, OnExceed
from pipelines.common.errors import BudgetError
from pipelines.common.geometry import AspectRatio
from pipelines.common.settings import Settings
from pipelines.endpoints.amounts import Price
from pipelines.storyboard.plan import TakeSpec
from pipelines.storyboard.quote import Quote, quote_takes, require_within_budget, run_retry_quota
from tests.support.builders import take_spec

PRICE = take_spec().price


def quote_of(specs: Sequence[TakeSpec], *, kept: Sequence[TakeSpec] = (), **settings: Any) -> Quote:
    """Quote these takes, a frame each."""
    return quote_takes(
        specs,
        frames=len(specs),
        kept={spec.request_key for spec in kept},
        settings=Settings(**settings),
    )


def takes(count: int) -> list[TakeSpec]:
    """Return takes that each ask for something of their own."""
    return [take_spec(n, prompt=f"harbor {n}") for n in range(count)]


def dearest_usd(specs: Sequence[TakeSpec], *, max_resends: int, quota: int) -> Decimal:
    """Try every way of spending at most `quota` re-sends on `specs`, and return the dearest."""
    bounds = [range((1 + max_resends) * (1 + len(spec.fallback_prompts))) for spec in specs]
    spent = (
        sum((n * spec.price.usd for n, spec in zip(ways, specs, strict=True)), Decimal(0))
        for ways in product(*bounds)
        if sum(ways) <= quota
    )
    return max(spent)


def test_a_quote_is_the_list_price_of_what_is_missing() -> None:
    """FACTS has one image at 0.000652 USD; 720 of them take a minute."""
    assert quote_of(takes(720)) == Quote(
        frames=720,
        reuse=0,
        generate=720,
        price=Price(Decimal("0.46944"), Decimal("16.4304"), Decimal(41472)),
        worst_case_usd=2 * Decimal("0.46944"),
        time_at_rate_limit_s=Fraction(60),
    )


def test_what_is_bought_is_reused() -> None:
    """It costs nothing and takes no time; keys of other storyboards change nothing."""
    specs = takes(5)

    quote = quote_of(specs, kept=[*specs[1:4], take_spec(prompt="a forest")], rate_limit=7)

    assert quote == Quote(5, 3, 2, PRICE * 2, 2 * PRICE.usd + 6 * PRICE.usd, Fraction(120, 7))


def test_nothing_missing_costs_nothing() -> None:
    """A film whose takes are there is cut again for free, in the worst case too."""
    specs = takes(3)

    assert quote_of(specs, kept=specs) == Quote(3, 3, 0, Price(), Decimal(0), Fraction(0))


def test_each_frame_is_priced_by_its_own_size_and_steps() -> None:
    """Tiles and steps of every frame count."""
    specs = [
        take_spec(0, aspect=AspectRatio.LANDSCAPE, steps=8),
        take_spec(1, aspect=AspectRatio.CLASSIC_PORTRAIT, steps=1),
    ]

    price = quote_of(specs).price

    assert price == Price(Decimal("0.001520"), Decimal("0.053200"), Decimal("134.4"))


def test_the_quota_bounds_the_whole_run() -> None:
    """Ten frames that may be sent again three times each share four re-sends."""
    assert quote_of(takes(10), retry_quota=4).worst_case_usd == 14 * PRICE.usd


def test_no_resends_make_the_worst_case_the_price() -> None:
    """Neither without a quota, nor where no prompt may be sent again."""
    assert quote_of(takes(10), retry_quota=0).worst_case_usd == 10 * PRICE.usd
    assert quote_of(takes(10), max_resends=0).worst_case_usd == 10 * PRICE.usd


def test_fallback_prompts_are_attempts_too() -> None:
    """One frame with two fallbacks may be asked three times four times."""
    spec = take_spec(fallback_prompts=("a quiet sea", "a sea"))

    assert quote_of([spec]).worst_case_usd == 12 * PRICE.usd


def test_the_quota_goes_to_the_dearest_first() -> None:
    """In whatever order they stand in the storyboard."""
    cheap, dear = take_spec(0, steps=1), take_spec(1, steps=8)

    worst = [quote_of(specs, retry_quota=4).worst_case_usd for specs in ((cheap, dear), (dear, cheap))]

    assert worst == [2 * cheap.price.usd + 4 * dear.price.usd] * 2


take_specs = st.builds(
    take_spec,
    st.just(0),
    prompt=st.text("abc", min_size=3, max_size=3),
    steps=st.integers(1, 8),
    aspect=st.sampled_from(AspectRatio),
    fallback_prompts=st.sampled_from([(), ("x",), ("x", "y")]),
)


@given(
    specs=st.lists(take_specs, max_size=4, unique_by=lambda spec: spec.request_key),
    max_resends=st.integers(0, 2),
    quota=st.integers(0, 12),
)
@settings(max_examples=60, deadline=None)
def test_the_worst_case_is_the_worst_of_all_cases(specs: list[TakeSpec], max_resends: int, quota: int) -> None:
    """Compared with every way in which the re-sends could fall."""
    quote = quote_of(specs, max_resends=max_resends, retry_quota=quota)

    dearest = dearest_usd(specs, max_resends=max_resends, quota=quota)
    assert quote.worst_case_usd == sum((spec.price.usd for spec in specs), dearest)


@given(specs=st.lists(take_specs, max_size=30, unique_by=lambda spec: spec.request_key), data=st.data())
@settings(max_examples=40, deadline=None)
def test_reused_and_bought_frames_are_all_takes(specs: list[TakeSpec], data: st.DataObject) -> None:
    """And the price of a whole is the price of its parts."""
    kept = data.draw(
        st.lists(st.sampled_from(specs), unique_by=lambda spec: spec.request_key) if specs else st.just([])
    )

    quote, rest, whole = (quote_of(each, kept=b) for each, b in ((specs, kept), (kept, ()), (specs, ())))

    assert (quote.frames, quote.reuse) == (len(specs), len(kept))
    assert quote.reuse + quote.generate == quote.frames
    assert quote.price + rest.price == whole.price


@pytest.mark.parametrize(
    ("to_generate", "configured", "quota"),
    [(0, None, 20), (20, None, 20), (21, None, 21), (5000, None, 5000), (5000, 0, 0), (1, 7, 7)],
)
def test_a_run_may_send_again_once_a_frame(to_generate: int, configured: int | None, quota: int) -> None:
    """At least 20 times, and as configured where somebody did."""
    assert run_retry_quota(to_generate, configured=configured) == quota


RUN, STORYBOARD, DAY = BudgetScope


@pytest.mark.parametrize(
    ("room", "on_exceed"),
    [
        ({}, None),
        ({RUN: 3 * PRICE.usd}, None),
        ({RUN: Decimal(1), STORYBOARD: Decimal(0), DAY: Decimal(0)}, None),
        ({RUN: Decimal(0), STORYBOARD: Decimal(0), DAY: Decimal(0)}, OnExceed.STOP),
        ({}, OnExceed.REFUSE),
        ({RUN: 12 * PRICE.usd, STORYBOARD: 12 * PRICE.usd, DAY: 12 * PRICE.usd}, OnExceed.REFUSE),
    ],
)
def test_a_budget_that_pays_is_no_obstacle(room: dict[BudgetScope, Decimal], on_exceed: OnExceed | None) -> None:
    """To the last digit; where a run may stop at a cap, the gate holds it."""
    require_within_budget(quote_of(takes(3)), room, on_exceed=on_exceed)


@pytest.mark.parametrize("left", ["0.001955999999", "0.001", "0"])
def test_a_run_whose_quote_passes_its_own_cap_sends_nothing(left: str) -> None:
    """What it would cost, what may be spent, that nothing was, and the cure."""
    with pytest.raises(BudgetError) as caught:
        require_within_budget(quote_of(takes(3)), {RUN: Decimal(left)}, on_exceed=None)

    assert str(caught.value) == (
        f"3 frames to generate cost 0.001956 USD, more than the {left} USD that are left of the budget: "
        "nothing was sent; raise budget.usd or --budget, or ask for fewer frames"
    )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("scope", "of"),
    [
        (RUN, "the budget: nothing was sent; raise budget.usd or --budget"),
        (STORYBOARD, "the storyboard's budget: nothing was sent; raise budget.total_usd"),
        (DAY, "the day's budget: nothing was sent; wait until 00:00 UTC or raise STORYREEL_BUDGET_DAILY_USD"),
    ],
)
def test_where_asked_to_refuse_the_worst_case_must_fit(scope: BudgetScope, of: str) -> None:
    """Of each budget that there is: three frames may cost as much as twelve."""
    left = 12 * PRICE.usd - Decimal("1e-6")
    with pytest.raises(BudgetError) as caught:
        require_within_budget(quote_of(takes(3)), {RUN: Decimal(1), scope: left}, on_exceed=OnExceed.REFUSE)

    assert str(caught.value) == (
        f"3 frames to generate may cost, with every re-send, 0.007824 USD, more than the {left} USD that are left of "
        f"{of}, or ask for fewer frames"
    )


@pytest.mark.parametrize("on_exceed", [None, OnExceed.REFUSE])
def test_a_budget_of_nothing_pays_for_nothing(on_exceed: OnExceed | None) -> None:
    """A film whose takes are there may be cut without a cent."""
    specs = takes(3)

    require_within_budget(quote_of(specs, kept=specs), {RUN: Decimal(0)}, on_exceed=on_exceed)
