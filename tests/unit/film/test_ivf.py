"""Pictures get the times at which they are shown, whatever the order in which they are decoded."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.geometry import Size
from pipelines.film.access_units import is_reference, units_of_file
from pipelines.film.ivf import ivf_of

AUD = b"\0\0\0\1\x09\xf0"
KEYFRAME = AUD + b"\0\0\0\1\x67SPS" + b"\0\0\0\1\x68PPS" + b"\0\0\1\x06note" + b"\0\0\1\x65key"
REFERENCE = AUD + b"\0\0\0\1\x41reference"
BETWEEN = AUD + b"\0\0\0\1\x01between"


def read_ivf(stream: bytes) -> list[tuple[int, bytes]]:
    """Return the pictures of an IVF stream, and their times."""
    found, place = [], 32
    while place < len(stream):
        length, time = struct.unpack_from("<IQ", stream, place)
        found.append((time, stream[place + 12 : place + 12 + length]))
        place += 12 + length
    return found


def write_pieces(folder: Path, pieces: Sequence[Sequence[int]]) -> list[Path]:
    """Write pieces; each is said by how many pictures stand between two references, one number for each reference."""
    paths = [folder / f"{number}.h264" for number in range(len(pieces))]
    for path, (first, *others) in zip(paths, pieces, strict=True):
        # Behind a keyframe none is shown before it.
        path.write_bytes(KEYFRAME + b"".join(REFERENCE + between * BETWEEN for between in (first, *others)))
    return paths


def test_references_are_told_from_pictures_between_them() -> None:
    """By the first slice of each, behind any headers."""
    assert [is_reference(unit) for unit in (KEYFRAME, REFERENCE, BETWEEN, AUD)] == [True, True, False, False]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=6))
def test_each_picture_has_its_time(tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int]]) -> None:
    """None twice, none missing, each reference behind the pictures that are predicted from it."""
    folder = tmp_path_factory.mktemp("pieces")
    stream = b"".join(ivf_of(write_pieces(folder, pieces), size=Size(64, 48), fps=Fraction(24000, 1001)))

    found = read_ivf(stream)

    assert struct.unpack("<4sHH4sHHIIII", stream[:32]) == (b"DKIF", 0, 32, b"H264", 64, 48, 24000, 1001, 0, 0)
    assert sorted(time for time, _ in found) == list(range(len(found)))
    assert all(time >= place - 1 for place, (time, _) in enumerate(found))
    shown = [unit for _, unit in sorted(found, key=lambda picture: picture[0])]
    expected = [
        unit
        for piece in pieces
        for unit in (KEYFRAME, *(u for between in piece for u in (*between * [BETWEEN], REFERENCE)))
    ]
    assert shown == expected


def test_a_file_is_read_in_chunks(tmp_path: Path) -> None:
    """Pictures that are larger than one, and smaller."""
    units = [KEYFRAME + bytes([7]) * 700_000, REFERENCE, BETWEEN + bytes([9]) * 300_000]
    (tmp_path / "piece.h264").write_bytes(b"".join(units))

    assert list(units_of_file(tmp_path / "piece.h264")) == units
