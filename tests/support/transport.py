"""What a client of endpoints is made of in tests: an endpoint, and a transport without a network."""

import httpx

from pipelines.common.settings import Settings
from pipelines.endpoints.choice import chosen_model
from pipelines.endpoints.client import Endpoint
from pipelines.endpoints.dialects.registry import dialect_at


def flux_endpoint(url: str, token: str | None = None, *, model: str | None = None, local: bool = False) -> Endpoint:
    """Return an endpoint that speaks flux."""
    asked = chosen_model(Settings(model=model or "flux-1-schnell"))
    return Endpoint(url, dialect_at(url, named="flux"), asked, token, local=local)


class AnswerTransport(httpx.MockTransport):
    """httpx's own, but for answers that are made of bytes: httpx reads those at once, and unpacks them."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the handler's answer, not read yet."""
        answer = await super().handle_async_request(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=answer.stream)
