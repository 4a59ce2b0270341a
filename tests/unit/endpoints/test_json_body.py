"""A picture as base64 in JSON: the same file however it arrives, never a wrong picture, and bounded."""

import base64
import io
import itertools
import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.endpoints.answers import Bill, Refusal
from pipelines.endpoints.bodies import BrokenBodyError
from pipelines.endpoints.error_table import read_refusal
from pipelines.endpoints.json_body import MAX_SKELETON_BYTES, JsonBody
from tests.support.pictures import picture_bytes

PICTURE = picture_bytes("PNG", (16, 9))
BASE64 = base64.b64encode(PICTURE).decode()
BOUND = 1 << 20
KEYS = frozenset({"image", "b64_json", "url"})

# What became of a body: the file, how much of it is picture, and the JSON around that; or why it is of no use.
Taken = tuple[bytes, int, Any]


def take(*chunks: bytes, max_bytes: int = BOUND) -> Taken | str:
    """Take a body that arrives in such pieces."""
    file = io.BytesIO()
    body = JsonBody(file, max_bytes=max_bytes, keys=KEYS)
    try:
        for chunk in chunks:
            body.feed(chunk)
        around = body.close()
    except BrokenBodyError as exc:
        return str(exc)
    return file.getvalue(), body.picture_bytes, around


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """Return a body in pieces that are cut at such places."""
    bounds = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[begin:end] for begin, end in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    ("text", "around"),
    [
        ('{"image": "%s"}', {"image": ""}),
        ('{"result": {"image": "%s"}, "success": true}', {"result": {"image": ""}, "success": True}),
        ('{"data": [{"b64_json":"%s"}], "created": 1}', {"data": [{"b64_json": ""}], "created": 1}),
        (' \n{"a": {"image" : \t"%s" } }\r\n', {"a": {"image": ""}}),
        ('{"image": null, "b64_json": "%s"}', {"image": None, "b64_json": ""}),
        ('{"image": "", "b64_json": "%s"}', {"image": "", "b64_json": ""}),
        ('{"b64_json": "%s", "url": "https://x.test/"}', {"b64_json": "", "url": "https://x.test/"}),
        ('{"url": "http://x.test/", "b64_json": "%s"}', {"url": "http://x.test/", "b64_json": ""}),
        (r'{"a": "\"image\": \"iVBO\"", "image": "%s"}', {"a": '"image": "iVBO"', "image": ""}),
        (r'{"x\"image": "text", "image": "%s"}', {'x"image': "text", "image": ""}),
        ('{"image": "data:image/png;base64,%s"}', {"image": ""}),
        ('{"image": "data:image/svg+xml;charset=utf-8;base64,%s"}', {"image": ""}),
    ],
)
def test_the_picture_goes_to_the_file_and_the_rest_is_returned(text: str, around: object) -> None:
    """Whatever stands beside it, and however deep it stands."""
    assert take((text % BASE64).encode()) == (PICTURE, len(PICTURE), around)


@pytest.mark.parametrize(
    "written",
    [
        BASE64.replace("/", r"\/"),
        "".join(f"\\u{ord(letter):04x}" for letter in BASE64),
        BASE64.replace("+", r"\u002B").replace("=", r"\u003d"),
        r"\n".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76)),
        r"\r\n".join(BASE64[at : at + 61] for at in range(0, len(BASE64), 61)) + r"\r\n",
        BASE64.rstrip("="),
        "data:image\\/png;base64," + BASE64.replace("/", r"\/"),
    ],
)
@given(places=st.lists(st.integers(min_value=0, max_value=1 << 20), max_size=8))
def test_every_spelling_of_base64_is_read(written: str, places: list[int]) -> None:
    """JSON writers escape what they like; MIME's lines are broken; some leave out the padding."""
    body = f'{{"image": "{written}"}}'.encode()

    assert take(*cut(body, places)) == (PICTURE, len(PICTURE), {"image": ""})


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_padding_may_be_missing_for_every_length(left_out: int) -> None:
    """Whole, in half, or altogether."""
    for length in range(1, 9):
        padded = base64.b64encode(bytes(range(length))).decode()
        written = padded.removesuffix("=" * min(left_out, padded.count("=")))

        assert take(f'{{"image": "{written}"}}'.encode()) == (bytes(range(length)), length, {"image": ""})


NOT_BASE64 = [
    *("A", "AAAAA", "AAA A", "AA-_", "é", "null,"),
    *("AA==AA==", "A===", "=AAA", "AAAA=", "AAAA====", "AA=A"),
    *(r"AA\tAA", r"AAAA\\", r"AAAA\"", r"\u00e9", r"AAAA\u00", r"\x41AAA"),
    *("ftp://x.test/a.png", "data:text/html;base64,AAAA", "data:image/png,AAAA", "data:image/png;base64"),
    "data:image/" + "a" * 999,
]


@pytest.mark.parametrize("written", NOT_BASE64)
@given(places=st.lists(st.integers(min_value=0, max_value=2000), max_size=3))
def test_what_is_not_base64_is_told(written: str, places: list[int]) -> None:
    """Nothing is guessed of it, wherever it is cut."""
    body = f'{{"image": "{written}"}}'.encode()

    assert take(*cut(body, places)) == "JSON in which the picture is not base64"


