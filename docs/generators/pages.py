"""Changes to a page's Markdown before Sphinx reads it: generated text in, links that lead out of the site away."""

import re
from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx

from generators.commands import commands_reference
from generators.markdown import fence
from generators.python_api import python_reference
from generators.storyboard_format import format_reference

# By the name in their place in a page, `<!-- generated: commands -->`.
_GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands_reference,
    "storyboard format": format_reference,
    "Python API": python_reference,
    "list of decisions": lambda: fence(":hidden:\n:glob:\n\n[0-9]*", "{toctree}"),
}
# A relative link: no scheme before it, no anchor alone. An image is none.
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def prepare_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Change the Markdown of a page, which is the only item of `source`, in place."""
    page = Path(app.env.doc2path(docname))
    source[0] = _with_generated_text(_without_outside_links(source[0], page, docs=Path(app.srcdir)))


def _with_generated_text(text: str) -> str:
    for name, text_of in _GENERATED.items():
        place = f"<!-- generated: {name} -->"
        if place in text:
            text = text.replace(place, text_of())
    return text


def _without_outside_links(text: str, page: Path, *, docs: Path) -> str:
    """Keep only the text of links to folders, and to Markdown outside of `docs`: neither has a page in the site.

    Links to other files stay: Sphinx copies the file into the site.
    """

    def kept(link: re.Match[str]) -> str:
        target = (page.parent / link[2]).resolve()
        page_elsewhere = target.suffix == ".md" and not target.is_relative_to(docs)
        return link[1] if target.is_dir() or page_elsewhere else link[0]

    return _LINK.sub(kept, text)
