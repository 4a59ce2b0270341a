"""Models as their sellers offer them: what each can do, and what an image of it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from pipelines.common.geometry import Size
from pipelines.endpoints.amounts import Price
from pipelines.endpoints.rates import NoRates
from pipelines.endpoints.requests import ImageRequest


class Rates(Protocol):
    """What the images of a model cost."""

    @property
    def zero(self) -> Price:
        """The price of nothing, in the units of the others: without neurons where images are not billed in them."""
        ...

    def price(self, size: Size, *, steps: int, tiles: int | None = None) -> Price:
        """Return the exact price of one image.

        Args:
            size: in pixels, of the image that is made.
            steps: the generation steps that are made.
            tiles: as an answer states them; None to count them.

        Raises:
            UsageError: nothing says what an image costs.
        """
        ...


@dataclass(frozen=True, slots=True)
class UsageRates:
    """What a seller's own units cost, by which answers state a bill without saying it in money.

    Attributes:
        usd_per_neuron: Workers AI's unit of work; 0.011 USD a thousand, whatever part of them is free
            (developers.cloudflare.com/workers-ai/platform/pricing).
        usd_per_input_token: a token of the prompt; None where tokens have no price.
        usd_per_output_token: a token of the picture; None where tokens have no price.
    """

    usd_per_neuron: Decimal = Decimal("0.000011")
    usd_per_input_token: Decimal | None = None
    usd_per_output_token: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model makes of what it is asked.

    Attributes:
        sizes: all that it makes, in pixels; empty where it makes any.
        max_steps: the most generation steps that it takes; None where it takes no number of them.
        max_prompt_chars: the longest prompt that it takes.
        batch: images that one request may ask for.
        seeds: whether it takes a seed. None is sent yet.
        references: how many pictures it takes to go by. None is sent yet.
    """

    sizes: Sequence[Size] = ()
    max_steps: int | None = None
    max_prompt_chars: int = 2048
    batch: int = 1
    seeds: bool = False
    references: int = 0

    def size_for(self, asked: Size) -> Size:
        """Return the size to ask for where `asked` is wanted: the one of which most is seen, of two the smaller."""
        if not self.sizes:
            return asked
        return min(self.sizes, key=lambda size: (-asked.share_of(size), size.width * size.height))


@dataclass(frozen=True, slots=True)
class ImageModel:
    """A model behind endpoints of one dialect.

    Attributes:
        name: its short name, as it stands in request keys and in the ledger.
        id: its name as the endpoint has it.
        abilities: what it can do.
        rates: what it costs.
        usage_rates: what the units cost, by which answers may state its bill.
    """

    name: str
    id: str
    abilities: Abilities
    rates: Rates
    usage_rates: UsageRates = field(default_factory=UsageRates)

    @property
    def is_priced(self) -> bool:
        """Whether anything says what it costs."""
        return not isinstance(self.rates, NoRates)

    def size_of(self, request: ImageRequest) -> Size:
        """Return the size in pixels to ask for."""
        return self.abilities.size_for(request.aspect.size)

    def steps_of(self, request: ImageRequest) -> int:
        """Return the generation steps to ask for: no more than it takes."""
        return min(request.steps, self.abilities.max_steps or request.steps)

    def price_of(self, request: ImageRequest) -> Price:
        """Return the list price of the image that is made of a request.

        Raises:
            UsageError: nothing says what it costs.
        """
        return self.rates.price(self.size_of(request), steps=self.steps_of(request))

    def most_usd_of(self, request: ImageRequest) -> Decimal:
        """Return the most that the image of a request can cost by the list, in US dollars.

        Where tokens are billed, the prompt's may come on top of the picture's price: there are no more than its bytes.

        Raises:
            UsageError: nothing says what it costs.
        """
        token_usd = self.usage_rates.usd_per_input_token or Decimal(0)
        return self.price_of(request).usd + len(request.prompt.encode()) * token_usd
