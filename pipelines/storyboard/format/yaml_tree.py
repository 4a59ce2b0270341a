"""YAML text -> plain data and the place of every key and value in it, by YAML 1.2 and with bounds on everything.

PyYAML reads YAML 1.1: `16:9` is 969, `no` is False, and of two keys of one name the second wins in silence. So only its
events are used; their meaning is decided here, by the core schema of YAML 1.2 (section 10.3).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.yaml_errors import BREAK, Mark, YamlError, comment_words, mark_at, yaml_error
from pipelines.storyboard.format.yaml_escapes import ImpossibleEscapeError, as_written, readable

MAX_DEPTH = 50
# Values with all aliases expanded, and values as written: to read one costs far more than to repeat it.
MAX_NODES = 500_000
MAX_WRITTEN = 150_000

# libyaml's parser in C is many times as fast, but PyYAML may be installed without it.
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Of a comment that is told of; no more of it is looked at.
_MAX_COMMENT_CHARS = 200
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_OCTAL = re.compile(r"0o[0-7]{1,18}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
# Characters that are not printable by YAML 1.2 (section 5.1). Looked for here, because PyYAML's two parsers report them
# in different words and at different places.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class YamlTree:
    """Plain data (dict, list, str, int, Decimal, bool, None), and the place of each value and each key of it.

    Attributes:
        data: the document's value; of a key that is there twice, the first counts.
        values: the place of each value.
        keys: the place of each key.
        sources: numbers as they were written, where Python would write them otherwise: 007, 1e3.
        repeated: by the place of each key that its mapping has already: the mapping's path, and the key.
        remarks: by a place in a value without quotes that YAML takes for something else than text: the value's path,
            and what is to be said of it if the value is a text.
    """

    data: Any
    values: dict[YamlPath, Mark] = field(default_factory=dict)
    keys: dict[YamlPath, Mark] = field(default_factory=dict)
    sources: dict[YamlPath, str] = field(default_factory=dict)
    repeated: dict[Mark, tuple[YamlPath, str | int]] = field(default_factory=dict)
    remarks: dict[Mark, tuple[YamlPath, str]] = field(default_factory=dict)

    def mark(self, path: YamlPath, *, of_key: bool = False) -> Mark:
        """Return the place of a value, or of its key; for a path that is not there, of the nearest path above it."""
        places = self.keys if of_key else self.values
        return places[path] if path in places else self.mark(path[:-1]) if path else Mark(1, 1)


@dataclass(slots=True)
class _Node:
    """A node of the document; all aliases of an anchor share one.

    Attributes:
        kind: `scalar`, `sequence` or `mapping`.
        value, source: of a scalar: its meaning, and its text as written.
        items: of a sequence.
        entries: of a mapping: key and value.
        repeated: keys that the mapping has already.
        remarks: of a scalar: places in it that YAML takes for something else than text, and what to say of each.
        lone_sign: of a scalar without quotes: what it begins with that means nothing, an anchor without an alias or a
            `!`; empty without.
        size: values in it with aliases expanded. Counted as it is composed: walking a few lines of nested aliases
            would take forever.
    """

    mark: Mark
    kind: str
    value: Any = None
    source: str | None = None
    items: Sequence["_Node"] = ()
    entries: Sequence[tuple["_Node", "_Node"]] = ()
    repeated: Sequence["_Node"] = ()
    remarks: Sequence[tuple[Mark, str]] = ()
    lone_sign: str = ""
    size: int = 1


def parse_yaml(text: str) -> YamlTree:
    """Read one YAML document.

    Raises:
        YamlError: it is not one document of valid YAML, or too deep, or too large once its aliases are expanded.
    """
    _require_printable(text)
    try:
        root = _compose(text)
    except yaml.YAMLError as exc:
        raise yaml_error(exc, text) from exc
    tree = YamlTree(None)
    tree.data = _construct(root, (), tree)
    return tree


def _require_printable(text: str) -> None:
    if match := _UNPRINTABLE.search(text):
        place = mark_at(text, match.start())
        raise YamlError(place, f"holds the control character {match[0]!r}; remove it, or save the file as plain text")


def _compose(text: str) -> _Node:
    events = yaml.parse(readable(text), Loader=_Loader)
    composer = _Composer(events, text)
    root: _Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise YamlError(_mark(event), "a second document starts here; a storyboard is one document, drop the ---")
        if isinstance(event, yaml.NodeEvent):
            root = composer.node(event, depth=0)
    return root or _Node(Mark(1, 1), "scalar", None)


class _Composer:
    """Composes nodes from PyYAML's events, and refuses too many or too deep ones as they come."""

    def __init__(self, events: Iterator[yaml.Event], text: str) -> None:
        self._events = events
        self._text = text
        self._anchors: dict[str, _Node] = {}
        self._written = 0

    def node(self, event: Any, *, depth: int) -> _Node:
        self._admit(event, depth)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                cure = f"write &{event.anchor} there, or put a text that begins with * in quotes"
                raise YamlError(_mark(event), f"*{event.anchor} names no anchor before it; {cure}")
            node = self._anchors[event.anchor]
            node.lone_sign = ""
            return node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if node.size > MAX_NODES:
            raise YamlError(_mark(event), f"holds more than {MAX_NODES:,} values once its aliases are expanded")
        # Only now, so that an alias inside its own anchor finds nothing, and no node can contain itself.
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _admit(self, event: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise YamlError(_mark(event), f"is nested more than {MAX_DEPTH} levels deep")
        # Counted as they come: a file of nothing but commas is refused long before its end.
        self._written += 1
        if self._written > MAX_WRITTEN:
            raise YamlError(_mark(event), f"is more than {MAX_WRITTEN:,} values; split it into several storyboards")

    def _scalar(self, event: Any) -> _Node:
        source = self._source(event)
        node = _Node(_mark(event), "scalar", _meaning(event, source), source)
        if not event.style:
            node.lone_sign = f"&{event.anchor}" if event.anchor else "!" if event.tag == "!" else ""
            # A word for nothing is no text that goes on.
            if not (source and node.value is None):
                node.remarks = tuple(_remarks(event, self._text))
        return node

    def _source(self, event: Any) -> str:
        """Return the text of a scalar, as it was written."""
        start, end = event.start_mark.index, event.end_mark.index
        try:
            return as_written(event.value, self._text[start:end], double_quoted=event.style == '"')
        except ImpossibleEscapeError as exc:
            place = mark_at(self._text, start + exc.position)
            raise YamlError(place, f"{exc.escape} is no character: the last is \\U0010ffff; write another") from exc

    def _sequence(self, event: yaml.Event, depth: int) -> _Node:
        _require_plain_tag(event)
        items: list[_Node] = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            items.append(self.node(inner, depth=depth + 1))
        return _Node(_mark(event), "sequence", items=items, size=1 + sum(item.size for item in items))

    def _mapping(self, event: Any, depth: int) -> _Node:
        _require_plain_tag(event)
        # To YAML a mapping whose first key is one; in a storyboard always a template that lacks its quotes.
        if self._text.startswith("{{", event.start_mark.index):
            raise YamlError(_mark(event), "put the text in quotes: it begins with '{{'")
        entries: list[tuple[_Node, _Node]] = []
        repeated: list[_Node] = []
        seen: set[str | int] = set()
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self.node(inner, depth=depth + 1)
            _check_key(key)
            value = self.node(next(self._events), depth=depth + 1)
            if key.value in seen:
                repeated.append(key)
                continue
            seen.add(key.value)
            entries.append((key, value))
        size = 1 + sum(1 + value.size for _, value in entries)
        return _Node(_mark(event), "mapping", entries=entries, repeated=repeated, size=size)


def _check_key(key: _Node) -> None:
    if key.kind != "scalar" or isinstance(key.value, bool) or not isinstance(key.value, str | int):
        raise YamlError(key.mark, "a key must be a word or a whole number")
    if key.value == "<<":
        raise YamlError(key.mark, "merge keys (<<) are not supported; use `defaults`, which scenes and shots inherit")


def _require_plain_tag(event: Any) -> None:
    if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
        raise _unknown_tag(event)


def _meaning(event: Any, source: str) -> Any:
    if event.tag in _STRING_TAGS or (event.tag is None and not event.implicit[0]):
        return source
    if event.tag is not None:
        raise _unknown_tag(event)
    return core_schema(source)


def _unknown_tag(event: Any) -> YamlError:
    if event.tag.startswith("!"):
        return YamlError(_mark(event), "put the text in quotes: it begins with '!'")
    return YamlError(_mark(event), f"the tag {event.tag!r} is not supported; remove it")


def _remarks(event: Any, text: str) -> Iterator[tuple[Mark, str]]:
    """Yield the places in a scalar without quotes, and right behind it, that were perhaps meant as text."""
    start, end = event.start_mark, event.end_mark
    for line, dash in _entries_within(text[start.index : end.index]) if start.line < end.line else ():
        yield (
            Mark(start.line + 1 + line, dash),
            "goes on with this line, which is indented further; line it up with the entry above if it is one of its "
            "own, else put the text in quotes",
        )
    # Comments that were meant are often lined up, with more than one space before them.
    if text.startswith(" #", end.index):
        comment = BREAK.split(text[end.index : end.index + _MAX_COMMENT_CHARS], maxsplit=1)[0]
        yield (
            Mark(end.line + 1, end.column + 2),
            f"ends before {comment_words(comment)}, which YAML takes for a comment; put the text in quotes",
        )


def _entries_within(source: str) -> Iterator[tuple[int, int]]:
    """Yield line and column, in a scalar of several lines, of each line that looks like an entry of a list."""
    for number, line in enumerate(BREAK.split(source)):
        if number and line.lstrip(" ").startswith("- "):
            yield number, len(line) - len(line.lstrip(" ")) + 1


def core_schema(text: str) -> Any:
    """Return the meaning of text without quotes: a number, a truth value, None, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    # Decimal, not float, so that amounts and times stay exact: 0.1 is a tenth.
    return Decimal(text) if _FLOAT.fullmatch(text) else text


def _construct(node: _Node, path: YamlPath, tree: YamlTree) -> Any:
    tree.values[path] = node.mark
    if node.kind == "sequence":
        return [_construct(item, (*path, index), tree) for index, item in enumerate(node.items)]
    if node.kind == "mapping":
        data = {}
        for key, value in node.entries:
            tree.keys[*path, key.value] = key.mark
            data[key.value] = _construct(value, (*path, key.value), tree)
        for key in node.repeated:
            tree.repeated.setdefault(key.mark, (path, key.value))
        return data
    _note_remarks(node, path, tree)
    if isinstance(node.value, int | Decimal) and not isinstance(node.value, bool) and str(node.value) != node.source:
        tree.sources[path] = node.source or ""
    return node.value


def _note_remarks(node: _Node, path: YamlPath, tree: YamlTree) -> None:
    for mark, remark in node.remarks:
        tree.remarks.setdefault(mark, (path, remark))
    if node.lone_sign:
        remark = f"begins behind {node.lone_sign!r}, which YAML takes for a sign of its own; put the text in quotes"
        tree.remarks.setdefault(node.mark, (path, remark))


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
