"""What a run does for Prefect's page alone: it must not fail for that."""

import contextlib
from collections.abc import Iterator

import httpx
from prefect import get_run_logger
from prefect.exceptions import PrefectException


@contextlib.contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Log an error of Prefect's API and go on; `what` was not done then, `an artifact was not published`."""
    try:
        yield
    except (httpx.HTTPError, PrefectException) as exc:
        get_run_logger().warning("%s: %s", what, exc)
