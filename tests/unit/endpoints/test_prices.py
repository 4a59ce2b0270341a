"""Price lists: exact, against the figures of the sellers' documentation; what nothing prices is refused."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.errors import UsageError
from pipelines.common.formatting import format_decimal
from pipelines.common.geometry import AspectRatio, Size
from pipelines.endpoints.amounts import Price, total
from pipelines.endpoints.dialects.registry import all_dialects
from pipelines.endpoints.models import ImageModel, UsageRates
from pipelines.endpoints.price_file import read_price_file
from pipelines.endpoints.prices import PriceList, as_price_list, price_list
from pipelines.endpoints.rates import tiles_of
from pipelines.endpoints.requests import ImageRequest

TILES = {"1:1": 4, "16:9": 6, "9:16": 6, "4:3": 4, "3:4": 4}
FLUX = price_list("flux").model("flux-1-schnell")
SQUARE, LANDSCAPE = AspectRatio.SQUARE, AspectRatio.LANDSCAPE


def price_of(model: ImageModel, aspect: AspectRatio = SQUARE, *, steps: int = 4) -> Price:
    return model.price_of(ImageRequest("a harbor", steps, aspect))


def read(folder: Path, models: str, *, head: str = "") -> PriceList:
    path = folder / "mine.yaml"
    path.write_text(f"source: https://prices.test\ndate: 2026-11-01\n{head}models:\n  {models}\n", encoding="utf-8")
    return as_price_list(read_price_file(path), dialect="mine")


@pytest.mark.parametrize("steps", range(1, 9))
@pytest.mark.parametrize("aspect", list(AspectRatio))
def test_every_aspect_ratio_at_every_number_of_steps(aspect: AspectRatio, steps: int) -> None:
    """Tiles at 0.000053 USD and steps at 0.00011 USD, to the last digit; 35 baht the dollar."""
    tiles = TILES[aspect.value]
    usd = Decimal(tiles * 53 + steps * 110).scaleb(-6)

    assert tiles_of(aspect.size) == tiles
    assert price_of(FLUX, aspect, steps=steps) == Price(usd, usd * 35, Decimal(tiles * 48 + steps * 96).scaleb(-1))


def test_the_documented_square() -> None:
    """The example answer of the documentation: 0.000652 USD, 57.6 neurons, 0.0228 baht when rounded."""
    assert price_of(FLUX) == Price(Decimal("0.000652"), Decimal("0.02282"), Decimal("57.6"))


@pytest.mark.parametrize(("aspect", "baht"), [("1:1", "0.023"), ("16:9", "0.027"), ("9:16", "0.027")])
def test_the_documented_typical_costs(aspect: str, baht: str) -> None:
    """Three typical costs, rounded as the documentation rounds them."""
    assert f"{price_of(FLUX, AspectRatio(aspect)).thb:.3f}" == baht


@pytest.mark.parametrize(
    ("dialect", "name", "aspect", "steps", "usd", "neurons"),
    [
        # 4 tiles whatever is asked: it makes squares.
        ("cloudflare", "flux-1-schnell", LANDSCAPE, 4, "0.0006336", "57.6"),
        # A picture of 1280x720 was billed as 104.20 neurons: 4 tiles by area, not 6.
        ("cloudflare", "flux-2-klein-4b", LANDSCAPE, 8, "0.0011462", "104.2"),
        ("cloudflare", "flux-2-klein-4b", AspectRatio.CLASSIC_LANDSCAPE, 8, "0.00085965", "78.15"),
        ("cloudflare", "flux-2-klein-9b", LANDSCAPE, 8, "0.01500004", "1363.64"),
        ("cloudflare", "flux-2-dev", SQUARE, 8, "0.0132", "1200"),
        ("cloudflare", "lucid-origin", SQUARE, 8, "0.02904", "2640"),
        ("cloudflare", "phoenix-1.0", SQUARE, 8, "0.0242", "2200"),
        ("openai", "gpt-image-1", LANDSCAPE, 8, "0.25", None),
        ("openai", "gpt-image-1-mini", SQUARE, 8, "0.036", None),
        ("openai", "dall-e-3", LANDSCAPE, 8, "0.08", None),
        ("openai", "dall-e-2", LANDSCAPE, 8, "0.02", None),
    ],
)
def test_what_is_made_is_priced_as_its_seller_does(
    dialect: str, name: str, aspect: AspectRatio, steps: int, usd: str, neurons: str | None
) -> None:
    """At the size and with the steps that the model makes."""
    price = price_of(price_list(dialect).model(name), aspect, steps=steps)

    assert (price.usd, price.thb) == (Decimal(usd), Decimal(usd) * 35)
    assert price.neurons == (None if neurons is None else Decimal(neurons))


def test_a_model_may_be_priced_by_the_megapixel_with_steps_included(tmp_path: Path) -> None:
    """More steps than are included are dearer in proportion, fewer are not cheaper."""
    model = read(tmp_path, "m: {max_steps: 8, usd: {megapixel: 0.0027, included_steps: 4}}").model("m")

    assert [price_of(model, steps=steps).usd for steps in (1, 4, 8)] == [
        Decimal("0.0028311552"), Decimal("0.0028311552"), Decimal("0.0056623104"),
    ]  # fmt: skip


def test_no_more_steps_are_priced_than_a_model_takes(tmp_path: Path) -> None:
    """Here USD x (width / 1024) x (height / 1024) x steps, as some sellers have it."""
    prices = "{megapixel: 0.0005, megapixel_px: 1048576, included_steps: 1}"
    model = read(tmp_path, f"m: {{max_steps: 4, usd: {prices}}}").model("m")

    assert price_of(model, LANDSCAPE, steps=2).usd == Decimal("0.000984375")
    assert price_of(model, steps=8).usd == Decimal("0.002")


def test_a_list_says_what_the_units_of_bills_cost() -> None:
    """Neurons, and tokens by the million, in US dollars for one."""
    squares, mini = price_list("cloudflare").model("flux-1-schnell"), price_list("openai").model("gpt-image-1-mini")

    assert squares.usage_rates == UsageRates(Decimal("0.000011"))
    assert mini.usage_rates == UsageRates(Decimal(0), Decimal("0.000002"), Decimal("0.000008"))


@pytest.mark.parametrize("dialect", sorted(all_dialects()))
def test_every_dialect_has_a_price_list(dialect: str) -> None:
    """With the date and the source of its prices."""
    prices = price_list(dialect)

    assert prices.source
    assert prices.date


@pytest.mark.parametrize(
    ("dialect", "model", "rate_limit"),
    [
        ("flux", "any", 720),
        ("cloudflare", "flux-1-schnell", 720),
        ("openai", "gpt-image-1", 5),
        ("openai", "a-model-of-my-own", None),
    ],
)
def test_a_rate_limit_is_of_all_models_or_of_one(dialect: str, model: str, rate_limit: int | None) -> None:
    """A server of one's own has none that a seller's list could know."""
    assert price_list(dialect).rate_limit_of(model) == rate_limit


def test_a_name_of_the_list_stands_for_the_model_as_the_endpoint_has_it() -> None:
    """And comes with what it can do."""
    model = price_list("cloudflare").model("flux-1-schnell")

    assert (model.name, model.id) == ("flux-1-schnell", "@cf/black-forest-labs/flux-1-schnell")
    assert (model.abilities.sizes, model.abilities.max_steps) == ((Size(1024, 1024),), 8)


def test_the_flux_list_prices_any_model() -> None:
    """By flux-api.md, whatever is behind the API."""
    model = price_list("flux").model("my-own")

    assert (model.name, model.id, price_of(model)) == ("my-own", "my-own", price_of(FLUX))


def test_a_model_that_nothing_prices_is_refused_with_the_cure() -> None:
    """Whether it is not in the list, or there without a price."""
    prices = price_list("cloudflare")

    with pytest.raises(UsageError) as unknown:
        prices.model("flux-1-schnel")
    with pytest.raises(UsageError, match=r"configs/prices/cloudflare.yaml does not say what it costs"):
        prices.model("dreamshaper-8-lcm")
    assert str(unknown.value) == (
        "model flux-1-schnel: configs/prices/cloudflare.yaml does not say what it costs; give --price "
        "(STORYREEL_PRICE_USD), the most that an image may cost; did you mean 'flux-1-schnell'?"
    )


def test_a_model_that_nothing_prices_may_be_looked_at_and_not_be_quoted() -> None:
    """Its takes have names; a price of it is refused."""
    model = price_list("openai").find("sd-turbo")

    assert (model.name, model.is_priced) == ("sd-turbo", False)
    with pytest.raises(UsageError, match="give --price"):
        price_of(model)


def test_a_price_that_the_user_states_is_the_price_where_no_list_has_one() -> None:
    """Of an unknown model, under its name at the endpoint, and of one of which the list knows but what it can do."""
    prices, stated = price_list("cloudflare"), Price(Decimal("0.01"), Decimal("0.35"), None)
    unknown = prices.model("x", model_id="@cf/who/x", price_usd=stated.usd)
    unpriced, listed = (prices.model(name, price_usd=stated.usd) for name in ("dreamshaper-8-lcm", "flux-1-schnell"))

    assert (unknown.id, price_of(unknown)) == ("@cf/who/x", stated)
    assert (unpriced.abilities.max_steps, price_of(unpriced)) == (20, stated)
    assert price_of(listed).usd == Decimal("0.0006336")


@pytest.mark.parametrize(
    ("models", "head", "complaint"),
    [
        ("m: {usd: {tyle: 1}}", "", "mine.yaml: models.m.usd.tyle: is unknown here; fix the price list"),
        ("m: {usd: {tile: -1}}", "", "models.m.usd.tile: must be at least 0"),
        ("m: {sizes: [1024], usd: {tile: 1}}", "", "models.m.sizes.0: must be a width and a height in pixels, like"),
        ("m: {neurons: {tile: 1}}", "", "m is priced in neurons: usd_per_1000_neurons must say what they cost"),
        (
            "m: {sizes: [8x8], usd: {image: {9x9: 1}}}",
            "",
            "models.m: image: must have a price for each of its sizes, and for no other",
        ),
        ("m: {usd: {tile: 1, step: 1}}", "", "models.m: max_steps is missing: a price by step needs it"),
        ("m: {usd: {tile: 1}}", "rate_limit: many\n", "mine.yaml: rate_limit: must be a whole number"),
        ("m: {usd: {tile: 1, tile: 2}}", "", "mine.yaml:4:22: the key 'tile' is there twice; fix the price list"),
        ("m: {usd: {tile: 1}", "", "mine.yaml:5:1: expected ',' or '}', but got '<stream end>'; fix the price list"),
    ],
)
def test_a_mistake_in_a_price_list_is_told_with_its_place(
    tmp_path: Path, models: str, head: str, complaint: str
) -> None:
    """Before anything is quoted by it."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, models, head=head)

    assert complaint in str(caught.value)


