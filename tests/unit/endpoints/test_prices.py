"""The price list, against the figures of the API's documentation."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.formatting import format_decimal
from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.prices import PRICE_LIST, Price, tiles_of, total

TILES = {"1:1": 4, "16:9": 6, "9:16": 6, "4:3": 4, "3:4": 4}


@pytest.mark.parametrize("steps", range(1, 9))
@pytest.mark.parametrize("aspect", list(AspectRatio))
def test_every_aspect_ratio_at_every_number_of_steps(aspect: AspectRatio, steps: int) -> None:
    """Tiles at 0.000053 USD and steps at 0.00011 USD, to the last digit; 35 baht the dollar."""
    tiles = TILES[aspect.value]
    usd = Decimal(tiles * 53 + steps * 110).scaleb(-6)

    assert tiles_of(aspect.size) == tiles
    assert PRICE_LIST.price(aspect.size, steps=steps) == Price(
        usd, usd * 35, Decimal(tiles * 48 + steps * 96).scaleb(-1)
    )


def test_the_documented_square() -> None:
    """The example answer of the documentation: 0.000652 USD, 57.6 neurons, 0.0228 baht when rounded."""
    price = PRICE_LIST.price(AspectRatio.SQUARE.size, steps=4)

    assert (format_decimal(price.usd), format_decimal(price.neurons), format_decimal(price.thb)) == (
        "0.000652",
        "57.6",
        "0.02282",
    )


@pytest.mark.parametrize(("aspect", "baht"), [("1:1", "0.023"), ("16:9", "0.027"), ("9:16", "0.027")])
def test_the_documented_typical_costs(aspect: str, baht: str) -> None:
    """Three typical costs, rounded as the documentation rounds them."""
    assert f"{PRICE_LIST.price(AspectRatio(aspect).size, steps=4).thb:.3f}" == baht


@given(prices=st.lists(st.builds(Price, *[st.decimals(0, 10, places=6)] * 3), max_size=20))
def test_sums_are_exact(prices: list[Price]) -> None:
    """Adding and multiplying lose no digit."""
    assert total(prices).usd == sum((price.usd for price in prices), Decimal(0))
    assert total(prices * 3) == total(prices) * 3


@given(width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_tiles_cover_the_picture_and_no_more(width: int, height: int) -> None:
    """One tile fewer in either direction would leave pixels uncovered."""
    across, down = -(-width // 512), -(-height // 512)

    assert tiles_of(Size(width, height)) == across * down
    assert (across - 1) * 512 < width <= across * 512


@pytest.mark.parametrize(
    ("value", "text"), [("0", "0"), ("0.000", "0"), ("10", "10"), ("1E+2", "100"), ("0.10", "0.1")]
)
def test_amounts_are_written_in_plain_digits(value: str, text: str) -> None:
    """No exponent, no trailing zeros."""
    assert format_decimal(Decimal(value)) == text


@pytest.mark.parametrize("text", ["1344", "0x5", "1344x", "-1x5", "1344 x 768", "99999999x1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A size is two whole numbers with an x between."""
    with pytest.raises(ValueError, match="must be a width and a height in pixels, like 1344x768"):
        Size.parse(text)
