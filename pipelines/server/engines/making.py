"""The choice of the engine."""

from collections.abc import Callable

from pipelines.server.config import ServerConfig
from pipelines.server.engines.drawing import DrawingEngine
from pipelines.server.engines.engine import Engine
from pipelines.server.engines.upstream import UpstreamEngine


def make_engine(config: ServerConfig, *, clock: Callable[[], float]) -> Engine:
    """Return the engine that a configuration names.

    Args:
        config: what to serve.
        clock: the time in seconds, from any start.

    Raises:
        UsageError: it cannot work as it is configured.
    """
    if config.upstream is not None:
        return UpstreamEngine(config.upstream, rate_limit=config.rate_limit, clock=clock)
    return DrawingEngine(config, clock=clock)
