"""Amounts and times as people read them."""

from decimal import Decimal


def spoken(seconds: float) -> str:
    """Return a time as it is said: `4 s`, `13 min 50 s`, `2 h 05 min`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_of_hour:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def plain(value: Decimal) -> str:
    """Return an exact amount in plain digits, without exponent or trailing zeros: `0.000652`."""
    return f"{value.normalize():f}"
