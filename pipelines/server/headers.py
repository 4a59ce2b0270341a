"""What holds for every answer: the names of its headers as flux-api.md writes them, and whether web pages may ask."""

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.endpoints.dialects.flux import BILL_HEADERS

# Names such as X-Cost-USD, which are more than words with a capital each.
_DOCUMENTED_NAMES = {name.lower().encode(): name.encode() for name in BILL_HEADERS}


class DocumentedCase:
    """ASGI middleware that writes the names of headers as they are documented: `X-Cost-THB`, `Content-Type`.

    HTTP ignores case, and ASGI writes names in lower case; clients that search the header block as text do not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with its headers renamed."""

        async def send_renamed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [(_written(name), value) for name, value in message["headers"]]}
            await send(message)

        await self._app(scope, receive, send_renamed)


def _written(name: bytes) -> bytes:
    return _DOCUMENTED_NAMES.get(name, name.title())


def readable_by_pages(app: ASGIApp) -> ASGIApp:
    """Let web pages of every origin ask an application, and read its answers with the headers of the API.

    For an application with nothing to steal or to spend, or that asks for a token. Cookies are not asked for, so none
    are allowed.
    """
    return CORSMiddleware(
        app,
        allow_origins=["*"],
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=[*BILL_HEADERS, "Retry-After"],
        # Chromium's question before a page from elsewhere reaches this machine (Private Network Access).
        allow_private_network=True,
    )


class ClosedToPages:
    """ASGI middleware that refuses what a web page asks, for an application that spends and asks for no token.

    A browser says with each POST of a page which origin it is of (fetch.spec.whatwg.org, "Origin header"), and with a
    name of the page's own that points to this machine it is no other (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        from_page = scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"])
        await (self._refusal if from_page else self._app)(scope, receive, send)

    @property
    def _refusal(self) -> ASGIApp:
        error = "Web pages may ask only with a token: start the server with STORYREEL_SERVE_TOKEN"
        return JSONResponse({"error": error}, 403)
