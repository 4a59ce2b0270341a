"""The choice of the engine."""

from collections.abc import Callable

from pipelines.server.config import ServerConfig
from pipelines.server.engines.drawing import DrawingEngine
from pipelines.server.engines.engine import Engine


def make_engine(config: ServerConfig, *, clock: Callable[[], float]) -> Engine:
    """Return the engine that a configuration names.

    Args:
        config: what to serve.
        clock: the time in seconds, from any start.
    """
    return DrawingEngine(config, clock=clock)
