"""The files of price lists, data that users can edit: what each model of a seller can do, and what it costs."""

import datetime
from collections.abc import Hashable, Mapping
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.common.errors import UsageError
from pipelines.common.requirements import requirement
from pipelines.endpoints.rates import Amount, PixelSize, TileCount, UnitPrices

# Stands for every model that a list does not name.
ANY_MODEL = "*"

_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=1)]
_RateLimit = Annotated[int, Field(ge=1, le=1_000_000)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenPrices(_Data):
    """What a million tokens cost, in US dollars: those of the prompt, and those of the picture."""

    input: Amount
    output: Amount


class ModelEntry(_Data):
    """A model in a price list. What it can do is as in `Abilities`.

    Attributes:
        id: its name as the endpoint has it; None for its name in the list.
        sizes: all that it makes, in pixels; empty where it makes any.
        max_steps: the most generation steps that it takes; None where it takes no number of them.
        max_prompt_chars: the longest prompt that it takes.
        batch: images that one request may ask for.
        seeds: whether it takes a seed.
        references: how many pictures it takes to go by.
        tiles: how its tiles are counted.
        usd, neurons: its prices, in one unit or in both; neither where only its abilities are known.
        usd_per_million_tokens: of answers that state tokens; None where none do.
        rate_limit: requests a minute that an account is allowed; None for the list's.
        source: where this is from, if not from the list's own source.
    """

    id: _Text | None = None
    sizes: tuple[PixelSize, ...] = ()
    max_steps: _Count | None = None
    max_prompt_chars: _Count = 2048
    batch: _Count = 1
    seeds: bool = False
    references: Annotated[int, Field(ge=0)] = 0
    tiles: TileCount = TileCount.CEILING
    usd: UnitPrices | None = None
    neurons: UnitPrices | None = None
    usd_per_million_tokens: TokenPrices | None = None
    rate_limit: _RateLimit | None = None
    source: _Text | None = None

    @property
    def is_priced(self) -> bool:
        """Whether the list says what it costs."""
        return self.usd is not None or self.neurons is not None

    @model_validator(mode="after")
    def _takes_what_is_priced(self) -> Self:
        """Require that it takes a number of steps where they are priced: else nobody knows how many are made."""
        if self.max_steps is None and any(unit and unit.is_by_step for unit in (self.usd, self.neurons)):
            raise ValueError("max_steps is missing: a price by step needs it")
        return self

    @model_validator(mode="after")
    def _prices_every_size(self) -> Self:
        """Require a price for each of its sizes where its images are priced by size."""
        for unit in (self.usd, self.neurons):
            if unit and isinstance(unit.image, Mapping) and set(unit.image) != set(self.sizes):
                raise ValueError("image: must have a price for each of its sizes, and for no other")
        return self


class PriceFile(_Data):
    """A price list as it is written.

    Attributes:
        source: where the prices are from.
        date: when they were looked up.
        rate_limit: requests a minute that an account is allowed; None where the list does not say.
        usd_per_1000_neurons: the price of neurons.
        models: by their short names; `*` is every other one.
    """

    source: _Text
    date: datetime.date
    rate_limit: _RateLimit | None = None
    usd_per_1000_neurons: Amount | None = None
    models: Annotated[Mapping[_Text, ModelEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _prices_neurons(self) -> Self:
        """Require the price of neurons where a model is priced in nothing else."""
        if self.usd_per_1000_neurons is None:
            for name, model in self.models.items():
                if model.neurons and not model.usd:
                    raise ValueError(f"{name} is priced in neurons: usd_per_1000_neurons must say what they cost")
        return self


class _TextLoader(yaml.BaseLoader):
    """Reads every value as the text that stands there: no figure passes through a float, no word becomes a boolean."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping; refuse a key that is there twice, of which YAML takes the last without a word."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_price_file(path: Traversable) -> PriceFile:
    """Read a price list and check it.

    Raises:
        UsageError: it is wrong; the message names the place.
    """
    try:
        # A BaseLoader constructs nothing but texts, lists and mappings of them.
        return PriceFile.model_validate(yaml.load(path.read_text(encoding="utf-8"), _TextLoader))  # noqa: S506
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"{place}: {exc.problem}; fix the price list") from exc
    except ValidationError as exc:
        # One mistake at a time is enough for a file of few keys, which hardly ever changes.
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place and f'{place}: '}{requirement(first)}; fix the price list") from exc
