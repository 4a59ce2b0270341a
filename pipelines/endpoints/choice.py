"""Which dialect and which model of it a run asks, by its settings."""

from pipelines.common.settings import Settings
from pipelines.endpoints.dialects.dialect import Dialect
from pipelines.endpoints.dialects.registry import DEFAULT_DIALECT, dialect_at
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.prices import PriceList, price_list


def chosen_dialect(settings: Settings) -> Dialect:
    """Return the dialect to speak: as it was named, else as the address tells."""
    return dialect_at(settings.endpoint, named=settings.dialect)


def chosen_prices(settings: Settings) -> PriceList:
    """Return the price list to go by.

    Raises:
        UsageError: it is wrong.
    """
    # The embedded endpoint draws sketches; what they would cost is flux-api.md's to say.
    if settings.endpoint is None:
        return price_list(DEFAULT_DIALECT)
    return price_list(settings.dialect or dialect_at(settings.endpoint).name)


def model_to_check(settings: Settings) -> ImageModel | None:
    """Return the model whose abilities a storyboard has to meet; None where the endpoint is believed.

    That is the FLUX API, which documents that it makes what it is asked, and the embedded endpoint, which does.

    Raises:
        UsageError: the price list is wrong.
    """
    return None if chosen_prices(settings).dialect == DEFAULT_DIALECT else chosen_model(settings)


def chosen_model(settings: Settings) -> ImageModel:
    """Return the model to ask for, with what it can do and costs there; nobody may know what it costs.

    Raises:
        UsageError: the price list is wrong.
    """
    prices, name = chosen_prices(settings), settings.effective_model
    return prices.find(name, model_id=settings.model, price_usd=settings.price_usd)
