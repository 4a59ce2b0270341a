"""The headers around every answer: their names as flux-api.md writes them, and leave for web pages to read them."""

from starlette.middleware.cors import CORSMiddleware
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

    Any page may: there is nothing here to steal or to spend. Cookies are not asked for, so none are allowed.
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
