"""The reference of the Python API: its module's docstrings, read by Sphinx's autodoc."""

import inspect
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

from generators.markdown import fence
from pipelines import api

_EXAMPLE = "Example:"


def python_reference() -> str:
    """Return the module's description, and a section each for its functions, its classes and its errors."""
    # The examples of the docstrings are Python.
    head = f".. highlight:: python\n\n.. automodule:: {api.__name__}"
    return "\n".join([fence(head, "{eval-rst}"), *_sections()])


def show_example_as_code(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Change a docstring's lines in place: what stands below `Example:` is code, and Napoleon takes it for text."""
    for number in reversed(range(len(lines))):
        if lines[number] == _EXAMPLE:
            lines[number : number + 1] = [f"{_EXAMPLE}:", ""]


def _sections() -> Iterator[str]:
    exported = {name: getattr(api, name) for name in api.__all__}
    errors = {name for name, value in exported.items() if isinstance(value, type) and issubclass(value, Exception)}
    classes = {name for name, value in exported.items() if inspect.isclass(value)} - errors
    functions = exported.keys() - classes - errors
    yield from _section("Functions", "autofunction", functions)
    yield from _section("Classes", "autoclass", classes)
    yield from _section("Errors", "autoexception", errors)


def _section(heading: str, directive: str, names: set[str]) -> Iterator[str]:
    members = "\n   :members:" if directive == "autoclass" else ""
    yield f"## {heading}\n"
    yield from (fence(f".. {directive}:: {api.__name__}.{name}{members}", "{eval-rst}") for name in sorted(names))
