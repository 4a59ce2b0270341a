"""Amounts and durations in the form in which people read them."""

from decimal import Decimal


def format_decimal(value: Decimal) -> str:
    """Return an exact amount in plain digits, without exponent or trailing zeros: `0.000652`."""
    # normalize() drops trailing zeros but writes 100 as 1E+2; the format undoes that.
    return f"{value.normalize():f}"


def format_amounts(usd: Decimal, thb: Decimal, neurons: Decimal) -> str:
    """Return a cost in the three units that the API states: `0.000652 USD, 0.02282 THB, 57.6 neurons`."""
    return f"{format_decimal(usd)} USD, {format_decimal(thb)} THB, {format_decimal(neurons)} neurons"


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
