"""Which dialect and which model of it a run asks, by its settings."""

from pipelines.common.errors import UsageError
from pipelines.common.settings import EMBEDDED_ENDPOINT, Settings
from pipelines.common.suggestions import did_you_mean
from pipelines.endpoints.dialects.dialect import Dialect
from pipelines.endpoints.dialects.registry import all_dialects, dialect_at
from pipelines.endpoints.models import Abilities, ImageModel
from pipelines.endpoints.prices import PRICE_LIST


def chosen_dialect(settings: Settings) -> Dialect:
    """Return the dialect to speak: as it was named, else as the address tells.

    Raises:
        UsageError: there is none of that name.
    """
    named = settings.dialect
    if named is not None and named not in all_dialects():
        cure = did_you_mean(named, all_dialects())
        raise UsageError(f"{settings.name_of('dialect')}: unknown dialect {named!r}{cure}")
    return dialect_at(settings.endpoint, named=named)


def with_listed_rate_limit(settings: Settings) -> Settings:
    """Return the settings with the rate limit that the dialect's price list gives, where nothing else sets one."""
    # No price list gives one yet.
    return settings


def dialect_to_tell(name: str | None, address: str | None) -> str | None:
    """Return the name of a dialect where an address alone does not tell it; None where it need not be told."""
    return None if name in (None, dialect_at(address).name) else name


def endpoint_name(settings: Settings) -> str:
    """Return the endpoint as the ledger names it: what its rate limit belongs to, in one spelling, without secrets.

    The embedded one has a new port at each run, but one name.
    """
    if settings.endpoint is None:
        return EMBEDDED_ENDPOINT
    return chosen_dialect(settings).limited_as(settings.endpoint)


def chosen_model(settings: Settings) -> ImageModel:
    """Return the model to ask for, with what it can do and costs there."""
    name = settings.effective_model
    return ImageModel(name, name, Abilities(max_steps=8), PRICE_LIST)
