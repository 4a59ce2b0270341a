"""PyYAML's errors -> ours: what is wrong with the text in plain words, its cure, and the place where it is wrong.

PyYAML has a parser in C and one in Python. They find the same mistakes at nearly the same places, and call them by
different names of YAML's grammar, which say nothing to people. So only the kind of error is taken from them; what is
said of it depends on the text around its place.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import yaml

# YAML 1.1's line breaks (section 4.2), in which both parsers count lines.
BREAKS = "\n\r\x85\u2028\u2029"
BREAK = re.compile(f"\r\n|[{BREAKS}]")
# A key cannot be longer (YAML 1.2, section 7.4): a colon that follows more is in a text.
_MAX_KEY_CHARS = 1024
_CLOSING = {"[": "]", "{": "}"}
_SAID_CHARS = 60
_COMMENT = re.compile(r"(?<=\S) #.*")
_NO_KEY = "is no key with a colon and a space after it; write `key: value`, or put a text of several lines in quotes"


class Mark(NamedTuple):
    """A place in the text: line and column, each counted from 1."""

    line: int
    column: int


class YamlError(ValueError):
    """The text is not YAML, or not YAML that a storyboard can hold.

    Attributes:
        mark: the place of the mistake.
    """

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark


def mark_at(text: str, index: int) -> Mark:
    """Return the line and column of a position in a text."""
    return Mark(1 + sum(1 for _ in BREAK.finditer(text, 0, index)), index - _line_start(text, index) + 1)


def comment_words(comment: str) -> str:
    """Return how a message calls a comment that was not meant as one."""
    comment = comment.rstrip()
    return repr(comment if len(comment) <= _SAID_CHARS else f"{comment[: _SAID_CHARS - 3]}...")


def yaml_error(exc: yaml.YAMLError, text: str) -> YamlError:
    """Return what an error of one of PyYAML's parsers says of the text, in our words."""
    # An error of reading, not of parsing, has no place.
    found = exc if isinstance(exc, yaml.MarkedYAMLError) else yaml.MarkedYAMLError()
    problem, context = found.problem_mark, found.context_mark
    at = problem.index if problem else 0
    trouble = _Trouble(text, at, context.index if context else at)
    words = f"{found.context}: {found.problem}"
    explain = next((explain for pattern, explain in _EXPLANATIONS if re.search(pattern, words)), _Trouble.unclear)
    return explain(trouble)