@pytest.mark.parametrize(
    "body", [b'{"image": "what, no picture?"}', b'{"image": "AAAAA"}', b'{"image": ' + b" " * 99_999]
)
def test_what_is_no_picture_is_kept_to_be_looked_at(body: bytes) -> None:
    """It may have been paid for."""
    file = io.BytesIO()

    with pytest.raises(BrokenBodyError):
        JsonBody(file, max_bytes=BOUND).feed(body)
    assert body.startswith(file.getvalue())
    assert len(file.getvalue()) >= len(body) - len('"}')


def test_a_line_break_that_json_does_not_allow_is_not_base64() -> None:
    """Whether or not an escape stands beside it."""
    assert take(b'{"image": "AAAA\nAAAA"}') == "JSON in which the picture is not base64"
    assert take(b'{"image": "AAAA\nAA\\/A"}') == "JSON in which the picture is not base64"


@pytest.mark.parametrize(
    "body", [b'{"success": false, "errors": [{"code": 4006, "message": "used up"}]}', b'{"image": "", "n": 1}']
)
def test_where_no_picture_stands_the_file_holds_the_json(body: bytes) -> None:
    """A refusal in a picture's place is read from it."""
    assert take(body) == (body, 0, json.loads(body))


def test_a_refusal_in_the_picture_s_place_is_read() -> None:
    """As it is where the body is the picture itself."""
    body = b'{"result": null, "success": false, "errors": [{"code": 4006, "message": "used up"}]}'
    file = take(body)[0]

    found = read_refusal(file if isinstance(file, bytes) else b"", 200, Bill())

    assert found is not None
    assert found.refusal is Refusal.ALLOCATION


@given(
    raw=st.binary(min_size=1).filter(lambda raw: not raw.lstrip().startswith(b"{") and raw.strip()),
    places=st.lists(st.integers(min_value=0, max_value=1000)),
)
@example(raw=PICTURE, places=[1, 2])
@example(raw=b"\n[]", places=[1])
def test_what_is_no_json_is_written_as_it_is(raw: bytes, places: list[int]) -> None:
    """Some models answer with the picture itself."""
    assert take(*cut(raw, places)) == (raw, len(raw), None)


BODIES = st.one_of(
    st.binary().map(lambda text: b'{"image": "' + text + b'"}'),
    st.text(alphabet='A/=\\n"u2f: ,{}[]image\t').map(lambda text: ('{"image": "AAAA' + text).encode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary().map(lambda b: base64.b64encode(b).decode()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", *KEYS]) | st.text(), inner),
    ).map(lambda value: json.dumps({"result": value}).encode()),
)


@given(body=BODIES, places=st.lists(st.integers(min_value=0, max_value=2000), max_size=12))
def test_any_pieces_give_the_same(body: bytes, places: list[int]) -> None:
    """Also where the body is none that could be read."""
    assert take(*cut(body, places)) == take(body)


@given(end=st.integers(min_value=0, max_value=10_000), places=st.lists(st.integers(min_value=0, max_value=2000)))
def test_a_body_that_breaks_off_never_gives_a_picture(end: int, places: list[int]) -> None:
    """However little is missing."""
    body = json.dumps({"result": {"image": BASE64}, "success": True, "errors": []}).encode()
    part = body[: end % len(body)]

    assert isinstance(take(*cut(part, places)), str)


def test_json_beside_a_picture_is_bounded() -> None:
    """What answers say besides is short; and it is held in memory."""
    beside = b'{"a": "' + b"x" * MAX_SKELETON_BYTES + b'", "image": "AAAA"}'

    assert take(beside) == "JSON with more than 64 KiB beside a picture"
    assert take(*cut(beside, range(0, len(beside), 1000))) == "JSON with more than 64 KiB beside a picture"
    assert take(b" " * (MAX_SKELETON_BYTES + 1)) == "JSON with more than 64 KiB beside a picture"


def test_a_picture_is_bounded_as_a_body_of_its_own_is() -> None:
    """The bound is on what is written, not on its base64."""
    exact = base64.b64encode(b"x" * BOUND).decode()
    longer = base64.b64encode(b"x" * (BOUND + 1)).decode()

    assert take(f'{{"image": "{exact}"}}'.encode()) == (b"x" * BOUND, BOUND, {"image": ""})
    assert take(f'{{"image": "{longer}"}}'.encode()) == "a body of more than 1 MiB; raise max_body_mib"
    assert take(b"\xff" * (BOUND + 1)) == "a body of more than 1 MiB; raise max_body_mib"


@pytest.mark.parametrize("endless", [rb"\n", b'", "image": "', b"AAAA"])
def test_a_hundred_megabytes_of_json_stay_within_bounds(endless: bytes) -> None:
    """Neither memory nor the disk is filled with them."""
    file = io.BytesIO()
    body = JsonBody(file, max_bytes=BOUND)
    piece = endless * (65536 // len(endless))
    tracemalloc.start()

    with pytest.raises(BrokenBodyError):
        body.feed(b'{"image": "')
        for _ in range((100 << 20) // len(piece)):
            body.feed(piece)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(file.getvalue()) <= BOUND
    assert peak < 3 * BOUND


def test_a_nest_of_brackets_is_no_json() -> None:
    """Python's parser gives up on it."""
    assert take(b'{"a":' + b"[" * 60_000) == "JSON that broke off, or is none"


def test_nothing_at_all_is_no_json() -> None:
    """An empty body has neither a picture nor a word."""
    assert take() == "JSON that broke off, or is none"
