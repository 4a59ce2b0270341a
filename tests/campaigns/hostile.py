"""Mutations of good input, in the manner of coverage fuzzers: bytes flipped, cut, repeated, spliced, and bad words."""

import random
from collections.abc import Sequence

_MOST_MUTATIONS = 6
_LONGEST_CUT = 64
_MOST_REPEATS = 400
_MAX_BYTES = 200_000

BOARD_WORDS = tuple(
    word.encode()
    for word in (
        "&a [*a, *a]", "*a", "<<: *a", "!!python/object:os.system", "!!int", "- - - - ", "{{ prompt }}", "{% for x in",
        "{{ ''.__class__ }}", "{{ 9**9**9 }}", "{{ 'a' * 999999999 }}", "{{ range(10**9)|list }}", "{{ prompt.x }}",
        "{{ 1.5|round(99999999, 'ceil') }}", "{{ '%999999999d' is odd }}", "{{ 1e999 }}",
        "matrix: {a: [1, 2, 3], b: [1, 2, 3], c: [1, 2, 3]}", "frames: 999999999", "hold: 1e999s", "hold: -1",
        "usd: .nan", "0x41", "1_000", "? ", ": ", "\t", "\0", "\ufeff", "\u2028", "---\n", "...\n", "%YAML 1.1\n",
        "prompts: {0: a, 4: b}", "steps: 99999999999999999999", "aspect: 16:9", "|\n", ">\n", "'", '"', "[", "{", "]",
        "}", "#", "\n  ", "\r", "null", "~", "true", "id: ../../etc", "max_frames: 1000000", "fps: 0", "size: 0x0",
    )
)  # fmt: skip
PICTURE_WORDS = (
    b"IHDR", b"IDAT", b"IEND", b"PLTE", b"iCCP", b"tEXt", b"zTXt", b"acTL", b"fcTL", b"\x89PNG\r\n\x1a\n", b"\xff\xd8",
    b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"\0\0\0\0",
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\1\0\0", b"<html>", b"GIF89a", b"BM", b"%PDF",
)  # fmt: skip
ANSWER_WORDS = (
    b"\r\n", b"\r\n\r\n", b"\0", b"Content-Length: 99999999999", b"Content-Length: -1", b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip", b"X-Cost-USD: NaN", b"X-Cost-USD: 1e999999", b"X-Cost-USD: -1",
    b"X-Neurons-Used: 9" * 40,
    b"Retry-After: inf", b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/0.9",
    b"HTTP/1.1 200 OK", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/", b"HTTP/1.1 999 ?",
    b"\xff\xfe", b"[" * 99,
    b'{"error": null}', b'{"error": ', b'{"a":' * 200, b"ffffffff\r\n", b"0\r\n", b": :", b"X-Model: \xf0\x9f\x8c\x85",
)  # fmt: skip


def mutate(data: bytes, others: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> bytes:
    """Return `data` with a few things done to it; `others` and `words` are what it may be spliced with."""
    for _ in range(rng.randint(1, _MOST_MUTATIONS)):
        start = rng.randint(0, len(data))
        end = min(len(data), start + rng.randint(0, _LONGEST_CUT))
        match rng.randrange(6):
            case 0:
                middle = bytes(byte ^ (1 << rng.randrange(8)) for byte in data[start : start + 1])
                data = data[:start] + middle + data[start + 1 :]
            case 1:
                data = data[:start] + data[end:]
            case 2:
                data = data[:start] + data[start:end] * rng.randint(2, _MOST_REPEATS) + data[end:]
            case 3:
                other = rng.choice(others)
                cut = rng.randint(0, len(other))
                data = data[:start] + other[cut : cut + rng.randint(0, len(other))] + data[end:]
            case 4:
                data = data[:start] + rng.choice(words) + data[start:]
            case _:
                data = data[:start] + rng.choice(words) * rng.randint(1, _MOST_REPEATS) + data[end:]
        data = data[:_MAX_BYTES]
    return data