def _line_start(text: str, index: int) -> int:
    return 1 + max(text.rfind(character, 0, index) for character in BREAKS)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A place in the text at which a parser gave up; its methods say why, each for one kind of error.

    Attributes:
        text: the whole text.
        at: the position at which the parser gave up.
        opened: the position at which that began which it was reading then.
    """

    text: str
    at: int
    opened: int

    @property
    def character(self) -> str:
        """The character at the place; empty at the end of the text."""
        return self.text[self.at : self.at + 1]

    @property
    def before(self) -> str:
        """The line up to the place."""
        return self.text[_line_start(self.text, self.at) : self.at]

    @property
    def line(self) -> str:
        """The line of the place."""
        start = _line_start(self.text, self.at)
        return BREAK.split(self.text[start:], maxsplit=1)[0]

    def error(self, message: str, at: int | None = None) -> YamlError:
        """Return the error with this message at `at`, else at the place."""
        return YamlError(mark_at(self.text, self.at if at is None else at), message)

    def in_quotes(self, reason: str, at: int | None = None) -> YamlError:
        """Return the error whose cure is quotes."""
        return self.error(f"put the text in quotes: it {reason}", at)

    def unclear(self) -> YamlError:
        """An error that none of the kinds below describes."""
        return self.error("is not valid YAML here; check the indentation, the quotes and the brackets of this line")

    def colon(self) -> YamlError:
        """A colon where no key can end: within a text, or after a line that goes on with the one above."""
        key = self.before.lstrip(" ")
        above = self._line_above()
        if above is None or len(key) > _MAX_KEY_CHARS or re.search(r":\s|^- ", key):
            ending = not self.text[self.at + 1 :].split("\n", maxsplit=1)[0].strip()
            return self.in_quotes("ends with a colon" if ending else "holds a colon and a space")
        if above.indent < len(self.before) - len(key):
            return self.error(
                "is indented further than the line above, whose text it continues; line the two up",
                self.at - len(key),
            )
        return self.error(_without_colon(above.text), above.at)

    def odd_character(self) -> YamlError:
        """A character that nothing can begin with."""
        if self.character == "\t":
            return self.error("is a tab, where YAML takes spaces only; indent with spaces")
        if self.line.startswith("```"):
            return self.error("is a code fence (```), which is no part of a storyboard; remove the line", self.at)
        if self.before.endswith("{"):
            return self.in_quotes(f"begins with {'{' + self.character!r}", self.at - 1)
        return self.in_quotes(f"begins with {self.character!r}")

    def sign(self) -> YamlError:
        """A text that begins with one of YAML's own signs: * & ! | >."""
        return self.in_quotes(f"begins with {self.text[self.opened]!r}", self.opened)

    def dash(self) -> YamlError:
        """A dash beside a key."""
        return self.error("begin the list on the next line; or, if it is a text that begins with -, put it in quotes")

    def question_mark(self) -> YamlError:
        """A question mark and a space, with which a key may begin."""
        return self.in_quotes("begins with '?'")

    def no_value(self) -> YamlError:
        """A comma or a bracket where a value is to begin."""
        if self.character == "," and self.text[: self.at].rstrip().endswith(("[", "{", ",")):
            return self.error("is a comma without an entry before it; remove it")
        if self.character:
            return self.in_quotes(f"begins with {self.character!r}")
        # The text ends within a list or map, just where its next entry would begin.
        opened = max(map(self.text.rfind, _CLOSING))
        return self.error(f"is never closed; add {_CLOSING[self.text[opened]]} at its end", opened)

    def list_or_map(self) -> YamlError:
        """A list in brackets, or a map in braces, that goes on in a way in which it cannot."""
        bracket = self.text[self.opened]
        closing = _CLOSING[bracket]
        if comment := self._comment_within():
            return comment
        if self.character and self.character in "]}":
            return self.error(f"is {self.character}, but {bracket} was opened last; write {closing}")
        if self._is_unclosed():
            return self.error(f"is never closed; add {closing} at its end", self.opened)
        if self.character == ":" and re.search(r":\s|^\s*- ", self._within_line()):
            return self.in_quotes("holds a colon and a space")
        return self.error("stands after an entry that has ended; put a comma before it, or the whole text in quotes")

    def _within_line(self) -> str:
        """Return the line up to the place, from the bracket on if that is in it; without entries that have ended."""
        start = max(self.opened + 1, _line_start(self.text, self.at))
        return re.split(r"[,\[{]", self.text[start : self.at])[-1]

    def _is_unclosed(self) -> bool:
        """Return whether the place is beyond the list or map: at the text's end, or at a line that is outdented."""
        opening = _Trouble(self.text, self.opened, self.opened)
        indent = len(self.before) - len(self.before.lstrip(" "))
        outdented = indent <= len(opening.before) - len(opening.before.lstrip(" "))
        return not self.character or (self.opened < _line_start(self.text, self.at) and outdented)

    def _comment_within(self) -> YamlError | None:
        """Return the error of a comment that has swallowed the comma or bracket that is missing, if one has."""
        closing = "," if self.character else _CLOSING[self.text[self.opened]]
        for match in _COMMENT.finditer(self.text, self.opened, self.at):
            if closing in match[0]:
                return self._cut_short(match.start() + 1, match[0])
        return None

    def _cut_short(self, at: int, comment: str) -> YamlError:
        return self.error(f"{comment_words(comment)} is a comment, which ends the text; put the text in quotes", at)

    def key_or_entry(self) -> YamlError:
        """Something else than the next key of a map, or the next entry of a list."""
        if self.before.strip(" "):
            return self._after_value()
        if self.character == ":":
            return self.error("is a colon without a key before it; write the key")
        is_entry = re.match(r"-(\s|$)", self.text[self.at :]) is not None
        if not is_entry and not re.search(r":(\s|$)", self.line):
            return self._further_text()
        if len(self.before) == len(_Trouble(self.text, self.opened, self.opened).before):
            return self.error(
                "is an entry of a list among keys; indent it under the key that it belongs to"
                if is_entry
                else "is a key among the entries of a list; line it up with the key that it belongs beside"
            )
        return self.error("is indented like no line above; line it up with the entries or keys that it belongs to")

    def _further_text(self) -> YamlError:
        """Return the error of a line of text below a value that has ended: often by a comment."""
        above = self._line_above()
        comment = _COMMENT.search(above.text) if above else None
        if above and comment:
            return self._cut_short(above.at - above.indent + comment.start() + 1, comment[0])
        return self.error(_without_colon(self.line))

    def _after_value(self) -> YamlError:
        """Return the error of something that follows a whole value in its line."""
        if self.character and self.character in "]}":
            return self.error(f"is {self.character}, which closes nothing; remove it, or put the text in quotes")
        value = re.sub(r"^\s*(- +)*([^\s\"'\[{][^\"'\[{]*?: +)?", "", self.before)
        start = self.at - len(value)
        if value[:1] in ("'", '"'):
            within = "''" if value[0] == "'" else r"\""
            return self.error(
                f"stands after the text's closing quote; put all of the text in quotes, with {within} for a quote in it"
            )
        return self.in_quotes(f"begins with {'{{' if value.startswith('{{') else value[:1]!r}", start)

    def key(self) -> YamlError:
        """A line without a colon where a key is to stand."""
        line = _Trouble(self.text, self.opened, self.opened).line
        return self.error(_without_colon(line), self.opened)

    def quote(self) -> YamlError:
        """A quote that nothing closes."""
        mark = self.text[self.opened]
        return self.error(
            f"is a quote ({mark}) that is never closed; add {mark} at the end of the text, or put it in other quotes",
            self.opened,
        )

    def escape(self) -> YamlError:
        """A backslash in double quotes with something behind it that is no escape."""
        # The parser in Python names the character behind the backslash.
        at = self.at if self.character == "\\" else self.at - 1
        escape = self.text[at : at + 2]
        return self.error(f"{escape} means nothing in double quotes; write \\{escape}, or use single quotes", at)

    def hexadecimal(self) -> YamlError:
        r"""An escape by number, `\x`, `\u` or `\U`, with too few digits behind it."""
        escape = self.text[self.at - 2 : self.at]
        digits = {"x": 2, "u": 4, "U": 8}.get(escape[-1:], 8)
        return self.error(
            f"{escape} takes {digits} hexadecimal digits; write them, or \\{escape}, or use single quotes", self.at - 2
        )

    def document(self) -> YamlError:
        """Something after the end of the storyboard, or before its begin."""
        if directive := re.search(r"^%.*", self.text[: self.at], re.MULTILINE):
            return self._directive(directive.start())
        if re.search(r"^\.\.\.\s", self.text[: self.at], re.MULTILINE):
            return self.error("stands after the storyboard's end (...); remove the line with the dots")
        if self.before.strip(" "):
            return self._after_value()
        return self.error("is indented less than the first line; line the two up")

    def directive(self) -> YamlError:
        """A line that begins with a per cent sign."""
        return self._directive(_line_start(self.text, self.at))

    def _directive(self, at: int) -> YamlError:
        return self.error(
            "a line that begins with % is an instruction to YAML, which no storyboard needs; remove it", at
        )

    def _line_above(self) -> "_Line | None":
        """Return the nearest line above that is neither empty nor a comment."""
        end = _line_start(self.text, self.at) - 1
        while end > 0:
            start = _line_start(self.text, end)
            line = self.text[start:end].rstrip("\r\n")
            if line.strip() and not line.lstrip().startswith("#"):
                # An entry's own place is behind its dash.
                content = re.sub(r"^ *(- +)*", "", line)
                return _Line(line, start + len(line) - len(content), len(line) - len(content))
            end = start - 1
        return None


