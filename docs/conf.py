"""Configuration of the site that `make docs` builds; decisions/0010-a-generator-for-the-docs.md says why Sphinx."""

import importlib.metadata
import sys
from pathlib import Path

from sphinx.application import Sphinx

# Sphinx runs this file by itself, outside of any package.
sys.path.insert(0, str(Path(__file__).parent))

from generators.pages import prepare_page
from generators.python_api import show_example_as_code

project = "storyreel"
release = importlib.metadata.version("storyreel")
html_title = f"storyreel {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
# Headings down to this level can be linked to by their text.
myst_heading_anchors = 3

# The docstrings put code between single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config"}
napoleon_use_ivar = True
# Of blocks that name no language.
highlight_language = "text"
# Two hyphens, with which autodoc begins a description, become a dash; quotes stay as they are.
smartquotes_action = "D"

html_theme = "furo"
html_static_path = ["site.css", "first-film.mp4", "first-film.jpg", "first-film.vtt"]
html_css_files = ["site.css"]
# The Markdown would be no use beside the HTML.
html_copy_source = False
html_show_copyright = False
# A browser that has opened the site from disk may not fetch the pages from which they would be cut.
html_show_search_summary = False


def setup(app: Sphinx) -> None:
    """Register what changes pages and docstrings as they are read."""
    app.connect("source-read", prepare_page)
    # Before Napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", show_example_as_code, priority=400)
