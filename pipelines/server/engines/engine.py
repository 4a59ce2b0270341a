"""Engine: what makes the images of the served API."""

from collections.abc import Mapping
from typing import Protocol

from pipelines.endpoints.requests import ImageRequest
from pipelines.server.answers import ServedAnswer


class Engine(Protocol):
    """Makes images. It is opened, and closed, in the event loop of the server."""

    async def __aenter__(self) -> "Engine":
        """Get ready for requests."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of what was opened."""
        ...

    async def generate(self, request: ImageRequest) -> ServedAnswer:
        """ServedAnswer a request.

        Raises:
            ApiError: it is answered with an error of the API.
            UnansweredError: it is not answered.
        """
        ...

    async def figures(self) -> Mapping[str, object]:
        """Return the figures of `GET /_stats` that it keeps itself, in place of those of the server."""
        ...
