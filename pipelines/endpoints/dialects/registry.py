"""The dialects by their names: each module of this folder with a `DIALECT` is one."""

import functools
import importlib
import pkgutil

from pipelines.endpoints import dialects
from pipelines.endpoints.dialects.dialect import Dialect

# Spoken where an address does not tell.
DEFAULT_DIALECT = "flux"


@functools.cache
def all_dialects() -> dict[str, Dialect]:
    """Return every dialect by its name."""
    modules = (importlib.import_module(f"{dialects.__name__}.{found.name}") for found in _modules())
    spoken = [module.DIALECT for module in modules if hasattr(module, "DIALECT")]
    return {dialect.name: dialect for dialect in spoken}


def dialect_at(address: str | None, *, named: str | None = None) -> Dialect:
    """Return the dialect of an endpoint.

    Args:
        address: the endpoint's; None for the embedded one.
        named: the dialect that somebody chose, one of those there are; None to go by the address.
    """
    known = all_dialects()
    if named is not None:
        return known[named]
    inferred = (dialect for dialect in known.values() if address and dialect.is_spoken_at(address))
    return next(inferred, known[DEFAULT_DIALECT])


def _modules() -> list[pkgutil.ModuleInfo]:
    return [found for found in pkgutil.iter_modules(dialects.__path__) if found.name != __name__.rpartition(".")[2]]
