"""Answers as HTTP: whole, broken off in the middle, or none at all."""

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pipelines.endpoints.dialects.flux import headers_of
from pipelines.server.answers import ApiError, ServedAnswer


def response_of(answer: ServedAnswer) -> Response:
    """Return an answer with its headers; one that breaks off where it is shorter than it announces."""
    response = Response if answer.announced_bytes is None else _TruncatedResponse
    made = response(answer.body, headers=headers_of(answer.bill), media_type=answer.media_type)
    if answer.announced_bytes is not None:
        made.headers["Content-Length"] = str(answer.announced_bytes)
    return made


def error_response(error: ApiError) -> JSONResponse:
    """Return an error in the API's own form."""
    return JSONResponse({"error": str(error)}, error.status, error.headers)


class _TruncatedResponse(Response):
    """An answer that promises a whole image and breaks off in the middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the part of the image that there is."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        # More is announced, and then the call is over: the server can only close the connection.
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class NoResponse(Response):
    """The lack of an answer, where the connection is gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""
