"""The reference of the command, from click's own words."""

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from generators.markdown import code, fence, table
from pipelines.cli.main import storyreel

# click's mark of a paragraph that is to keep its lines.
_KEEP_LINES = "\b\n"
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")


def commands_reference() -> str:
    """Return a section for each subcommand: its usage, its description, its options."""
    top = click.Context(storyreel, info_name="storyreel", **storyreel.context_settings)
    listed = table(["command", "does"], ([f"[`{n}`](#storyreel-{n})", c.get_short_help_str(200)] for n, c in _sorted()))
    sections = [_section(command, click.Context(command, info_name=name, parent=top)) for name, command in _sorted()]
    return "\n".join([_options(storyreel, top), listed, *_paragraphs(storyreel.epilog or ""), *sections])


def _sorted() -> list[tuple[str, click.Command]]:
    """Return the subcommands in the order in which `storyreel --help` lists them."""
    return sorted(storyreel.commands.items())


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    words = _paragraphs(command.help or "")
    return "\n".join([f"## storyreel {command.name}\n", fence(usage, "text"), *words, _options(command, context)])


def _options(command: click.Command, context: click.Context) -> str:
    """Return a table of options; arguments stand in the usage, and in the description where they need one."""
    options = (param for param in command.get_params(context) if isinstance(param, click.Option))
    records = [record for option in options if (record := option.get_help_record(context))]
    return table(["option", "meaning"], ([code(names), _prose(meaning)] for names, meaning in records))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; of one that keeps its lines, the first is its title, the rest is code."""
    # Two that keep their lines may follow each other without an empty line.
    for paragraph in re.split(rf"\n\n|\n(?={_KEEP_LINES})", inspect.cleandoc(text)):
        if paragraph.startswith(_KEEP_LINES):
            title, _, lines = paragraph.removeprefix(_KEEP_LINES).partition("\n")
            yield f"{title}\n"
            yield fence(textwrap.dedent(lines), "sh")
        else:
            yield f"{_prose(paragraph)}\n"


def _prose(text: str) -> str:
    """Return a sentence with the options that it names as code."""
    return _OPTION.sub(lambda option: code(option[0]), text)
