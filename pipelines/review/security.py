"""Access control for the review app: only the page that `storyreel review` opened may look, or spend money.

Every address begins with a token that is new at each start. A request must name this server as its host, which
turns away foreign names that were made to point here (DNS rebinding). One that changes anything must come from the page
itself, as its Origin says (OWASP, Cross-Site Request Forgery Prevention, "Verifying Origin With Standard Headers").
"""

import secrets
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address holds the token, and must not be sent to other sites.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OriginGuard:
    """ASGI middleware that passes on requests with the right token, host and origin, and refuses all others."""

    def __init__(
        self, app: ASGIApp, *, token: str, hosts: Collection[str], on_passed: Callable[[], None] = lambda: None
    ) -> None:
        """Guard an application.

        Args:
            app: the application; the token is cut off the paths that it sees.
            token: the first segment of the path of every request that is passed on.
            hosts: the values of the Host header that are accepted, `name:port`.
            on_passed: called with each request that is passed on.
        """
        self._app = app
        self._token = token
        self._hosts = hosts
        self._on_passed = on_passed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
        # Besides requests there is only the application's lifespan: no web sockets are served.
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._on_passed()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        root = f"/{self._token}"
        inner = {**scope, "path": scope["path"].removeprefix(root), "raw_path": None, "root_path": root}
        await self._app(inner, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This server is not known under that name.\n", 421)
        origin = headers.get("origin")
        # A browser sends the Origin of a page with everything that changes something; reading may come without one.
        if origin != f"http://{host}" and (origin is not None or scope["method"] not in _SAFE_METHODS):
            return PlainTextResponse("Only the cutting room's own page may send this request.\n", 403)
        token, slash, _ = scope["path"].removeprefix("/").partition("/")
        # In constant time, so that the answer's delay says nothing about how much of a guess was right.
        if not (slash and secrets.compare_digest(token.encode(), self._token.encode())):
            return PlainTextResponse(
                "This address belongs to another start of the cutting room, or to none: take the one that "
                "`storyreel review` has printed.\n",
                403,
            )
        return None
