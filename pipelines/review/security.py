"""Who may come in: only the page that `storyreel review` opened, so that no other web page can spend money.

Every address begins with a token of this start. A request must name this server as its host, so that a foreign name
that was made to point here (DNS rebinding) is turned away; one that changes anything must come from the page itself,
as its Origin says (OWASP, Cross-Site Request Forgery Prevention, "Verifying Origin With Standard Headers").
"""

import secrets
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address holds the token.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OriginGuard:
    """Lets requests through to an application that begin with its token, without it, and turns all others away."""

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str]) -> None:
        """Keep the door of `app`.

        Args:
            app: what is behind it.
            token: begins the path of every request that is let in.
            hosts: `name:port` under which the server may be asked.
        """
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        root = f"/{self._token}"
        inside = {**scope, "path": scope["path"].removeprefix(root), "raw_path": None, "root_path": root}
        await self._app(inside, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This server is not known under that name.\n", 421)
        origin = headers.get("origin")
        if origin != f"http://{host}" and (origin is not None or scope["method"] not in _SAFE_METHODS):
            return PlainTextResponse("Only the cutting room's own page may ask this.\n", 403)
        token, slash, _ = scope["path"].removeprefix("/").partition("/")
        if not (slash and secrets.compare_digest(token.encode(), self._token.encode())):
            return PlainTextResponse(
                "This address is of another start of the cutting room, or none at all: take the one that "
                "`storyreel review` has printed.\n",
                403,
            )
        return None
