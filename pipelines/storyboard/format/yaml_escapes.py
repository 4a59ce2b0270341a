r"""Characters written as JSON writes them: `\ud83c\udf0a`, the two halves of one, in double quotes.

PyYAML's parser in C refuses halves, and the one in Python takes each for a character. So both are given a text in which
each such escape is another one of the same length, and what it stands for is found in the text as it was written.
"""

import json
import re

import yaml

# Halves of a character, and numbers beyond the last one.
_UNREADABLE = re.compile(
    r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\U0000[dD][89a-fA-F][0-9a-fA-F]{2}|\\U(?!00(?:0[0-9a-fA-F]|10))[0-9a-fA-F]{8}"
)
_STAND_INS = {6: r"\ue000", 10: r"\U0000e000"}
_EITHER = re.compile(f"{_UNREADABLE.pattern}|" + "|".join(map(re.escape, _STAND_INS.values())))
_ESCAPE = re.compile(r"\\U[0-9a-fA-F]{8}|\\.", re.DOTALL)
_LAST_CHARACTER = "0010ffff"


class ImpossibleEscapeError(ValueError):
    """An escape stands for a number that no character has.

    Attributes:
        position: where in the scalar it is.
        escape: the escape.
    """

    def __init__(self, position: int, escape: str) -> None:
        super().__init__(escape)
        self.position = position
        self.escape = escape


def readable(text: str) -> str:
    """Return a text of the same length in which every escape is one that PyYAML reads."""
    return _UNREADABLE.sub(lambda escape: _STAND_INS[len(escape[0])], text)


def as_written(value: str, source: str, *, double_quoted: bool) -> str:
    """Return what a scalar holds.

    Args:
        value: the same, read from a `readable` text.
        source: the scalar in the text as it was written.
        double_quoted: it stands in double quotes; elsewhere escapes are characters like others.

    Raises:
        ImpossibleEscapeError: it has an escape beyond the last character.
    """
    if _UNREADABLE.search(source) is None:
        return value
    if double_quoted:
        return _unescaped(source)
    originals = iter(_EITHER.findall(source))
    return _EITHER.sub(lambda _: next(originals), value)


def _unescaped(source: str) -> str:
    try:
        # Nearly always it is JSON that writes characters so, and its parser is much the faster.
        return str(json.loads(source))
    except ValueError:
        _require_characters(source)
    scalar = next(event for event in yaml.parse(source, Loader=yaml.SafeLoader) if isinstance(event, yaml.ScalarEvent))
    return _joined(scalar.value)


def _require_characters(source: str) -> None:
    for escape in _ESCAPE.finditer(source):
        if escape[0].startswith(r"\U") and escape[0][2:].lower() > _LAST_CHARACTER:
            raise ImpossibleEscapeError(escape.start(), escape[0])


def _joined(text: str) -> str:
    """Return a text with a character for each two halves that belong together; other halves stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
