"""Amounts of money: what some images cost. Every figure is an exact Decimal; nothing here rounds."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

# The fixed rate of the API's bills: that of the example answer in flux-api.md.
_THB_PER_USD = Decimal(35)


@dataclass(frozen=True, slots=True)
class Price:
    """The cost of some images in US dollars, in Thai baht and in neurons.

    Attributes:
        usd, thb: the money.
        neurons: Workers AI's unit of work; None where they are not billed in it.
    """

    usd: Decimal = Decimal(0)
    thb: Decimal = Decimal(0)
    neurons: Decimal | None = Decimal(0)

    def __add__(self, other: "Price") -> "Price":
        neurons = None if self.neurons is None or other.neurons is None else self.neurons + other.neurons
        return Price(self.usd + other.usd, self.thb + other.thb, neurons)

    def __mul__(self, count: int) -> "Price":
        neurons = None if self.neurons is None else self.neurons * count
        return Price(self.usd * count, self.thb * count, neurons)

    @classmethod
    def of(cls, usd: Decimal, *, neurons: Decimal | None) -> "Price":
        """Return a price in US dollars with its baht."""
        return cls(usd, in_baht(usd), neurons)


def in_baht(usd: Decimal) -> Decimal:
    """Return an amount of US dollars in baht, at the API's fixed rate."""
    return usd * _THB_PER_USD


FREE = Price()


def total(prices: Iterable[Price], *, zero: Price = FREE) -> Price:
    """Return the sum of `prices`; an empty sum is `zero`, in the units of the prices."""
    return sum(prices, zero)
