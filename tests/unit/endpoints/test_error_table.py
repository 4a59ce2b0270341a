"""The one table of errors: Workers AI's number first, then the words, then the status; at every status."""

import pytest

from pipelines.endpoints.answers import Bill, Refusal
from pipelines.endpoints.dialects.flux import AUTHENTICATION_ERROR, GENERATION_FAILED
from pipelines.endpoints.error_table import ERROR_TABLE, ErrorText, classify_error, read_error, read_refusal

STOPS_THE_RUN = {
    3036: Refusal.ALLOCATION,
    4006: Refusal.ALLOCATION,
    3023: Refusal.CREDENTIALS,
    3041: Refusal.CREDENTIALS,
    5016: Refusal.CREDENTIALS,
    5018: Refusal.CREDENTIALS,
    5035: Refusal.CREDENTIALS,
    3039: Refusal.MODEL,
    3042: Refusal.MODEL,
    5007: Refusal.MODEL,
    5019: Refusal.MODEL,
}
# Of Cloudflare's API, before Workers AI; they stop the run too.
OF_ITS_API = {
    2001: Refusal.NOT_THIS_API,
    6003: Refusal.CREDENTIALS,
    7000: Refusal.NOT_THIS_API,
    7003: Refusal.NOT_THIS_API,
    9109: Refusal.CREDENTIALS,
    10000: Refusal.CREDENTIALS,
}
FAILS_THE_FRAME = dict.fromkeys((3003, 3006, 5004, 5005, 5006), Refusal.REJECTED)
OTHERS = {
    3030: Refusal.PROMPT,
    3040: Refusal.CAPACITY,
    3021: Refusal.RATE_LIMITED,
    3007: Refusal.SERVER,
    3008: Refusal.SERVER,
    8007: Refusal.SERVER,
}
ALL_NUMBERS = {**STOPS_THE_RUN, **OF_ITS_API, **FAILS_THE_FRAME, **OTHERS}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 408, 409, 422, 429, 500, 502, 503, 524])
@pytest.mark.parametrize("number", ALL_NUMBERS)
def test_a_number_counts_at_every_status(number: int, status: int) -> None:
    """Workers pass on what Workers AI said under statuses of their own."""
    for message in (f"{number}: words", f"AiError: {number}: words", f"Failed to generate image: {number}: words"):
        assert classify_error(status, message) is ALL_NUMBERS[number]


@pytest.mark.parametrize("number", ALL_NUMBERS)
def test_a_number_beside_the_message_counts(number: int) -> None:
    """Workers AI's own answers state it as errors[].code."""
    assert classify_error(500, "words", codes=[1000, number]) is ALL_NUMBERS[number]


OPENAI_CODES = {
    "content_policy_violation": Refusal.PROMPT,
    "moderation_blocked": Refusal.PROMPT,
    "insufficient_quota": Refusal.CREDIT,
    "billing_hard_limit_reached": Refusal.CREDIT,
    "billing_not_active": Refusal.CREDIT,
    "invalid_api_key": Refusal.CREDENTIALS,
    "model_not_found": Refusal.MODEL,
    "rate_limit_exceeded": Refusal.RATE_LIMITED,
}


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("code", OPENAI_CODES)
def test_a_code_counts_at_every_status(code: str, status: int) -> None:
    """429 is also what OpenAI answers where no waiting helps; what speaks its dialect has other statuses."""
    assert classify_error(status, "words", codes=["another", code]) is OPENAI_CODES[code]


def test_every_code_of_the_table_is_tried_here() -> None:
    """A code that is added has its meaning written down twice."""
    assert {code for row in ERROR_TABLE for code in row.codes} == set(OPENAI_CODES)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ('{"error": "no"}', ErrorText("no")),
        ('{"error": {"message": "no", "type": "t", "code": "c"}}', ErrorText("no", ("c", "t"))),
        ('{"error": {"message": "no", "type": "t", "code": null}}', ErrorText("no", ("t",))),
        ('{"error": {"message": "no", "code": 404}}', ErrorText("no", ("404",))),
        ('{"error": {"message": null, "code": 1}}', ErrorText("{'message': None, 'code': 1}", ("1",))),
        ('{"error": {"message": "7003: no", "code": "3040"}}', ErrorText("7003: no", (3040,))),
        ('{"success": false, "error": [{"code": 2001, "message": "no"}]}', ErrorText("no", (2001,))),
        ('{"errors": [{"code": 10000, "message": "a"}, {"message": "b"}]}', ErrorText("a; b", (10000,))),
        ('{"error": ["a", "b"]}', ErrorText("['a', 'b']")),
        ('{"error": null, "errors": []}', ErrorText()),
        ('{"errors": ["a"]}', ErrorText()),
        ('{"detail": "no"}', ErrorText()),
        ('{"error": [{"a": 1}, 2]}', ErrorText()),
        ("[]", ErrorText()),
        ("no", ErrorText()),
    ],
)
def test_an_error_is_read_in_each_seller_s_form(body: str, read: ErrorText) -> None:
    """Text and codes apart; what is in no such form is another program's."""
    assert read_error(body) == read


