"""Suggestions for a word that is almost a known one."""

import difflib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

_MAX_LISTED = 20
_AMOUNT = re.compile(r"(?:US ?)?\$? ?([0-9]{1,9})(?:[.,]([0-9]{1,9}))? ?(?:\$|USD|dollars?)?", re.IGNORECASE)
# Comparing two words costs the product of their lengths: a very long word, or one held against thousands, would take
# minutes.
_MAX_COMPARED_CHARS = 100
_MAX_COMPARED_WORDS = 100


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Known words that are offered in place of an unknown one.

    Attributes:
        closest: the known word most like the unknown one; None where none is alike.
        sentence: the end of an error message, `; did you mean 'title'?` or `; choose one of title, prompts`.
    """

    closest: str | None
    sentence: str


def suggest(word: object, known: Iterable[str]) -> Suggestion:
    """Return the closest of the `known` words, and the sentence that offers it or lists them."""
    # `known` may be an iterator, and is read twice.
    words = list(known)
    closest = _closest(str(word), words)
    if closest is not None:
        return Suggestion(closest, f"; did you mean {closest!r}?")
    more = f" and {len(words) - _MAX_LISTED:,} more" if len(words) > _MAX_LISTED else ""
    return Suggestion(None, f"; choose one of {', '.join(words[:_MAX_LISTED])}{more}")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` where one of the `known` words is close, else the list of them."""
    return suggest(word, known).sentence


def plain_amount(text: str) -> str | None:
    """Return an amount of dollars without its sign: `0.50` for `$0,50`, `1` for `1 USD`; None if it has none."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    amount = match[1] if match[2] is None else f"{match[1]}.{match[2]}"
    return amount if amount != match[0] else None


def _closest(word: str, known: list[str]) -> str | None:
    if len(word) > _MAX_COMPARED_CHARS:
        return None
    # Most misspellings begin right, so of very many words only those that begin alike are compared.
    compared = known if len(known) <= _MAX_COMPARED_WORDS else _beginning_like(word, known)
    return next(iter(difflib.get_close_matches(word, compared, n=1)), None)


def _beginning_like(word: str, known: Iterable[str]) -> list[str]:
    """Return the first of the words that share the word's first half, rounded up."""
    start = word[: (len(word) + 1) // 2]
    return list(itertools.islice((other for other in known if other.startswith(start)), _MAX_LISTED))
