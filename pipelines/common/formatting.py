"""Amounts and durations in the form in which people read them."""

from decimal import Decimal


def format_decimal(value: Decimal) -> str:
    """Return an exact amount in plain digits, without exponent or trailing zeros: `0.000652`."""
    # normalize() drops trailing zeros but writes 100 as 1E+2; the format undoes that.
    return f"{value.normalize():f}"


def format_known(value: Decimal | None) -> str | None:
    """Return an amount as `format_decimal` does; None where there is none."""
    return None if value is None else format_decimal(value)


def format_amounts(usd: Decimal, thb: Decimal, neurons: Decimal | None, *, uncertain_usd: Decimal = Decimal(0)) -> str:
    """Return a cost in the units that there are of it: `0.000652 USD, 0.02282 THB, 57.6 neurons`."""
    units = "" if neurons is None else f", {format_decimal(neurons)} neurons"
    return f"{format_spent(usd, uncertain_usd)}, {format_decimal(thb)} THB{units}"


def format_spent(usd: Decimal, uncertain_usd: Decimal, *, budget_usd: Decimal | None = None) -> str:
    """Return a sum of costs with what is not known of it: `0.0013 of 0.25 USD and at most 0.0015 uncertain`.

    Args:
        usd: the sum of the costs that are known, in US dollars.
        uncertain_usd: the most that the others can come to.
        budget_usd: what they are paid from; None where nothing bounds them.
    """
    budget = "" if budget_usd is None else f" of {format_decimal(budget_usd)}"
    uncertain = f" and at most {format_decimal(uncertain_usd)} uncertain" if uncertain_usd else ""
    return f"{format_decimal(usd)}{budget} USD{uncertain}"


def format_duration(seconds: float) -> str:
    """Return a number of seconds, rounded down, in its two largest units: `4 s`, `13 min 50 s`, `2 h 05 min`."""
    # Down: 59.6 s must not read as 60 s, nor as 1 min.
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_of_hour:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 frame`, `2 frames`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
