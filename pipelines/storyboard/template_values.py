"""Values in templates, and the filters and tests over them: text and numbers, bounded in size and in what they cost."""

import functools
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from jinja2 import Undefined, filters, tests

# More than a style and its values come to at their longest; a prompt is far shorter.
MAX_TEXT_CHARS = 4_000_000
# Python writes down no whole number of more than 4,300 digits, and takes long over one of nearly as many.
_MAX_DIGITS = 100
_LEAST_TOO_LARGE = 10**_MAX_DIGITS
# A binary fraction has no more places than that, and Jinja works out ten to their power.
_MAX_PLACES = 15


class PromptTemplateError(ValueError):
    """The template is wrong; the message says why, and the cure."""


def to_text(value: object) -> str:
    """Return a value as a template shows it.

    Raises:
        PromptTemplateError: it is neither text nor a number: Python's words for it would be asked for as a prompt,
            and may be others in the next process.
        UndefinedError: it is the value of a name that is not defined.
    """
    match value:
        case str():
            return value
        case Undefined():
            # It raises, and says which name it is.
            return str(value)
        case bool():
            raise PromptTemplateError("yields true or false, which is no text; write {{ 'this' if ... else 'that' }}")
        case int() | float() | Decimal():
            return str(bounded(value))
        case Mapping():
            raise PromptTemplateError("yields a group of names, which is no text; add a dot and one of the names")
        case _:
            raise PromptTemplateError("yields neither text nor a number; remove it")


def joined(*values: object) -> str:
    """Return texts and numbers one after the other.

    Raises:
        PromptTemplateError: one is neither, or they are too long together.
    """
    texts: list[str] = []
    chars = 0
    for value in values:
        texts.append(to_text(value))
        chars += len(texts[-1])
        require_short(chars)
    return "".join(texts)


def require_short(chars: int) -> None:
    """Require that a text of so many characters is not too long to be made.

    Raises:
        PromptTemplateError: it is.
    """
    if chars > MAX_TEXT_CHARS:
        raise PromptTemplateError(f"comes to more than {MAX_TEXT_CHARS:,} characters once filled in; shorten it")


def bounded(value: Any) -> Any:
    """Return a value that is no number, or one that can be written down.

    Raises:
        PromptTemplateError: it is infinite, or too large.
    """
    if isinstance(value, int | float | Decimal):
        fits = abs(value) < _LEAST_TOO_LARGE if isinstance(value, int) else math.isfinite(value)
        if not fits:
            raise PromptTemplateError(f"makes a number of more than {_MAX_DIGITS} digits, or an infinite one")
    return value


def _number(value: object) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    if isinstance(value, Undefined):
        # It raises, and says which name it is.
        str(value)
    raise PromptTemplateError("takes something for a number that is none; convert it with int or float")


def _round(value: object, precision: object = 0, method: object = "common") -> Any:
    if not isinstance(precision, int) or abs(precision) > _MAX_PLACES:
        raise PromptTemplateError(f"rounds to more places than numbers have; round to at most {_MAX_PLACES}")
    return bounded(filters.do_round(_number(value), precision, method))  # type: ignore[arg-type]


def _converted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that makes a number of text; what cannot be one becomes the default."""

    @functools.wraps(function)
    def convert(value: object, *args: object, **kwargs: object) -> Any:
        is_known = value is None or isinstance(value, bool | int | float | Decimal)
        return bounded(function(value if is_known else to_text(value), *args, **kwargs))

    return convert


def _of_text(function: Callable[[str], Any]) -> Callable[[object], Any]:
    @functools.wraps(function)
    def of_text(value: object) -> Any:
        return function(to_text(value))

    return of_text


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    # Of text, Python's `%` makes text, of any length.
    @functools.wraps(function)
    def of_numbers(*values: object) -> Any:
        return function(*map(_number, values))

    return of_numbers


def _first(value: object) -> str:
    return to_text(value)[:1]


def _last(value: object) -> str:
    return to_text(value)[-1:]


def _length(value: object) -> int:
    return len(value) if isinstance(value, Mapping) else len(to_text(value))


def _trim(value: object, chars: object = None) -> str:
    return to_text(value).strip(None if chars is None else to_text(chars))


# None of them repeats or multiplies text, so a template's result is never much longer than what goes in.
FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": _of_numbers(abs),
    "capitalize": _of_text(str.capitalize),
    "d": filters.do_default,
    "default": filters.do_default,
    "first": _first,
    "float": _converted(filters.do_float),
    "int": _converted(filters.do_int),
    "last": _last,
    "length": _length,
    "lower": _of_text(str.lower),
    "round": _round,
    "string": to_text,
    "title": _of_text(filters.do_title),
    "trim": _trim,
    "upper": _of_text(str.upper),
}
_JINJAS_TESTS: Mapping[str, Any] = tests.TESTS
# Not `sameas`, which tells apart what is equal, nor those that ask about Python's own things.
_SAFE_TESTS = (
    "boolean", "defined", "false", "float", "in", "integer", "mapping", "none", "number", "string", "true", "undefined",
    "!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "le", "lessthan", "lt", "ne",
)  # fmt: skip
TESTS: Mapping[str, Callable[..., Any]] = {
    **{name: _JINJAS_TESTS[name] for name in _SAFE_TESTS},
    "divisibleby": _of_numbers(tests.test_divisibleby),
    "even": _of_numbers(tests.test_even),
    "lower": _of_text(str.islower),
    "odd": _of_numbers(tests.test_odd),
    "upper": _of_text(str.isupper),
}
