"""The dialects of the seller of these campaigns, each a way to answer; written without a line of the client's code.

What the sellers' own stubs owe to a request (tests/support/sellers) is filled with what the served API makes of it.
"""

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from tests.campaigns.book import price_usd, tiles_of
from tests.support.sellers import openai_images, workers_ai
from tests.support.sellers.seller import Asked, Reply, Shop, json_reply

# What is asked for: a square, in one step.
_TILES = tiles_of((1024, 1024))
_FLUX_USD = price_usd(_TILES, steps=1)
# No link may lead there.
_LINK = "https://127.0.0.1/a-picture.png"
# One character is left over, of which no byte can be made.
_BROKEN_BASE64 = base64.b64encode(bytes(3000)).decode()[:-3]

# Where something stands in JSON.
_Place = tuple[str | int, ...]


class FormFault(StrEnum):
    """A way in which an answer in JSON goes wrong. The first is free; the picture of the others is billed."""

    NOT_SUCCESSFUL = "not-successful"
    BROKEN_BASE64 = "broken-base64"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Made:
    """What the served API answers.

    Attributes:
        status: HTTP's.
        headers: as they are sent.
        body: as much of it as was sent.
        whole: whether that is all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool

    @property
    def billed(self) -> bool:
        """Whether it is billed."""
        return "X-Cost-USD" in self.headers


class Way(Protocol):
    """A dialect as the seller speaks it."""

    @property
    def name(self) -> str:
        """What campaigns call it."""
        ...

    @property
    def path(self) -> str:
        """What follows the server's own address in the seller's."""
        ...

    @property
    def model(self) -> str:
        """What is asked for, as people name it."""
        ...

    @property
    def reserved_usd(self) -> Decimal:
        """What is set aside for a square frame of one step."""
        ...

    @property
    def basis(self) -> str:
        """What the cost of a whole answer rests on, in the ledger's word."""
        ...

    @property
    def form_faults(self) -> tuple[FormFault, ...]:
        """The faults that it has besides those of the served API."""
        ...

    @property
    def statuses_tell(self) -> bool:
        """Whether a refusal has a status of its own, and not that of a failure."""
        ...

    @property
    def refused_words(self) -> str:
        """What stands in the refusal of a prompt."""
        ...

    def due(self, asked: Asked) -> Reply:
        """Return the answer that is due, with its price; an error for what cannot be asked."""
        ...

    def reply(self, due: Reply, made: Made) -> Reply:
        """Return the answer that is due with what was made, and what is billed for it."""
        ...

    def misformed(self, due: Reply, fault: FormFault) -> Reply:
        """Return the answer that is due as it goes wrong in its form, and what is billed for it."""
        ...


@dataclass(frozen=True, slots=True)
class FluxWay:
    """The API of flux-api.md, as it is served; see `Way`."""

    name: str = "flux"
    path: str = ""
    model: str = "sketch"
    reserved_usd: Decimal = _FLUX_USD
    basis: str = "stated"
    form_faults: tuple[FormFault, ...] = ()
    statuses_tell: bool = False
    refused_words: str = "Failed to generate image"

    def due(self, asked: Asked) -> Reply:
        """Return the price alone."""
        return Reply(cost_usd=price_usd(_TILES, asked.json["steps"]))

    def reply(self, due: Reply, made: Made) -> Reply:
        """Return what was made, as it is."""
        announced = made.body if made.whole else made.body + bytes(int(made.headers["Content-Length"]) - len(made.body))
        cost_usd, sent = due.cost_usd if made.billed else None, None if made.whole else len(made.body)
        return Reply(made.status, announced, made.headers, cost_usd=cost_usd, sent=sent)

    def misformed(self, due: Reply, fault: FormFault) -> Reply:
        """Refuse: a picture has no form to go wrong in."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class JsonWay:
    """An API whose pictures stand in JSON; see `Way`.

    Attributes:
        shop: knows what is due.
        picture, link: where a picture stands in an answer, and where a link to it would.
        errors: its own for those of the served API, by their text.
        unsuccessful: an error under the status of a success.
    """

    name: str
    path: str
    model: str
    reserved_usd: Decimal
    basis: str
    refused_words: str
    shop: Shop = field(repr=False)
    picture: _Place = field(repr=False)
    link: _Place = field(repr=False)
    errors: Mapping[str, Reply] = field(repr=False)
    unsuccessful: Reply = field(repr=False)
    form_faults: tuple[FormFault, ...] = field(default=tuple(FormFault), repr=False)
    statuses_tell: bool = True

    def due(self, asked: Asked) -> Reply:
        """Return what the shop owes."""
        return self.shop.reply(asked)

    def reply(self, due: Reply, made: Made) -> Reply:
        """Return the picture that was made, the error in words of its own, or what stands between it and its client."""
        if made.status >= 400:
            error = self.errors[json.loads(made.body)["error"]]
            waits = {name: value for name, value in made.headers.items() if name == "Retry-After"}
            return replace(error, headers={**error.headers, **waits})
        if not made.billed:
            return Reply(made.status, made.body, made.headers)
        reply = _with_text(due, base64.b64encode(made.body).decode(), self.picture)
        return reply if made.whole else replace(reply, sent=len(reply.body) // 2)

    def misformed(self, due: Reply, fault: FormFault) -> Reply:
        """Return an error as a success, half of a picture's text in JSON that is whole, or a link."""
        match fault:
            case FormFault.NOT_SUCCESSFUL:
                return self.unsuccessful
            case FormFault.BROKEN_BASE64:
                return _with_text(due, _BROKEN_BASE64, self.picture)
            case FormFault.LINK:
                return _with_text(_with_text(due, "", self.picture), _LINK, self.link)


