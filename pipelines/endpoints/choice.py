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


def chosen_model(settings: Settings) -> ImageModel:
    """Return the model to ask for, with what it can do and costs there; nobody may know what it costs.

    Raises:
        UsageError: the price list is wrong.
    """
    # Sketches are free, whatever an image may cost elsewhere.
    price_usd = settings.price_usd if settings.endpoint else None
    return chosen_prices(settings).find(settings.effective_model, model_id=settings.model, price_usd=price_usd)
