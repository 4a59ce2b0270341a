"""A raw stream is cut into pictures wherever the pipe cut it, and holds are spliced from them."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.film.access_units import parameter_sets, read_units
from pipelines.film.copies import Copies

AUD = b"\0\0\0\1\x09\xf0"


async def units_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Write `data` to a stream in pieces, cut at the given places, and return the pictures found."""
    stream = asyncio.StreamReader()

    async def write() -> None:
        for start, end in pairwise([0, *sorted(cuts), len(data)]):
            if start < end:
                stream.feed_data(data[start:end])
            await asyncio.sleep(0)
        stream.feed_eof()

    writing = asyncio.create_task(write())
    found = [unit async for unit in read_units(stream)]
    await writing
    return found


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=9).map(lambda body: body.replace(b"\0", b"\1")), max_size=5),
    cuts=st.lists(st.integers(0, 70), max_size=9),
)
def test_pictures_are_found_however_the_pipe_cuts_them(bodies: list[bytes], cuts: list[int]) -> None:
    """Where the reads end has no say in where the pictures end."""
    units = [AUD + body for body in bodies]
    data = b"".join(units)

    found = asyncio.run(units_of(data, [cut for cut in cuts if cut <= len(data)]))

    assert found == units


def test_an_empty_stream_holds_no_picture() -> None:
    """Nothing in, nothing out."""
    assert asyncio.run(units_of(b"", [])) == []


def test_parameter_sets_are_found_among_other_units() -> None:
    """Start codes of three and four bytes count; delimiters, notes and slices do not."""
    unit = AUD + b"\0\0\0\1\x67SPS" + b"\0\0\0\1\x68PPS" + b"\0\0\1\x06note" + b"\0\0\1\x65slice"

    assert parameter_sets(unit) == (b"\x67SPS", b"\x68PPS")


@pytest.mark.parametrize(
    ("length", "stretches"),
    [(1, [b"S"]), (2, [b"Sa"]), (3, [b"Sab"]), (4, [b"Sab", b"S"]), (8, [b"Sab", b"Sab", b"Sa"])],
)
def test_a_hold_is_its_still_and_copies(length: int, stretches: list[bytes]) -> None:
    """When the copies run out, the still comes again."""
    assert list(Copies((), (b"a", b"b")).hold(b"S", length)) == stretches


def test_a_hold_without_copies_repeats_its_still() -> None:
    """Films of single video frames need no copies."""
    assert list(Copies((), ()).hold(b"S", 2)) == [b"S", b"S"]
