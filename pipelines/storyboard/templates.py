"""Templates of prompts and captions: Jinja2, sandboxed, strict about names, and bounded in what they may contain."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.template_values import (
    FILTERS,
    TESTS,
    PromptTemplateError,
    bounded,
    joined,
    require_short,
    to_text,
)

MAX_TEMPLATE_CHARS = 8192
# Far less than what Jinja, or Python with the code that Jinja makes, can read.
_MAX_DEPTH = 40
# No calls, loops, macros, and no multiplication: `{{ 'x' * 10**9 }}` would take all memory.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.If,
    nodes.Concat, nodes.Add, nodes.Sub, nodes.Neg, nodes.Pos, nodes.Tuple, nodes.List, nodes.Keyword,
)  # fmt: skip
# The name of no filter that a template can write: what `~` becomes.
_JOINED = "~"
# `{{ name }}`; Jinja's constants and operators are not names and are left to Jinja.
_NAME_ONLY = re.compile(r"\{\{ *(?!(?:true|false|none|True|False|None|not)\b)([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")


class Templates:
    """Renders templates with names and their values; each is compiled once."""

    def __init__(self) -> None:
        self._environment = _Environment()
        # By instance, so that it lives as long as the storyboard is being resolved.
        self._compile = functools.lru_cache(maxsize=None)(self._compile_uncached)

    def render(self, source: str, names: Mapping[str, object]) -> str:
        """Return the text of `source` with the values of `names` filled in: text, numbers, or mappings of them.

        Raises:
            PromptTemplateError: it does not parse, uses what is not allowed, or a name that is not in `names`, or comes
                to what is neither text nor a number.
        """
        self.check(source)
        if _holds_names_only(source):
            return _fill_in(source, names)
        compiled = self._compile(source)
        try:
            return "".join(_short(compiled.template.generate(names)))
        except UndefinedError as exc:
            # Jinja has the name only in its message.
            match = _UNDEFINED.search(str(exc))
            raise PromptTemplateError(_undefined(match[1], names) if match else str(exc)) from exc
        except _NoPartError as exc:
            raise PromptTemplateError(compiled.cure(exc.part, names)) from exc
        except PromptTemplateError:
            raise
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as exc:
            raise PromptTemplateError(f"cannot be filled in: {exc}") from exc

    def check(self, source: str) -> None:
        """Require that `source` is a valid template, without looking at the names that it uses.

        Raises:
            PromptTemplateError: it does not parse, is too long, or uses what is not allowed.
        """
        # Plain text may be longer: it is checked as the prompt or caption that it is.
        if "{" in source and len(source) > MAX_TEMPLATE_CHARS:
            raise PromptTemplateError(f"is a template of more than {MAX_TEMPLATE_CHARS} characters; shorten it")
        if not _holds_names_only(source):
            self._compile(source)

    def _compile_uncached(self, source: str) -> "_Compiled":
        try:
            tree = self._environment.parse(source)
            _require_allowed(tree)
            parts = tuple(_parts(tree))
            code = self._environment.compile(_BoundedJoins().visit(tree))
        except TemplateSyntaxError as exc:
            raise PromptTemplateError(f"is not a valid template: {exc.message}") from exc
        except RecursionError as exc:
            raise PromptTemplateError("is a template nested too deeply; simplify it") from exc
        except PromptTemplateError:
            # It is a ValueError too.
            raise
        except ValueError as exc:
            # Python reads no number of more than 4,300 digits.
            raise PromptTemplateError("holds a number that is too long; shorten it") from exc
        return _Compiled(Template.from_code(self._environment, code, {}), parts)


class _NoPartError(Exception):
    """A template reads a part, with a dot or brackets, of what is no mapping."""

    def __init__(self, part: object) -> None:
        super().__init__(part)
        self.part = part


class _Environment(SandboxedEnvironment):
    """Jinja's sandbox without Python's objects: a dot reaches into mappings, and what is shown is text or a number."""

    # Also when both sides are known as it compiles: what they come to may be infinite.
    intercepted_binops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, cache_size=0, finalize=to_text)
        # `range`, `lipsum` and the like, which make text out of nothing.
        self.globals.clear()
        self.filters = {**FILTERS, _JOINED: joined}
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return what a mapping holds under a name."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what a mapping holds under a name or a number.

        Raises:
            _NoPartError: it is no mapping.
        """
        if isinstance(obj, Undefined):
            # It raises, and says which name it is.
            str(obj)
        if not isinstance(obj, Mapping):
            raise _NoPartError(argument)
        if argument in obj:
            return obj[argument]
        return self.undefined(f"there is no {argument!r} in it{did_you_mean(argument, map(str, obj))}")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add or subtract numbers, or join texts, to a bounded result."""
        if isinstance(left, str) and isinstance(right, str):
            require_short(len(left) + len(right))
        return bounded(super().call_binop(context, operator, left, right))


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A template that can be filled in, and the parts that it reads: for each, what it is read of, and its name."""

    template: Template
    parts: tuple[tuple[nodes.Expr, object], ...]

    def cure(self, part: object, names: Mapping[str, object]) -> str:
        """Return what is wrong with reading `part` of what is no mapping, and what to write instead."""
        for node, name in self.parts:
            if name == part and isinstance(node, nodes.Name) and not isinstance(names.get(node.name), Mapping):
                meant = "first" if part == 0 else part
                cure = f"did you mean {{{{ {node.name}|{meant} }}}}?" if meant in FILTERS else "remove it"
                return f"reads {part!r} of {node.name!r}, which is text and has no parts; {cure}"
        return f"reads {part!r} of what is text or a number and has no parts; remove it"