def test_figures_are_read_to_the_digit(tmp_path: Path) -> None:
    """None passes through a float, and no word is taken for another type."""
    model = read(tmp_path, "no: {usd: {tile: 0.1000000000000000055}}").model("no")

    assert price_of(model).usd == Decimal("0.4000000000000000220")


def test_a_dialect_without_a_list_has_the_prices_that_the_user_states() -> None:
    """And no other."""
    prices = price_list("smoke")

    assert price_of(prices.model("signals", price_usd=Decimal(1))).usd == 1
    with pytest.raises(UsageError) as caught:
        prices.model("signals")
    assert str(caught.value) == (
        "model signals: configs/prices/smoke.yaml does not say what it costs; give --price (STORYREEL_PRICE_USD), the "
        "most that an image may cost"
    )


@given(prices=st.lists(st.builds(Price, *[st.decimals(0, 10, places=6)] * 3), max_size=20))
def test_sums_are_exact(prices: list[Price]) -> None:
    """Adding and multiplying lose no digit."""
    assert total(prices).usd == sum((price.usd for price in prices), Decimal(0))
    assert total(prices * 3) == total(prices) * 3


def test_a_sum_has_neurons_only_where_all_of_it_has() -> None:
    """A sum of some would pass for the whole."""
    billed, unbilled = Price(Decimal(1), Decimal(35), Decimal(2)), Price(Decimal(1), Decimal(35), None)

    assert total([billed, unbilled]) == Price(Decimal(2), Decimal(70), None)
    assert (unbilled * 3).neurons is None


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


def test_what_an_image_costs_at_most_has_its_prompt_in_it_where_tokens_are_billed() -> None:
    """There are no more tokens than bytes; elsewhere the list's price is the most."""
    asked = ImageRequest("ein Hafen für zwei", 4, SQUARE)
    by_token, by_image = price_list("openai").model("gpt-image-1"), price_list("openai").model("dall-e-3")

    assert by_token.most_usd_of(asked) == Decimal("0.167") + 19 * Decimal("0.000005")
    assert [model.most_usd_of(asked) for model in (by_image, FLUX)] == [Decimal("0.04"), Decimal("0.000652")]
