"""English as people read it aloud, where hibari's own reading is wrong: addresses, euros, halves, leading zeros."""

import re
from collections.abc import Callable

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_TOP_LEVEL = "com|org|net|edu|gov|io|dev|app|info|co|uk|us|eu|tv|me"
_HALVES = {"½": "a half", "¼": "a quarter", "¾": "three quarters", "⅓": "a third", "⅔": "two thirds"}
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def as_read(text: str) -> str:
    """Return English with what hibari would read wrong written in words."""
    for pattern, replacement in _READINGS:
        text = pattern.sub(replacement, text)
    return text


def _address(match: re.Match[str]) -> str:
    """Return an address as it is read: `joe at example dot com`."""
    address = match[0].rstrip("/")
    for sign, word in ((".", "dot"), ("@", "at"), ("/", "slash"), ("-", "dash"), ("_", "underscore")):
        address = address.replace(sign, f" {word} ")
    return re.sub(r"\bwww\b", "W W W", address, flags=re.IGNORECASE)


def _euros(match: re.Match[str]) -> str:
    """Return an amount of euros in words, with cents where it has two decimals."""
    whole, _, cents = match[1].partition(".")
    euros = "1 euro" if whole == "1" else f"{whole} euros"
    return f"{euros} and {int(cents)} cents" if len(cents) == 2 and int(cents) else euros


def _digits(match: re.Match[str]) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in match[0])


def _mixed(match: re.Match[str]) -> str:
    return f"{match[1]} and {_HALVES[match[2]]}"


_READINGS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # The scheme is not said.
    (re.compile(r"\bhttps?://", re.IGNORECASE), ""),
    (re.compile(r"(?<![\w.@-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), _address),
    (re.compile(rf"(?<![\w.@-])(?:[\w-]+\.)+(?:{_TOP_LEVEL})\b(?:/[\w./-]*\w|/)?", re.IGNORECASE), _address),
    (re.compile(r"\be\.g\.(?=\s|,)", re.IGNORECASE), "for example"),
    (re.compile(r"\bi\.e\.(?=\s|,)", re.IGNORECASE), "that is"),
    (re.compile(rf"€({_NUMBER})(?![\w.]?\d| ?(?:hundred|thousand|million|billion|trillion|[kKmMbB]\b))"), _euros),
    (re.compile(rf"(\d+) ?([{''.join(_HALVES)}])"), _mixed),
    (re.compile(r"\b24/7\b"), "twenty-four seven"),
    (re.compile(r"\b50[/-]50\b"), "fifty-fifty"),
    # Not a number, but a name: an agent, a flight.
    (re.compile(r"(?<![\w.,:/-])0\d{1,5}(?![\w:/-]|[.,]\d)"), _digits),
    (re.compile(r"(?<![\w.,])\.(?=\d)"), "0."),
)
