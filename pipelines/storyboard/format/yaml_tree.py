"""YAML text -> plain data and the place of every key and value in it, by YAML 1.2 and with bounds on everything.

PyYAML reads YAML 1.1: `16:9` is 969, `no` is False, and of two keys of one name the second wins in silence. So only its
events are used; their meaning is decided here, by the core schema of YAML 1.2 (section 10.3).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import yaml

from pipelines.storyboard.format.base import YamlPath

MAX_DEPTH = 50
# Values with all aliases expanded, and values as written: to read one costs far more than to repeat it.
MAX_NODES = 500_000
MAX_WRITTEN = 150_000

# libyaml's parser in C is many times as fast, but PyYAML may be installed without it.
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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


@dataclass(slots=True)
class YamlTree:
    """Plain data (dict, list, str, int, Decimal, bool, None), and the place of each value and each key of it.

    Attributes:
        data: the document's value; of a key that is there twice, the first counts.
        values: the place of each value.
        keys: the place of each key.
        sources: numbers as they were written, where Python would write them otherwise: 007, 1e3.
        repeated: by the place of each key that its mapping has already: the mapping's path, and the key.
    """

    data: Any
    values: dict[YamlPath, Mark] = field(default_factory=dict)
    keys: dict[YamlPath, Mark] = field(default_factory=dict)
    sources: dict[YamlPath, str] = field(default_factory=dict)
    repeated: dict[Mark, tuple[YamlPath, str | int]] = field(default_factory=dict)

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
    size: int = 1


def parse_yaml(text: str) -> YamlTree:
    """Read one YAML document.

    Raises:
        YamlError: it is not one document of valid YAML, or too deep, or too large once its aliases are expanded.
    """
    _require_printable(text)
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        raise YamlError(place, f"is not valid YAML: {exc.problem}; check indentation, quotes and brackets") from exc
    except yaml.YAMLError as exc:
        raise YamlError(Mark(1, 1), f"is not valid YAML: {exc}") from exc
    tree = YamlTree(None)
    tree.data = _construct(root, (), tree)
    return tree


def _require_printable(text: str) -> None:
    if match := _UNPRINTABLE.search(text):
        before = text[: match.start()]
        place = Mark(before.count("\n") + 1, match.start() - before.rfind("\n"))
        raise YamlError(place, f"holds the control character {match[0]!r}; remove it, or save the file as plain text")


def _compose(text: str) -> _Node:
    events = yaml.parse(text, Loader=_Loader)
    composer = _Composer(events)
    root: _Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise YamlError(_mark(event), "a second document starts here; a storyboard is one document, drop the ---")
        if isinstance(event, yaml.NodeEvent):
            root = composer.node(event, depth=0)
    return root or _Node(Mark(1, 1), "scalar", None)


class _Composer:
    """Composes nodes from PyYAML's events, and refuses too many or too deep ones as they come."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, _Node] = {}
        self._written = 0

    def node(self, event: Any, *, depth: int) -> _Node:
        self._admit(event, depth)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise YamlError(_mark(event), f"*{event.anchor} names no anchor before it; write &{event.anchor} there")
            return self._anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(_mark(event), "scalar", _scalar(event), event.value)
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

    def _sequence(self, event: yaml.Event, depth: int) -> _Node:
        _require_plain_tag(event)
        items: list[_Node] = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            items.append(self.node(inner, depth=depth + 1))
        return _Node(_mark(event), "sequence", items=items, size=1 + sum(item.size for item in items))

    def _mapping(self, event: yaml.Event, depth: int) -> _Node:
        _require_plain_tag(event)
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
        raise YamlError(_mark(event), f"the tag {event.tag!r} is not supported; remove it")


def _scalar(event: Any) -> Any:
    if event.tag in _STRING_TAGS or (event.tag is None and not event.implicit[0]):
        return event.value
    if event.tag is not None:
        raise YamlError(_mark(event), f"the tag {event.tag!r} is not supported; remove it")
    return core_schema(event.value)


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
    if isinstance(node.value, int | Decimal) and not isinstance(node.value, bool) and str(node.value) != node.source:
        tree.sources[path] = node.source or ""
    return node.value


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
