"""The shape of a storyboard, read off its models: which of them, and which texts, may stand at a path."""

import functools
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator

from pipelines.storyboard.format.base import FREE_TEXT, YamlPath
from pipelines.storyboard.format.schema import StoryboardModel


def known_keys(path: YamlPath) -> list[str]:
    """Return the keys that a mapping at `path` may have."""
    models = (kind for kind in _kinds_at(_shape(path)) if _is_model(kind))
    return list(dict.fromkeys(key for model in models for key in _hints(model)))


def is_free_text(path: YamlPath) -> bool:
    """Return whether a text of the user's own may stand at `path`: no word, name or file that could be looked up."""
    return FREE_TEXT in _kinds_at(_shape(path))


def _shape(path: YamlPath) -> YamlPath:
    # All entries of a list are of one kind.
    return tuple(0 if isinstance(step, int) else step for step in path)


@functools.lru_cache(maxsize=1024)
def _kinds_at(path: YamlPath) -> tuple[Any, ...]:
    kinds: tuple[Any, ...] = (StoryboardModel,)
    for step in path:
        kinds = tuple(inner for kind in kinds for inner in _kinds_below(kind, step))
    return kinds


def _kinds_below(kind: Any, step: str | int) -> Iterator[Any]:
    """Yield every kind of value that may stand at a key or a position of a value of this kind."""
    if _is_model(kind):
        yield from _kinds(_hints(kind).get(str(step)))
    elif get_origin(kind) is list and isinstance(step, int):
        yield from _kinds(get_args(kind)[0])
    elif get_origin(kind) is dict:
        yield from _kinds(get_args(kind)[1])


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the kinds of value that an annotation stands for: models, lists, dicts, other types, and `FREE_TEXT`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        kind, *remarks = get_args(annotation)
        yield from _kinds(kind)
        for remark in remarks:
            if remark == FREE_TEXT:
                yield FREE_TEXT
            # What stands for a map in its short form.
            elif isinstance(remark, BeforeValidator) and _is_type(remark.json_schema_input_type):
                yield from _kinds(remark.json_schema_input_type)
    elif origin in (Union, types.UnionType):
        for kind in get_args(annotation):
            yield from _kinds(kind)
    else:
        yield annotation


@functools.cache
def _hints(model: type[BaseModel]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    # By the keys as they are written: Python has other uses for some of them.
    return {field.alias or name: hints[name] for name, field in model.model_fields.items()}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_type(value: Any) -> bool:
    return isinstance(value, type) or get_origin(value) is not None
