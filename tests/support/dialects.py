"""A dialect more than storyreel has: one file in the folder of dialects, as for any other."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.endpoints import choice, dialects
from pipelines.endpoints.dialects.registry import all_dialects
from pipelines.endpoints.prices import price_list

# The FLUX API under another name, known by its host.
_TINY = """
from urllib.parse import urlsplit

from pipelines.endpoints.dialects.flux import FluxDialect

class TinyDialect(FluxDialect):
    def is_spoken_at(self, address):
        return urlsplit(address).hostname == "localhost"

DIALECT = TinyDialect(name="{name}")
"""


@contextlib.contextmanager
def tiny_dialect(folder: Path, *, name: str = "tiny") -> Iterator[None]:
    """Let there be a dialect of this name, in a module of `folder`, at flux's prices, while the block lasts."""
    (folder / "tiny.py").write_text(_TINY.format(name=name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialects, "__path__", [*dialects.__path__, str(folder)])
        patch.setattr(choice, "price_list", lambda asked: price_list("flux" if asked == name else asked))
        all_dialects.cache_clear()
        try:
            yield
        finally:
            sys.modules.pop(f"{dialects.__name__}.tiny", None)
            all_dialects.cache_clear()
