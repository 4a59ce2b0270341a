"""The reference of the Python API: its module's docstrings, read by Sphinx's autodoc."""

import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

from generators.markdown import fence

_MODULE = "pipelines.api"
_EXAMPLE = "Example:"


def python_reference() -> str:
    """Return the API's reference; a sentence in its place where this version has none."""
    if importlib.util.find_spec(_MODULE) is None:
        return "This version has no Python API; run the [command](commands.md) with `--json` from a program.\n"
    return "\n".join([fence(f".. automodule:: {_MODULE}", "{eval-rst}"), *_sections(importlib.import_module(_MODULE))])


def show_example_as_code(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Change a docstring's lines in place: what stands below `Example:` is code, and Napoleon takes it for text."""
    for number in reversed(range(len(lines))):
        if lines[number] == _EXAMPLE:
            lines[number : number + 1] = [f"{_EXAMPLE}:", ""]


def _sections(module: ModuleType) -> Iterator[str]:
    """Yield the functions, then the classes, then the errors that the module exports."""
    exported = {name: getattr(module, name) for name in module.__all__}
    errors = {name for name, value in exported.items() if isinstance(value, type) and issubclass(value, Exception)}
    classes = {name for name, value in exported.items() if inspect.isclass(value)} - errors
    functions = exported.keys() - classes - errors
    yield from _section("Functions", "autofunction", functions)
    yield from _section("Classes", "autoclass", classes)
    yield from _section("Errors", "autoexception", errors)


def _section(heading: str, directive: str, names: set[str]) -> Iterator[str]:
    members = "\n   :members:" if directive == "autoclass" else ""
    yield f"## {heading}\n"
    yield from (fence(f".. {directive}:: {_MODULE}.{name}{members}", "{eval-rst}") for name in sorted(names))
