"""A transport without a network whose answers can be read raw, as those of a real one."""

import httpx


class AnswerTransport(httpx.MockTransport):
    """httpx's own, but for answers that are made of bytes: httpx reads those at once, and unpacks them."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the handler's answer, not read yet."""
        answer = await super().handle_async_request(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=answer.stream)
