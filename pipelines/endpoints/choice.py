"""Which dialect and which model of it a run asks, by its settings."""

from pipelines.common.errors import UsageError
from pipelines.common.settings import EMBEDDED_ENDPOINT, Settings
from pipelines.common.suggestions import did_you_mean
from pipelines.endpoints.dialects.dialect import Dialect
from pipelines.endpoints.dialects.registry import DEFAULT_DIALECT, all_dialects, dialect_at
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.prices import PriceList, price_list


def chosen_dialect(settings: Settings) -> Dialect:
    """Return the dialect to speak: as it was named, else as the address tells.

    Raises:
        UsageError: there is none of that name.
    """
    named = settings.dialect
    if named is not None and named not in all_dialects():
        cure = did_you_mean(named, all_dialects())
        raise UsageError(f"{settings.name_of('dialect')}: unknown dialect {named!r}{cure}")
    # The embedded endpoint is a server of our own, whatever a variable says of others.
    return dialect_at(settings.endpoint, named=named if settings.endpoint else None)


def with_listed_rate_limit(settings: Settings) -> Settings:
    """Return the settings with the rate limit that the dialect's price list gives, where nothing else sets one.

    Raises:
        UsageError: the price list is wrong.
    """
    if "rate_limit" in settings.model_fields_set:
        return settings
    listed = chosen_prices(settings).rate_limit_of(settings.effective_model)
    return settings if listed is None else settings.model_copy(update={"rate_limit": listed})


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


def chosen_prices(settings: Settings) -> PriceList:
    """Return the price list to go by.

    Raises:
        UsageError: it is wrong.
    """
    return price_list(chosen_dialect(settings).name)


def model_to_check(settings: Settings) -> ImageModel | None:
    """Return the model whose abilities a storyboard has to meet; None where the endpoint is believed.

    That is the FLUX API, which documents that it makes what it is asked, and the embedded endpoint, which does.

    Raises:
        UsageError: the price list is wrong.
    """
    return None if chosen_prices(settings).dialect == DEFAULT_DIALECT else chosen_model(settings)


def chosen_model(settings: Settings) -> ImageModel:
    """Return the model to ask for, with what it can do there, and what it costs, if anything says so.

    Raises:
        UsageError: the price list is wrong.
    """
    prices, name = chosen_prices(settings), settings.effective_model
    return prices.find(name, model_id=settings.model, price_usd=settings.price_usd)
