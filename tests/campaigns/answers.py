"""The answers of a hostile seller, and the consequence of each, written down a second time.

Source of the consequences: flux-api.md, docs/endpoints.md and docs/money.md; no line of the client's code.
"""

import base64
import functools
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from PIL import Image

from tests.campaigns.book import SIZES, price_usd, tiles_of
from tests.campaigns.raw_server import Header, Reply, http_answer

FREE = Decimal(0)
# Longer than a client of these campaigns waits for a byte.
SILENCE_S = 60


class Cost(Enum):
    """The cost of an attempt as its row must have it."""

    # To the last digit as the answer states it.
    STATED = "stated"
    # Empty: it may have been billed.
    UNKNOWN = "unknown"
    # Zero: answers of this kind are never billed.
    NOTHING = "nothing"


class Tries(Enum):
    """The bound on requests for one prompt that are all answered in this way."""

    # No second one of this prompt, whatever happened.
    ONCE = "once"
    # As often as a prompt may be refused.
    REFUSALS = "refusals"
    # As often as what may have been billed may be sent again.
    RESENDS = "resends"
    # As often in a row as an endpoint may say that it is too much.
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; `number` is its place among all requests."""

    prompt: str
    steps: int
    aspect: str
    number: int

    @property
    def size(self) -> tuple[int, int]:
        """The size that was asked for."""
        return SIZES[self.aspect]

    @property
    def usd(self) -> Decimal:
        """The price of what was asked for."""
        return price_usd(tiles_of(self.size), self.steps)


@dataclass(frozen=True, slots=True)
class AnswerKind:
    """A kind of answer, and its consequence.

    Attributes:
        name: the seller's own.
        reply: makes the answer to a request.
        status, http_status: of the row.
        cost: of the row.
        tries: how often one prompt may be answered so.
        exit_code: of a run of one frame that is always answered so.
        billed_usd: what the seller charges; None for the price of what was asked.
        stated_usd: the cost that it states, where that is another.
        lies: whether the price list contradicts it.
    """

    name: str
    reply: Callable[[Asked], Reply]
    status: str
    http_status: str
    cost: Cost
    tries: Tries
    exit_code: int
    billed_usd: Decimal | None = None
    stated_usd: Decimal | None = None
    lies: bool = False

    @property
    def answered(self) -> bool:
        """Whether a whole status line comes."""
        return self.http_status != ""

    def billed(self, asked: Asked) -> Decimal:
        """Return what the seller charges."""
        return asked.usd if self.billed_usd is None else self.billed_usd

    def row_cost(self, asked_usd: Decimal) -> Decimal | None:
        """Return the cost that the row must have."""
        if self.cost is Cost.STATED:
            return asked_usd if self.stated_usd is None else self.stated_usd
        return None if self.cost is Cost.UNKNOWN else FREE


@functools.cache
def _picture(kind: str, size: tuple[int, int], *, flat: bool = False) -> bytes:
    data = io.BytesIO()
    picture = Image.new("RGB", size, (20, 90, 120))
    if not flat:
        picture.paste((240, 200, 40), (size[0] // 3, size[1] // 3, size[0] // 2, size[1]))
    picture.save(data, kind)
    return data.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(words: str, size: tuple[int, int] = (64, 48), *, flat: bool = False) -> bytes:
    """Return a PNG that no other words have."""
    whole = _picture("PNG", size, flat=flat)
    # After the signature and IHDR.
    return whole[:33] + png_chunk(b"tEXt", b"prompt\0" + words.encode()) + whole[33:]


def jpeg(words: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a JPEG that no other words have."""
    whole, comment = _picture("JPEG", size), words.encode()
    return whole[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + whole[2:]


def noise_png(size: tuple[int, int]) -> bytes:
    """Return a PNG whose checksums are right and whose pixels are noise."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", b"no zlib at all" * 9)
        + png_chunk(b"IEND", b"")
    )


def bill(asked: Asked, *, usd: Decimal | None = None, size: tuple[int, int] | None = None) -> list[Header]:
    """Return the documented headers; by default what was asked is what was made."""
    made, cost = size or asked.size, asked.usd if usd is None else usd
    tiles = tiles_of(made)
    return [
        ("X-Cost-USD", f"{cost:f}"),
        ("X-Cost-THB", f"{cost * 35:.4f}"),
        ("X-Neurons-Used", f"{tiles * Decimal('4.8') + asked.steps * Decimal('9.6')}"),
        ("X-Image-Width", str(made[0])),
        ("X-Image-Height", str(made[1])),
        ("X-Steps", str(asked.steps)),
        ("X-Tiles", str(tiles)),
        ("X-Model", "flux-1-schnell"),
    ]


def without(headers: Iterable[Header], *names: str) -> list[Header]:
    """Return headers without some of them."""
    return [(name, value) for name, value in headers if name not in names]


def image(
    asked: Asked, *, status: int | str = 200, headers: list[Header] | None = None, body: bytes | None = None
) -> Reply:
    """Return an answer with a picture, by default a whole one with its bill."""
    words = f"{asked.prompt} {asked.number}"
    stated = bill(asked) if headers is None else headers
    return Reply(http_answer(status, [*stated, ("Content-Type", "image/png")], png(words) if body is None else body))


def error(status: int, words: str, *more: Header) -> Callable[[Asked], Reply]:
    """Return a maker of errors as the published Worker writes them."""
    body = json.dumps({"error": words, "stack": "at fetch (worker.js:7)"}).encode()
    return lambda _: Reply(http_answer(status, [("Content-Type", "application/json"), *more], body))


def page(status: int, *more: Header, words: str = "<html>Bad gateway</html>") -> Callable[[Asked], Reply]:
    """Return a maker of pages of something that stands before the API."""
    return lambda _: Reply(http_answer(status, [("Content-Type", "text/html"), *more], words.encode()))


def _kept() -> Iterator[AnswerKind]:
    def kept(name: str, reply: Callable[[Asked], Reply], cost: Cost = Cost.STATED, http: int = 200) -> AnswerKind:
        return AnswerKind(name, reply, "ok", str(http), cost, Tries.ONCE, 0)

    yield kept("a PNG", image)
    yield kept("a JPEG called PNG", lambda a: image(a, body=jpeg(f"{a.prompt} {a.number}")))
    yield kept("another image for the same prompt", lambda a: image(a, body=png(f"not it {a.number}", (48, 64))))
    yield kept("the same bytes for all", lambda a: image(a, body=png("always the same")))
    yield kept("one flat colour", lambda a: image(a, body=png(f"{a.prompt} {a.number}", flat=True)))
    yield kept("after many 100s", lambda a: Reply(b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + image(a).data))
    for http in (201, 203, 206, 299):
        yield kept(f"{http} with its cost", lambda a, http=http: image(a, status=http), http=http)  # type: ignore[misc]
        bare = functools.partial(_without_cost, status=http)
        yield kept(f"{http} without a cost", bare, Cost.UNKNOWN, http)
    yield kept("no bill at all", lambda a: image(a, headers=[]), Cost.UNKNOWN)
    for name, value in (("X-Tiles", "-4"), ("X-Neurons-Used", "9" * 40), ("X-Steps", "\u0664"), ("X-Tiles", "1e3")):
        odd = functools.partial(_with_header, name=name, value=value)
        yield kept(f"{name} {value[:9]!a}", odd)


def _without_cost(asked: Asked, *, status: int = 200) -> Reply:
    return image(asked, status=status, headers=without(bill(asked), "X-Cost-USD"))


def _with_header(asked: Asked, *, name: str, value: str | bytes) -> Reply:
    return image(asked, headers=[*without(bill(asked), name), (name, value)])


# What stands in X-Cost-USD where no cost can be read.
_NO_COSTS: tuple[str | bytes, ...] = (
    "$0.000652", "0,000652", "0.000652 USD", "-1", "-0.000652", "+0.000652", "NaN", "sNaN", "Infinity", "inf", "",
    "1e-999999", "1e999999", "9" * 10_000, "0." + "0" * 10_000 + "1", "0x1", "1_000", "1.2.3", "999999.5", "free",
    "null", "\u0660.\u0660\u0660\u0661", b"0.000652\x07", b"\x1b[31m0.000652", b"\xff\xfe", "0.000652, 0.000652",
)  # fmt: skip
# What stands there where one can, and which.
_COSTS = (
    ("3.22E-4", "0.000322", False),
    ("322e-6", "0.000322", False),
    ("0.00032200", "0.000322", False),
    # A float's noise, far below what any account is kept in.
    ("0.00032200000000000003", "0.000322", False),
    ("1000", "1000", True),
    ("0.000001", "0.000001", True),
)


def _odd_costs() -> Iterator[AnswerKind]:
    for number, text in enumerate(_NO_COSTS):
        odd = functools.partial(_with_header, name="X-Cost-USD", value=text)
        name = f"cost {number}: {text[:12]!a}"
        yield AnswerKind(name, odd, "ok", "200", Cost.UNKNOWN, Tries.ONCE, 0)
    for text, usd, lies in _COSTS:
        odd, cost = functools.partial(_with_header, name="X-Cost-USD", value=text), Decimal(usd)
        yield AnswerKind(f"cost {text!a}", odd, "ok", "200", Cost.STATED, Tries.ONCE, 0, cost, cost, lies)
    yield AnswerKind("two costs", _two_costs, "ok", "200", Cost.UNKNOWN, Tries.ONCE, 0)


def _two_costs(asked: Asked) -> Reply:
    return image(asked, headers=[*bill(asked), ("X-Cost-USD", "0.000001")])


def _unusable() -> Iterator[AnswerKind]:
    def unusable(name: str, reply: Callable[[Asked], Reply], cost: Cost = Cost.STATED, http: int = 200) -> AnswerKind:
        return AnswerKind(name, reply, "unusable", str(http), cost, Tries.RESENDS, 4)

    def body(name: str, data: Callable[[Asked], bytes], *more: Header) -> AnswerKind:
        return unusable(name, lambda a: image(a, headers=[*bill(a), *more], body=data(a)))

    yield body("JSON with base64", _json_image)
    yield unusable("JSON without a cost", lambda a: image(a, headers=[], body=_json_image(a)), Cost.UNKNOWN)
    yield unusable("a page as 200", page(200), Cost.UNKNOWN)
    yield body("nothing", lambda _: b"")
    yield body("gzip", lambda a: gzip.compress(png(a.prompt)), ("Content-Encoding", "gzip"))
    yield body("gzip twice", lambda a: gzip.compress(gzip.compress(png(a.prompt))), ("Content-Encoding", "gzip, gzip"))
    yield body("an encoding that is no word", lambda a: png(a.prompt), ("Content-Encoding", "\x07evil"))
    yield body("a huge picture", lambda _: _picture("PNG", (9000, 9000), flat=True))
    yield body("noise with right checksums", lambda _: noise_png((1024, 1024)))
    yield body("half a PNG", lambda a: png(a.prompt)[:-40])
    yield unusable("204 without a cost", lambda _: Reply(http_answer(204, length=-1)), Cost.UNKNOWN, 204)
    yield unusable("204 with its cost", lambda a: Reply(http_answer(204, bill(a), length=-1)), http=204)
    yield unusable("cut off", lambda a: Reply(http_answer(200, bill(a), png(a.prompt)[:-9], length=5000)))
    yield unusable("chunks of nonsense", lambda a: _chunked(a, b"zz\r\nwhat?\r\n"))
    yield unusable("a chunk that is cut off", lambda a: _chunked(a, b"fff\r\n\x89PNG"))
    yield unusable("a body without end", _endless)


def _json_image(asked: Asked) -> bytes:
    return json.dumps({"image": base64.b64encode(png(asked.prompt)).decode()}).encode()


def _chunked(asked: Asked, data: bytes) -> Reply:
    return Reply(http_answer(200, [*bill(asked), ("Transfer-Encoding", "chunked")], data, length=-1))


def _endless(asked: Asked) -> Reply:
    return Reply(http_answer(200, bill(asked), length=-1), repeated=(bytes(1 << 20), 64))


def _unanswered() -> Iterator[AnswerKind]:
    def unknown(name: str, data: bytes, *, hangs: bool = False) -> AnswerKind:
        def reply(_: Asked) -> Reply:
            return Reply(data, hangs=hangs)

        return AnswerKind(name, reply, "unknown", "", Cost.UNKNOWN, Tries.RESENDS, 4)

    yield unknown("no word", b"")
    yield unknown("silence", b"", hangs=True)
    yield unknown("half a status line", b"HTTP/1.1 20", hangs=True)
    yield unknown("a head without end", b"HTTP/1.1 200 OK\r\nX-Cost-USD: 0.000652\r\n", hangs=True)
    yield unknown("no HTTP", b"220 mail.example ESMTP\r\n")
    yield unknown("HTTP of the year 1991", b"<html>hello</html>")
    yield unknown("a status of letters", b"HTTP/1.1 two hundred\r\n\r\n")
    yield unknown("a 100 and no more", b"HTTP/1.1 100 Continue\r\n\r\n")
    yield unknown("two lengths", http_answer(200, [("Content-Length", "5")], b"12345678"))
    yield unknown("a length below zero", http_answer(200, [("Content-Length", "-1")], length=-1))
    yield unknown("a head of 200 kB", http_answer(200, [("X-Filler", "x" * 200_000)], png("lost")))


def _refused() -> Iterator[AnswerKind]:
    def free(name: str, reply: Callable[[Asked], Reply], row: tuple[str, int], tries: Tries, code: int) -> AnswerKind:
        return AnswerKind(name, reply, row[0], str(row[1]), Cost.NOTHING, tries, code, FREE)

    yield free("302 to itself", page(302, ("Location", "/")), ("rejected", 302), Tries.ONCE, 5)
    yield free("301 to nowhere", page(301, ("Location", "gopher://[")), ("rejected", 301), Tries.ONCE, 5)
    yield free("404 page", page(404), ("rejected", 404), Tries.ONCE, 5)
    yield free("407 page", page(407), ("rejected", 407), Tries.ONCE, 5)
    yield free("400", error(400, "Prompt is required"), ("rejected", 400), Tries.ONCE, 4)
    yield free("401", error(401, "Who are you?"), ("refused", 401), Tries.ONCE, 5)
    yield free("500 authentication", error(500, "Authentication error"), ("refused", 500), Tries.ONCE, 5)
    yield free("500 in its own words", error(500, "Something broke"), ("failed", 500), Tries.RESENDS, 4)
    yield free("500 as one list", error(500, "\x1b]0;owned\x07\x9b31m"), ("failed", 500), Tries.RESENDS, 4)
    yield free("408 page", page(408), ("rejected", 408), Tries.RESENDS, 4)
    for http in (502, 504, 520, 524, 599, 999):
        # Something before the API, which need not know of an image that was made.
        yield AnswerKind(f"{http} page", page(http), "failed", str(http), Cost.UNKNOWN, Tries.RESENDS, 4)
    yield AnswerKind("503 page of 64 MB", _endless_error, "failed", "503", Cost.UNKNOWN, Tries.RESENDS, 4)
    stated = functools.partial(_error_with_cost, status=500)
    yield AnswerKind("500 that states a cost", stated, "failed", "500", Cost.STATED, Tries.RESENDS, 4)
    for http in (400, 409, 422, 500, 503):
        row = ("failed" if http >= 500 else "rejected", http)
        unsafe = error(http, "AiError: 8007: Input prompt contains NSFW content.")
        yield free(f"{http} NSFW", unsafe, row, Tries.REFUSALS, 4)


def _endless_error(_: Asked) -> Reply:
    return Reply(http_answer(503, length=-1), repeated=(b"<p>" * (1 << 18), 64))


def _error_with_cost(asked: Asked, *, status: int) -> Reply:
    return Reply(http_answer(status, bill(asked), b'{"error": "It was made, and then lost"}'))


# Workers AI's numbers: the tries of a prompt, and the end of a run, whatever the status.
_NUMBERS = (
    *((number, Tries.ONCE, 5) for number in (3023, 3036, 3039, 3041, 3042, 4006, 5007, 5016, 5018, 5019, 5035)),
    *((number, Tries.ONCE, 4) for number in (3003, 3006, 5004, 5005, 5006)),
    (3030, Tries.REFUSALS, 4),
    (3040, Tries.WAITS, 4),
    *((number, Tries.RESENDS, 4) for number in (3007, 3008, 8007)),
)
_OF_THE_ACCOUNT = (3023, 3041, 5016, 5018, 5035)
_ODD_STATUSES = (400, 403, 408, 409, 418, 422, 429, 500, 502, 503, 530)


def _numbered() -> Iterator[AnswerKind]:
    for place, (number, tries, code) in enumerate(_NUMBERS):
        for http in (_ODD_STATUSES[place % len(_ODD_STATUSES)], 429, 500):
            status = "failed" if http >= 500 else "rate_limited" if http == 429 else "rejected"
            status = "refused" if number in _OF_THE_ACCOUNT else status
            for form in (f"{number}: as it is", f"AiError: {number}: deep within", None):
                words = error(http, form) if form else _coded(http, number)
                name = f"{number} at {http}, {form[:9] if form else 'as a code'}"
                yield AnswerKind(name, words, status, str(http), Cost.NOTHING, tries, code, FREE)


def _coded(status: int, number: int) -> Callable[[Asked], Reply]:
    body = json.dumps({"success": False, "errors": [{"code": number, "message": "no"}], "result": None}).encode()
    return lambda _: Reply(http_answer(status, [("Content-Type", "application/json")], body))


# None of these is a wait of more than a moment.
_NO_WAITS: tuple[str | bytes, ...] = (
    "inf", "-5", "1e309", "1e9", "NaN", "", "soon", "\uff11\uff12", "0", "0.01", "5, 7", b"\x1b[5m", "9" * 5000,
    "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Feb 2027 00:00:00 GMT", "Thu, 01 Jan 0000 00:00:00 GMT",
)  # fmt: skip
# These are longer than any run waits.
_LONG_WAITS = ("86400", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359")


def _rate_limited() -> Iterator[AnswerKind]:
    def limited(name: str, tries: Tries, *more: Header) -> AnswerKind:
        reply = error(429, "Too many requests", *more)
        return AnswerKind(name, reply, "rate_limited", "429", Cost.NOTHING, tries, 4, FREE)

    yield limited("429", Tries.WAITS)
    yield limited("429, wait twice", Tries.WAITS, ("Retry-After", "5"), ("Retry-After", "7"))
    for number, value in enumerate(_NO_WAITS):
        yield limited(f"429, wait {number}: {value[:12]!a}", Tries.WAITS, ("Retry-After", value))
    for wait in _LONG_WAITS:
        yield limited(f"429, wait {wait}", Tries.ONCE, ("Retry-After", wait))


def _wrong_models() -> Iterator[AnswerKind]:
    for number, model in enumerate(
        (b"sketch", b"\x1b]0;owned\x07", b"flux\x9b31m", "\u202eflux".encode(), b"x" * 9000)
    ):
        odd = functools.partial(_with_header, name="X-Model", value=model)
        yield AnswerKind(f"model {number}: {model[:9]!a}", odd, "unusable", "200", Cost.STATED, Tries.ONCE, 5)


ANSWERS: dict[str, AnswerKind] = {
    kind.name: kind
    for kinds in (_kept, _odd_costs, _unusable, _unanswered, _refused, _numbered, _rate_limited, _wrong_models)
    for kind in kinds()
}
# After these the run goes on.
PASSING = {name: kind for name, kind in ANSWERS.items() if kind.exit_code != 5 and kind.tries is not Tries.WAITS}
