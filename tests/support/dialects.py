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


def tiny_dialect(folder: Path, *, name: str = "tiny") -> contextlib.AbstractContextManager[None]:
    """Let there be the FLUX API under this name; see `another_dialect`."""
    return another_dialect(folder, _TINY.format(name=name), name=name)


@contextlib.contextmanager
def another_dialect(folder: Path, program: str, *, name: str) -> Iterator[None]:
    """Let there be a dialect, in a module of `folder` with this program, at flux's prices, while the block lasts."""
    (folder / f"{name}.py").write_text(program)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialects, "__path__", [*dialects.__path__, str(folder)])
        patch.setattr(choice, "price_list", lambda asked: price_list("flux" if asked == name else asked))
        all_dialects.cache_clear()
        try:
            yield
        finally:
            sys.modules.pop(f"{dialects.__name__}.{name}", None)
            all_dialects.cache_clear()
