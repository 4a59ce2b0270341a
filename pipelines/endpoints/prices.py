"""The price list of the API. Every figure is an exact Decimal; nothing here rounds."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pipelines.common.geometry import Size

TILE_EDGE_PX = 512


@dataclass(frozen=True, slots=True)
class Price:
    """The cost of some images in the three units that the API states: US dollars, Thai baht and neurons."""

    usd: Decimal = Decimal(0)
    thb: Decimal = Decimal(0)
    neurons: Decimal = Decimal(0)

    def __add__(self, other: "Price") -> "Price":
        return Price(self.usd + other.usd, self.thb + other.thb, self.neurons + other.neurons)

    def __mul__(self, count: int) -> "Price":
        return Price(self.usd * count, self.thb * count, self.neurons * count)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Unit prices of the API.

    The dollars are documented (flux-api.md, "Pricing"). The neurons are those of FLUX.1 schnell on Workers AI
    (developers.cloudflare.com/workers-ai/platform/pricing). The baht are those of the documentation's example answer.
    """

    usd_per_tile: Decimal = Decimal("0.000053")
    usd_per_step: Decimal = Decimal("0.00011")
    thb_per_usd: Decimal = Decimal(35)
    neurons_per_tile: Decimal = Decimal("4.8")
    neurons_per_step: Decimal = Decimal("9.6")

    def price(self, size: Size, *, steps: int) -> Price:
        """Return the exact price of one image of `size` pixels made in `steps` steps; see `work`."""
        return self.work(tiles_of(size), steps=steps)

    def work(self, tiles: int, *, steps: int) -> Price:
        """Return the exact price of one image of so many tiles made in `steps` steps.

        cost = tiles x price per tile + steps x price per step (flux-api.md, "Pricing")
        """
        usd = tiles * self.usd_per_tile + steps * self.usd_per_step
        neurons = tiles * self.neurons_per_tile + steps * self.neurons_per_step
        return Price(usd=usd, thb=self.thb(usd), neurons=neurons)

    def thb(self, usd: Decimal) -> Decimal:
        """Return an amount of US dollars in baht, at the API's fixed rate."""
        return usd * self.thb_per_usd


PRICE_LIST = PriceList()


def tiles_of(size: Size) -> int:
    """Return how many 512x512 tiles cover `size`: ceil(width / 512) x ceil(height / 512)."""
    return -(-size.width // TILE_EDGE_PX) * -(-size.height // TILE_EDGE_PX)


def total(prices: Iterable[Price]) -> Price:
    """Return the sum of `prices`; an empty sum is free."""
    return sum(prices, Price())
