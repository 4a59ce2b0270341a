"""Rates: what an image costs by what a price list says of its tiles, its steps, its pixels or its size."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipelines.common.errors import UsageError
from pipelines.common.geometry import Size
from pipelines.endpoints.amounts import FREE, Price

TILE_EDGE_PX = 512
_NOTHING = Decimal(0)
# The price of nothing where images are not billed in neurons.
_FREE_IN_USD = Price(neurons=None)

Amount = Annotated[Decimal, Field(ge=0)]
PixelSize = Annotated[Size, BeforeValidator(Size.parse)]


def tiles_of(size: Size) -> int:
    """Return how many 512x512 tiles cover `size`: ceil(width / 512) x ceil(height / 512)."""
    return -(-size.width // TILE_EDGE_PX) * -(-size.height // TILE_EDGE_PX)


class TileCount(StrEnum):
    """A way to count the 512x512 tiles of an image."""

    # Each side up to whole tiles: as many as cover it.
    CEILING = "ceiling"
    # The area up to whole tiles: as many as have its pixels.
    AREA = "area"

    def tiles_of(self, size: Size) -> int:
        """Return the number of tiles of an image of `size` pixels."""
        if self is TileCount.CEILING:
            return tiles_of(size)
        return -(-size.width * size.height // TILE_EDGE_PX**2)


class UnitPrices(BaseModel):
    """What the parts of an image cost, all in one unit; an image costs the sum of its parts.

    Attributes:
        tile: for each tile.
        step: for each generation step.
        tile_step: for each tile in each step.
        megapixel: for each `megapixel_px` pixels, in proportion.
        included_steps: the steps that `megapixel` includes: an image of more is dearer in proportion. None for any
            number.
        image: for the image as a whole, whatever it is or by its size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tile: Amount = _NOTHING
    step: Amount = _NOTHING
    tile_step: Amount = _NOTHING
    megapixel: Amount = _NOTHING
    megapixel_px: Annotated[int, Field(ge=1)] = 1_000_000
    included_steps: Annotated[int, Field(ge=1)] | None = None
    image: Amount | Mapping[PixelSize, Amount] = _NOTHING

    @property
    def is_by_step(self) -> bool:
        """Whether the number of steps makes a difference."""
        return bool(self.step or self.tile_step or self.included_steps)

    def amount(self, size: Size, *, tiles: int, steps: int) -> Decimal:
        """Return what an image costs.

        Args:
            size: in pixels.
            tiles: that it is counted as.
            steps: the generation steps that it was made in.
        """
        by_work = tiles * self.tile + steps * self.step + tiles * steps * self.tile_step
        return by_work + self._by_area(size, steps=steps) + self._by_size(size)

    def _by_area(self, size: Size, *, steps: int) -> Decimal:
        pixels = self.megapixel * size.width * size.height / self.megapixel_px
        if self.included_steps is None or steps <= self.included_steps:
            return pixels
        return pixels * steps / self.included_steps

    def _by_size(self, size: Size) -> Decimal:
        return self.image if isinstance(self.image, Decimal) else self.image[size]


@dataclass(frozen=True, slots=True)
class ListRates:
    """The rates of a model in a price list; see `Rates`.

    Attributes:
        usd: in US dollars; None where they follow from the neurons.
        neurons: in neurons; None where it is not billed in them.
        usd_per_neuron: the price of a neuron in US dollars.
        tiles: how tiles are counted.
    """

    usd: UnitPrices | None
    neurons: UnitPrices | None = None
    usd_per_neuron: Decimal = _NOTHING
    tiles: TileCount = TileCount.CEILING

    @property
    def zero(self) -> Price:
        """The price of nothing."""
        return FREE if self.neurons else _FREE_IN_USD

    def price(self, size: Size, *, steps: int, tiles: int | None = None) -> Price:
        """Return the exact price of one image; see `Rates`."""
        count = self.tiles.tiles_of(size) if tiles is None else tiles
        neurons = None if self.neurons is None else self.neurons.amount(size, tiles=count, steps=steps)
        if self.usd is not None:
            return Price.of(self.usd.amount(size, tiles=count, steps=steps), neurons=neurons)
        return Price.of((neurons or _NOTHING) * self.usd_per_neuron, neurons=neurons)


@dataclass(frozen=True, slots=True)
class FlatRate:
    """The same price for every image: the most that it may cost, as somebody said; see `Rates`."""

    usd: Decimal
    zero: Price = _FREE_IN_USD

    def price(self, size: Size, *, steps: int, tiles: int | None = None) -> Price:  # noqa: ARG002
        """Return the price of one image."""
        return Price.of(self.usd, neurons=None)


@dataclass(frozen=True, slots=True)
class NoRates:
    """The rates of a model of which nothing says what it costs: takes of it may be looked at, none is paid for.

    Attributes:
        cure: what to do, for the user.
    """

    cure: str
    zero: Price = _FREE_IN_USD

    def price(self, size: Size, *, steps: int, tiles: int | None = None) -> Price:  # noqa: ARG002
        """Refuse; see `Rates`."""
        raise UsageError(self.cure)