def _parts(tree: nodes.Template) -> Iterator[tuple[nodes.Expr, object]]:
    for attribute in tree.find_all(nodes.Getattr):
        yield attribute.node, attribute.attr
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const):
            yield item.node, item.arg.value


def _require_allowed(tree: nodes.Template) -> None:
    for node, parent in _nodes_and_parents(tree):
        _require_known(node)
        _require_plain_access(node)
        if isinstance(node, nodes.Tuple | nodes.List) and not _is_searched(parent):
            raise PromptTemplateError("uses a list, which is no text; a list stands after `in` only")
        if not isinstance(node, _ALLOWED):
            word = type(node).__name__.lower()
            raise PromptTemplateError(
                f"uses {word!r}, which prompts cannot; they have names, filters and if; for variations use matrix"
            )
        if isinstance(node, nodes.Const):
            bounded(node.value)


def _require_known(node: nodes.Node) -> None:
    if isinstance(node, nodes.Name) and node.name == "self":
        raise PromptTemplateError("uses the name 'self', which is Jinja's own; choose another")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise PromptTemplateError(f"uses the filter {node.name!r}{did_you_mean(node.name, FILTERS)}")
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise PromptTemplateError(f"uses the test {node.name!r}{did_you_mean(node.name, TESTS)}")


def _require_plain_access(node: nodes.Node) -> None:
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise PromptTemplateError(f"reads the attribute {node.attr!r}, which templates may not; remove it")
    if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
        raise PromptTemplateError("indexes with something other than a number or a word; write it out")


def _nodes_and_parents(tree: nodes.Template) -> Iterator[tuple[nodes.Node, nodes.Node]]:
    """Yield the nodes of a template in its order, each with the one that holds it.

    Raises:
        PromptTemplateError: they are nested too deeply.
    """
    # Not by recursion: a thousand levels of it take a second, and more cannot be had.
    waiting: list[tuple[nodes.Node, nodes.Node, int]] = [(tree, tree, 0)]
    while waiting:
        node, parent, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise PromptTemplateError("is a template nested too deeply; simplify it")
        yield node, parent
        waiting += [(child, node, depth + 1) for child in reversed(list(node.iter_child_nodes()))]


def _is_searched(parent: nodes.Node) -> bool:
    """Return whether a node's child is what `in` looks into."""
    return (isinstance(parent, nodes.Operand) and parent.op in ("in", "notin")) or (
        isinstance(parent, nodes.Test) and parent.name == "in"
    )


class _BoundedJoins(NodeTransformer):
    """Puts a filter of ours in place of each `~`, which would show whatever it is given."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja calls it by the node's name
        """Return the filter."""
        self.generic_visit(node)
        first, *others = node.nodes
        return nodes.Filter(first, _JOINED, others, [], None, None, lineno=node.lineno, environment=node.environment)


def _holds_names_only(source: str) -> bool:
    """Return whether `source` has no other syntax than `{{ name }}`."""
    return "{" not in source or "{" not in _NAME_ONLY.sub("", source)


def _fill_in(source: str, names: Mapping[str, object]) -> str:
    """Return the text of a template that holds only names, as most do: a thousand times faster than compiling it."""
    chars = 0

    def value(match: re.Match[str]) -> str:
        nonlocal chars
        if match[1] not in names:
            raise PromptTemplateError(_undefined(match[1], names))
        text = to_text(names[match[1]])
        chars += len(text)
        require_short(chars)
        return text

    return _NAME_ONLY.sub(value, source)


def _short(pieces: Iterator[str]) -> Iterator[str]:
    """Pass on the pieces of a text as long as it is not too long."""
    chars = 0
    for piece in pieces:
        chars += len(piece)
        require_short(chars)
        yield piece


def _undefined(name: str, names: Mapping[str, object]) -> str:
    return f"{name!r} is not defined{did_you_mean(name, sorted(names))}, or add it to vars"