class _Line(NamedTuple):
    """A line, the position in the text of what it holds, and the column of that, counted from 0."""

    text: str
    at: int
    indent: int


def _without_colon(line: str) -> str:
    match = re.match(r"\s*(?:- +)*([^\s:\"'\[{]+):(?=\S)", line)
    return f"put a space after the colon: `{match[1]}: ...`" if match else _NO_KEY


_Explain = Callable[[_Trouble], YamlError]
# By a pattern in the error's context and problem, in the words of both parsers; the first that matches counts.
_EXPLANATIONS: tuple[tuple[str, _Explain], ...] = (
    (r"mapping values are not allowed", _Trouble.colon),
    (r"cannot start any token|found a tab", _Trouble.odd_character),
    (r"scanning an? (alias|anchor|tag|block scalar)|parsing a tag|undefined tag handle", _Trouble.sign),
    (r"sequence entries are not allowed", _Trouble.dash),
    (r"mapping keys are not allowed", _Trouble.question_mark),
    (r"expected (the )?node content", _Trouble.no_value),
    (r"parsing a flow", _Trouble.list_or_map),
    (r"parsing a block", _Trouble.key_or_entry),
    (r"simple key", _Trouble.key),
    (r"unexpected (end of stream|document)", _Trouble.quote),
    (r"unknown escape", _Trouble.escape),
    (r"hexa?decimal", _Trouble.hexadecimal),
    (r"document start", _Trouble.document),
    (r"directive|incompatible YAML document|version number", _Trouble.directive),
)
