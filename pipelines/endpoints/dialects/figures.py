"""Figures in answers, read strictly: what is none as a program writes it is no figure, and never zero."""

import re
from decimal import Decimal

# Far above any image's price. What says more is no cost; and the ledger's sums hold nine million in all.
_MOST_USD = Decimal(1000)
# A figure as a program writes it; Decimal itself also takes underscores and the digits of other scripts.
_FIGURE = re.compile(r"([0-9]{1,16}(\.[0-9]{0,32})?|\.[0-9]{1,32})([eE][+-]?[0-9]{1,2})?")


def read_decimal(text: str | None) -> Decimal | None:
    """Return a figure that is at least 0 and below a million; None for anything else, which is not a price."""
    if text is None or not _FIGURE.fullmatch(text.strip()):
        return None
    value = Decimal(text.strip())
    return value if value < 1_000_000 else None


def read_whole_number(text: str | None) -> int | None:
    """Return a whole number of up to six digits; None for anything else."""
    # Not int() alone, which also takes signs, blanks, underscores and digits of other scripts.
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,6}", text) else None


def possible_cost(usd: Decimal | None) -> Decimal | None:
    """Return an amount in US dollars, if an image could cost that much."""
    return None if usd is None or usd > _MOST_USD else usd