def _with_text(due: Reply, text: str, place: _Place) -> Reply:
    """Return an answer with this text in this place of its JSON."""
    body: Any = due.json
    *way, last = place
    functools.reduce(lambda holder, step: holder[step], way, body)[last] = text
    return replace(due, body=json.dumps(body).encode())


def _openai(name: str, model: str, reserved_usd: str, basis: str) -> JsonWay:
    return JsonWay(
        name,
        "/v1",
        model,
        Decimal(reserved_usd),
        basis,
        refused_words="safety system",
        shop=openai_images.OpenAIImages(),
        picture=("data", 0, "b64_json"),
        link=("data", 0, "url"),
        errors={
            "Rate limited": openai_images.error_reply(429, "Rate limit reached.", "rate_limit_exceeded"),
            "Internal server error": openai_images.error_reply(500, "The server had an error.", None, "server_error"),
            "Authentication error": openai_images.OpenAIImages().unauthorized(),
            "Failed to generate image": openai_images.error_reply(
                400, "Rejected by the safety system.", "moderation_blocked", "image_generation_user_error"
            ),
        },
        unsuccessful=json_reply(200, {"error": {"message": "Something broke", "type": "server_error", "code": None}}),
    )


FLUX = FluxWay()
CLOUDFLARE = JsonWay(
    "cloudflare",
    f"/client/v4/accounts/{workers_ai.ACCOUNT}",
    workers_ai.SCHNELL,
    # Tiles and steps in neurons; developers.cloudflare.com/workers-ai/platform/pricing.
    (_TILES * Decimal("4.8") + Decimal("9.6")) * Decimal("0.000011"),
    "stated",
    refused_words="NSFW",
    shop=workers_ai.WorkersAI(),
    picture=("result", "image"),
    link=("result", "image"),
    errors={
        "Rate limited": workers_ai.error_reply(429, 3021, "AiError: 3021: too many requests"),
        "Internal server error": workers_ai.error_reply(500, 8007, "AiError: 8007: the model failed"),
        "Authentication error": workers_ai.WorkersAI().unauthorized(),
        "Failed to generate image": workers_ai.error_reply(400, 3030, "AiError: 3030: Input prompt contains NSFW"),
    },
    unsuccessful=workers_ai.error_reply(200, 1000, "Something broke"),
)
# Of one model, answers say nothing of their cost; of the other, how many tokens were used.
OPENAI = _openai("openai", openai_images.DALL_E, "0.04", "estimated")
OPENAI_TOKENS = _openai("openai with usage", openai_images.GPT_IMAGE, "0.167", "stated")
WAYS: tuple[Way, ...] = (FLUX, CLOUDFLARE, OPENAI, OPENAI_TOKENS)
