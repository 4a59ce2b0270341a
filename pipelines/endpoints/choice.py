"""Which dialect and which model of it a run asks, by its settings."""

from pipelines.common.settings import Settings
from pipelines.endpoints.dialects.dialect import Dialect
from pipelines.endpoints.dialects.registry import dialect_at
from pipelines.endpoints.models import Abilities, ImageModel
from pipelines.endpoints.prices import PRICE_LIST


def chosen_dialect(settings: Settings) -> Dialect:
    """Return the dialect to speak: as it was named, else as the address tells."""
    return dialect_at(settings.endpoint, named=settings.dialect)


def chosen_model(settings: Settings) -> ImageModel:
    """Return the model to ask for, with what it can do and costs there."""
    name = settings.effective_model
    return ImageModel(name, name, Abilities(max_steps=8), PRICE_LIST)
