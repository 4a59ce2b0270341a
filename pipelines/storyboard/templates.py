"""Templates of prompts and captions: Jinja2, sandboxed, strict about names, and bounded in what they may contain."""

import functools
import re
from collections.abc import Mapping

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import SandboxedEnvironment

from pipelines.common.suggestions import did_you_mean

MAX_TEMPLATE_CHARS = 8192
# None of them repeats or multiplies text, so a template's result is never much longer than what goes in.
FILTERS = (
    "abs", "capitalize", "d", "default", "first", "float", "int", "last", "length", "lower", "round", "string",
    "title", "trim", "upper",
)  # fmt: skip
# No calls, loops, macros, and no multiplication: `{{ 'x' * 10**9 }}` would take all memory.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.If,
    nodes.Concat, nodes.Add, nodes.Sub, nodes.Neg, nodes.Pos, nodes.Tuple, nodes.List, nodes.Keyword,
)  # fmt: skip
# `{{ name }}`; Jinja's constants and operators are not names and are left to Jinja.
_NAME_ONLY = re.compile(r"\{\{ *(?!(?:true|false|none|True|False|None|not)\b)([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")


class PromptTemplateError(ValueError):
    """The template is wrong; the message says why, and the cure."""


class Templates:
    """Renders templates with names and their values; each is compiled once."""

    def __init__(self) -> None:
        self._environment = SandboxedEnvironment(undefined=StrictUndefined, cache_size=0)
        # `range`, `lipsum` and the like, which make text out of nothing.
        self._environment.globals.clear()
        # By instance, so that it lives as long as the storyboard is being resolved.
        self._compile = functools.lru_cache(maxsize=None)(self._compile_uncached)

    def render(self, source: str, names: Mapping[str, str]) -> str:
        """Return the text of `source` with the values of `names` filled in.

        Raises:
            PromptTemplateError: it does not parse, uses what is not allowed, or a name that is not in `names`.
        """
        self.check(source)
        if _holds_names_only(source):
            return _fill_in(source, names)
        template = self._compile(source)
        try:
            return template.render(names)
        except UndefinedError as exc:
            # Jinja has the name only in its message.
            match = _UNDEFINED.search(str(exc))
            raise PromptTemplateError(_undefined(match[1], names) if match else str(exc)) from exc
        except (TemplateError, TypeError, ValueError, ArithmeticError) as exc:
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

    def _compile_uncached(self, source: str) -> Template:
        try:
            tree = self._environment.parse(source)
            _require_allowed(tree)
            code = self._environment.compile(tree)
        except TemplateSyntaxError as exc:
            raise PromptTemplateError(f"is not a valid template: {exc.message}") from exc
        except RecursionError as exc:
            raise PromptTemplateError("is a template nested too deeply; simplify it") from exc
        return Template.from_code(self._environment, code, {})


def _require_allowed(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise PromptTemplateError(f"uses the filter {node.name!r}{did_you_mean(node.name, FILTERS)}")
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise PromptTemplateError(f"reads the attribute {node.attr!r}, which templates may not; remove it")
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            raise PromptTemplateError("indexes with something other than a number or a word; write it out")
        if not isinstance(node, _ALLOWED):
            word = type(node).__name__.lower()
            raise PromptTemplateError(
                f"uses {word!r}, which prompts cannot; they have names, filters and if; for variations use matrix"
            )


def _holds_names_only(source: str) -> bool:
    """Return whether `source` has no other syntax than `{{ name }}`."""
    return "{" not in source or "{" not in _NAME_ONLY.sub("", source)


def _fill_in(source: str, names: Mapping[str, str]) -> str:
    """Return the text of a template that holds only names, as most do: a thousand times faster than compiling it."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in names:
            raise PromptTemplateError(_undefined(match[1], names))
        return names[match[1]]

    return _NAME_ONLY.sub(value, source)


def _undefined(name: str, names: Mapping[str, str]) -> str:
    return f"{name!r} is not defined{did_you_mean(name, sorted(names))}, or add it to vars"