def test_every_number_of_the_table_is_tried_here() -> None:
    """A number that is added has its meaning written down twice."""
    assert {number for row in ERROR_TABLE for number in row.numbers} == set(ALL_NUMBERS)


@pytest.mark.parametrize(
    "message",
    ["request 3040 failed", "request 13040: x", "id:3040:", "at 3040:12", "worker-3040: x", "(3040): x", "3040"],
)
def test_the_same_digits_elsewhere_are_no_number(message: str) -> None:
    """They may be a request's id, a port or a line."""
    assert classify_error(500, message) is Refusal.SERVER


def test_the_first_number_that_is_known_counts() -> None:
    """Another program's number may stand before it."""
    assert classify_error(500, "Error: 1101: 4006: used up") is Refusal.ALLOCATION


@pytest.mark.parametrize("status", [400, 403, 409, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "words", ["Input prompt contains NSFW content.", "nsfw", "8007: Input prompt contains NSFW content."]
)
def test_nsfw_is_a_refused_prompt_at_every_status(words: str, status: int) -> None:
    """By the word alone, or by the number that Workers AI has for it among other things."""
    assert classify_error(status, words) is Refusal.PROMPT


def test_an_account_without_credit_is_known_by_its_words_too() -> None:
    """A server in between passes on OpenAI's words under its status, 429, and not its code."""
    words = "You exceeded your current quota, please check your plan and billing details."

    assert classify_error(429, words) is Refusal.CREDIT


def test_a_number_counts_before_the_words() -> None:
    """A prompt that an error quotes must not decide."""
    assert classify_error(500, "3040: no capacity for 'nsfw authentication error'") is Refusal.CAPACITY


@pytest.mark.parametrize("status", [400, 401, 429, 500, 502])
def test_the_words_of_the_api_count_before_the_status(status: int) -> None:
    """flux-api.md documents them under 500; Workers send them under any."""
    assert classify_error(status, AUTHENTICATION_ERROR.upper()) is Refusal.CREDENTIALS
    assert classify_error(status, f"{GENERATION_FAILED}.") is Refusal.PROMPT


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, Refusal.REJECTED),
        (409, Refusal.REJECTED),
        (413, Refusal.REJECTED),
        (422, Refusal.REJECTED),
        (401, Refusal.CREDENTIALS),
        (402, Refusal.CREDIT),
        (403, Refusal.CREDENTIALS),
        (429, Refusal.RATE_LIMITED),
        (408, Refusal.SERVER),
        (425, Refusal.SERVER),
        (301, Refusal.NOT_THIS_API),
        (404, Refusal.NOT_THIS_API),
        (405, Refusal.NOT_THIS_API),
        (500, Refusal.SERVER),
        (502, Refusal.SERVER),
        (599, Refusal.SERVER),
    ],
)
def test_without_number_and_words_the_status_decides(status: int, refusal: Refusal) -> None:
    """RFC 9110's meanings, as the API or a proxy before it would use them."""
    assert classify_error(status, "something") is refusal


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b'{"error": "4006: used up"}', Refusal.ALLOCATION),
        (b'{"success": false, "errors": [{"code": 3040, "message": "no room"}]}', Refusal.CAPACITY),
        (b'{"error": {"message": "no credit", "code": "insufficient_quota"}}', Refusal.CREDIT),
        (b'{"error": "AiError: 3030: \\u001b[31mno"}', Refusal.PROMPT),
    ],
)
def test_a_number_in_an_image_s_place_counts(body: bytes, refusal: Refusal) -> None:
    """Some endpoints answer 200 to all; what they say is stored as one printable line."""
    found = read_refusal(body, 200, Bill())

    assert found is not None
    assert found.refusal is refusal
    assert found.message.isprintable()


@pytest.mark.parametrize(
    "body",
    [b'{"image": "iVBORw0KGgo="}', b'{"error": "busy"}', b'{"error": "NSFW"}', b"4006: used up", b"", b"[" * 9999],
)
def test_anything_else_in_an_image_s_place_is_no_image(body: bytes) -> None:
    """Words of other programs may be about anything; the breaker counts them as no image."""
    assert read_refusal(body, 200, Bill()) is None
