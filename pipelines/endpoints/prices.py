"""The price lists of endpoints, one for each dialect: which models there are, what each can do and costs."""

import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files

from pipelines.common.errors import UsageError
from pipelines.common.suggestions import did_you_mean
from pipelines.endpoints.models import Abilities, ImageModel, Rates, UsageRates
from pipelines.endpoints.price_file import ANY_MODEL, ModelEntry, PriceFile, read_price_file
from pipelines.endpoints.rates import FlatRate, ListRates, NoRates

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class PriceList:
    """What a kind of endpoints offers.

    Attributes:
        dialect: the name of the language that they speak.
        source: where the prices are from; empty where there are none.
        date: when they were looked up; None where there are none.
        rate_limit: requests a minute that an account is allowed, whatever the model; None where the list does not say.
        usd_per_neuron: the price of a neuron in US dollars; 0 where the list is not in neurons.
        entries: its models by their short names; `*` stands for every other one.
    """

    dialect: str
    source: str = ""
    date: datetime.date | None = None
    rate_limit: int | None = None
    usd_per_neuron: Decimal = Decimal(0)
    entries: Mapping[str, ModelEntry] = field(default_factory=dict)

    def rate_limit_of(self, name: str) -> int | None:
        """Return the requests a minute that an account is allowed of a model; None where the list does not say."""
        entry = self.entries.get(name)
        return (entry.rate_limit if entry else None) or self.rate_limit

    def model(self, name: str, *, model_id: str | None = None, price_usd: Decimal | None = None) -> ImageModel:
        """Return a model with what it can do and costs.

        Args:
            name: its short name.
            model_id: its name as the endpoint has it, for one that the list does not name; None for the short one.
            price_usd: the most that an image of it may cost; that is its price where the list has none.

        Raises:
            UsageError: neither the list nor `price_usd` says what it costs.
        """
        model = self.find(name, model_id=model_id, price_usd=price_usd)
        if not model.is_priced:
            raise UsageError(self._no_price_of(name))
        return model

    def find(self, name: str, *, model_id: str | None = None, price_usd: Decimal | None = None) -> ImageModel:
        """Return a model even where nothing says what it costs; asking it for a price raises then. See `model`."""
        entry = self.entries.get(name) or self.entries.get(ANY_MODEL) or ModelEntry()
        rates = self._rates(entry, name, price_usd=price_usd)
        return ImageModel(name, entry.id or model_id or name, _abilities(entry), rates, self._usage_rates(entry))

    def _rates(self, entry: ModelEntry, name: str, *, price_usd: Decimal | None) -> Rates:
        if entry.is_priced:
            return ListRates(entry.usd, entry.neurons, self.usd_per_neuron, entry.tiles)
        return NoRates(self._no_price_of(name)) if price_usd is None else FlatRate(price_usd)

    def _usage_rates(self, entry: ModelEntry) -> UsageRates:
        tokens = entry.usd_per_million_tokens
        if tokens is None:
            return UsageRates(self.usd_per_neuron)
        return UsageRates(self.usd_per_neuron, tokens.input / _MILLION, tokens.output / _MILLION)

    def _no_price_of(self, name: str) -> str:
        priced = [known for known, entry in self.entries.items() if entry.is_priced]
        return (
            f"model {name}: configs/prices/{self.dialect}.yaml does not say what it costs; give --price "
            f"(STORYREEL_PRICE_USD), the most that an image may cost{did_you_mean(name, priced) if priced else ''}"
        )


@functools.cache
def price_list(dialect: str) -> PriceList:
    """Return the price list of a dialect, read once; one without a model where nobody has written one.

    Raises:
        UsageError: it is wrong.
    """
    # A link to configs/prices, so that the installed package holds them too.
    path = files("pipelines.endpoints").joinpath("prices", f"{dialect}.yaml")
    if not path.is_file():
        return PriceList(dialect)
    return as_price_list(read_price_file(path), dialect=dialect)


def as_price_list(file: PriceFile, *, dialect: str) -> PriceList:
    """Return what a price list's file says."""
    usd_per_neuron = (file.usd_per_1000_neurons or Decimal(0)) / 1000
    return PriceList(dialect, file.source, file.date, file.rate_limit, usd_per_neuron, file.models)


def _abilities(entry: ModelEntry) -> Abilities:
    return Abilities(
        sizes=entry.sizes,
        max_steps=entry.max_steps,
        max_prompt_chars=entry.max_prompt_chars,
        batch=entry.batch,
        seeds=entry.seeds,
        references=entry.references,
    )
