"""Models as a price list would have them, each part named when it matters."""

from decimal import Decimal

from pipelines.common.geometry import Size
from pipelines.endpoints.models import Abilities, ImageModel, UsageRates
from pipelines.endpoints.prices import price_list

SQUARE = Size(1024, 1024)


def image_model(
    id: str,  # noqa: A002
    *,
    sizes: tuple[Size, ...] = (),
    max_steps: int | None = None,
    usage_rates: UsageRates | None = None,
) -> ImageModel:
    """Return a model by its name at the endpoint; the last part of it is its short name."""
    abilities = Abilities(sizes=sizes, max_steps=max_steps)
    return ImageModel(
        id.rpartition("/")[2], id, abilities, price_list("flux").model(id).rates, usage_rates or UsageRates()
    )


SCHNELL = image_model("@cf/black-forest-labs/flux-1-schnell", sizes=(SQUARE,), max_steps=8)
KLEIN = image_model("@cf/black-forest-labs/flux-2-klein-4b")
LUCID = image_model("@cf/leonardo/lucid-origin", max_steps=40)
DREAMSHAPER = image_model("@cf/lykon/dreamshaper-8-lcm")
DALL_E = image_model("dall-e-3", sizes=(SQUARE, Size(1792, 1024), Size(1024, 1792)))
# 5 USD a million tokens in, 40 out.
GPT_IMAGE = image_model(
    "gpt-image-1",
    sizes=(SQUARE, Size(1536, 1024), Size(1024, 1536)),
    usage_rates=UsageRates(usd_per_input_token=Decimal("0.000005"), usd_per_output_token=Decimal("0.00004")),
)
