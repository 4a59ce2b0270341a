"""The reference of the storyboard's format, from its JSON Schema: a table for each object."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generators.markdown import code, table
from pipelines.storyboard.format.schema import json_schema

Schema = Mapping[str, Any]

# A longer choice gets a section of its own.
_LONG_CHOICE = 12
# The models are named for the code; these headings are for readers.
_HEADINGS = {"Cascading": "Defaults"}
_PATTERNS = {
    r"^[a-z0-9]+([-_][a-z0-9]+)*$": "an id: lower-case letters, digits, `-` and `_` between them",
    r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|f)?$": "a time: `4s`, `500ms`, `96f`",
    r"^[0-9]{1,3}(\.[0-9]{1,3})? ?[dD][bB]$": "decibels: `12dB`",
    r"^-[0-9]{1,3}(\.[0-9]{1,3})? ?[lL][uU][fF][sS]$": "a loudness: `-16 LUFS`",
    r"^[0-9]{1,6}(\.[0-9]{1,6}|/[1-9][0-9]{0,5})?$": "a fraction",
    r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$": "a size: `1344x768`",
    r"^command:": "a program: `command: PROGRAM`",
    r"^#[0-9A-Fa-f]{6}$": "a color: `#ffcc00`",
}


def format_reference() -> str:
    """Return a section for each object of the format: its description, and a table of its keys."""
    schema = json_schema()
    pages = _FormatPages(schema["definitions"])
    objects = {"Storyboard": schema, **{pages.heading(name): pages.definitions[name] for name in _reached(schema)}}
    sections = [pages.section(heading, found) for heading, found in objects.items() if "properties" in found]
    return "\n".join([*sections, *pages.long_choices()])


@dataclass(frozen=True, slots=True)
class _FormatPages:
    """The words for a schema, given the definitions that it refers to."""

    definitions: Mapping[str, Schema]

    def heading(self, name: str) -> str:
        """Return the heading of a definition's section."""
        return _HEADINGS.get(name, name.removesuffix("Model"))

    def section(self, heading: str, found: Schema) -> str:
        """Return an object's section."""
        rows = ([code(key), self.value(value), self._meaning(value)] for key, value in found["properties"].items())
        needed = "".join(f"{sentence}\n\n" for sentence in _needed(found))
        return f"## {heading}\n\n{found['description']}\n\n{needed}{table(['key', 'value', 'meaning'], rows)}"

    def value(self, schema: Schema) -> str:
        """Say what a value may be."""
        if "$ref" in schema:
            return self._reference(schema["$ref"].rpartition("/")[2])
        for joined in ("anyOf", "oneOf", "allOf"):
            if joined in schema:
                return "; or ".join(dict.fromkeys(self.value(choice) for choice in schema[joined]))
        if "enum" in schema:
            return self._choice(schema["enum"])
        return code(schema["const"]) if "const" in schema else self._by_type(schema)

    def long_choices(self) -> Iterator[str]:
        """Yield a section for each choice that is too long for a table's cell."""
        for heading, values in self._long().items():
            yield f"## {heading}\n\n{' '.join(map(code, values))}\n"

    def _long(self) -> dict[str, Sequence[str]]:
        """Return the long choices by their headings: for `type` of a transition, `Transition type`."""
        return {
            f"{self.heading(name)} {key}": value["enum"]
            for name, definition in self.definitions.items()
            for key, value in definition.get("properties", {}).items()
            if len(value.get("enum", ())) > _LONG_CHOICE
        }

    def _choice(self, values: Sequence[str]) -> str:
        for heading, listed in self._long().items():
            if values == listed:
                return f"a [{heading.lower()}]({_anchor(heading)})"
        return " ".join(map(code, values))

    def _reference(self, name: str) -> str:
        definition = self.definitions[name]
        heading = self.heading(name)
        return f"[{heading.lower()}]({_anchor(heading)})" if "properties" in definition else self.value(definition)

    def _by_type(self, schema: Schema) -> str:
        match schema["type"]:
            case "array":
                return f"a list of {self.value(schema['items'])}"
            case "object" if "properties" in schema:
                pairs = (f"{code(key)}: {self.value(value)}" for key, value in schema["properties"].items())
                return f"a map with {', '.join(pairs)}"
            case "object":
                keys = "numbers" if "propertyNames" in schema else "names"
                return f"a map from {keys} to {self.value(schema['additionalProperties'])}"
            case "integer" | "number" as kind:
                return f"a {'whole ' if kind == 'integer' else ''}number{_bounds(schema)}"
            case "boolean":
                return "`true` `false`"
            case "string":
                return _text(schema)
            case several:
                # A scalar: text, or what YAML reads as something else and the storyboard takes as text.
                return "text" if "string" in several else " or ".join(several)

    def _meaning(self, schema: Schema) -> str:
        """Return a key's description; where it has none of its own, that of the object that it holds."""
        if "description" in schema:
            return str(schema["description"])
        return str(self.definitions[schema["$ref"].rpartition("/")[2]]["description"])


def _reached(schema: Schema) -> list[str]:
    """Return the names of the definitions in the order in which a reader meets them: object by object."""
    found: dict[str, None] = {}
    objects = [schema]
    while objects:
        names = [name for name in _references(objects.pop(0).get("properties", {})) if name not in found]
        found.update(dict.fromkeys(names))
        objects.extend(schema["definitions"][name] for name in names)
    return list(found)


def _references(node: Any) -> Iterator[str]:
    """Yield the names that a part of the schema refers to, without following them."""
    if isinstance(node, Mapping):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _references(item)


def _needed(schema: Schema) -> Iterator[str]:
    """Yield a sentence for the keys that an object must have."""
    if required := schema.get("required"):
        yield f"It needs {' and '.join(map(code, required))}."
    for joined, others in (("oneOf", ", and not both"), ("anyOf", ", or both")):
        keys = [key for choice in schema.get(joined, ()) for key in choice.get("required", ())]
        if keys:
            yield f"It needs {' or '.join(map(code, keys))}{others}."


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    lower = f"above {above}" if above is not None else f"from {least:,}" if least is not None else ""
    upper = f"to {most:,}" if most is not None else ""
    return "".join(f" {bound}" for bound in (lower, upper) if bound)


def _text(schema: Schema) -> str:
    if "pattern" not in schema:
        return "text"
    return _PATTERNS.get(schema["pattern"], f"text that matches `{schema['pattern']}`")


def _anchor(heading: str) -> str:
    return f"#{heading.lower().replace(' ', '-')}"
