"""Suggestions for a word that is almost a known one."""

import difflib
import itertools
from collections.abc import Iterable

_MOST_LISTED = 20


_MOST_COMPARED = 100


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` where one of the `known` words is close, else the list of them."""
    words = list(known)
    asked = str(word)
    # Comparing costs the product of the lengths: a long word, or thousands of them, would take minutes.
    alike = words if len(words) <= _MOST_COMPARED else _beginning_like(asked, words)
    close = difflib.get_close_matches(asked, alike, n=1) if len(asked) <= _MOST_COMPARED else []
    if close:
        return f"; did you mean {close[0]!r}?"
    more = f" and {len(words) - _MOST_LISTED:,} more" if len(words) > _MOST_LISTED else ""
    return f"; choose one of {', '.join(words[:_MOST_LISTED])}{more}"


def _beginning_like(word: str, words: Iterable[str]) -> list[str]:
    start = word[: (len(word) + 1) // 2]
    return list(itertools.islice((other for other in words if other.startswith(start)), _MOST_LISTED))
