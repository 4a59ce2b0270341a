"""The numbers of pictures in H.264 headers, read from what x264 writes, and written anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.errors import FilmError
from pipelines.film import frame_numbers
from pipelines.film.access_units import parameter_sets
from pipelines.film.encoding import encoder_arguments
from pipelines.film.frame_numbers import Numbering, read_numbering, renumbered
from pipelines.storyboard.presets import PieceKind
from tests.support.film_samples import ask_ffmpeg, timeline_of

AUD = b"\0\0\0\1\x09\xf0"


@pytest.fixture(scope="module")
def stream() -> list[bytes]:
    """Return forty pictures of a test card as x264 encodes them for a film; each but the first is a change."""
    source = ("-f", "lavfi", "-i", "testsrc=size=160x96:rate=24", "-frames:v", "40")
    encoded = ask_ffmpeg(*source, *encoder_arguments(timeline_of([1]).output, PieceKind.STILL), "-")
    return [AUD[:5] + part for part in encoded.split(AUD[:5])[1:]]


def test_it_is_known_how_x264_numbers_pictures(stream: list[bytes]) -> None:
    """In four bits and in five, after which it begins again."""
    assert read_numbering(parameter_sets(stream[0])) == Numbering(4, 5)


def test_each_picture_has_the_number_of_its_place(stream: list[bytes]) -> None:
    """So giving it that number changes nothing, and giving it another and back neither."""
    numbering = Numbering(4, 5)
    for place, picture in enumerate(stream):
        assert renumbered(picture, place, numbering) == picture
        elsewhere = renumbered(picture, place + 7, numbering)
        assert (elsewhere == picture) is (place == 0)
        assert renumbered(elsewhere, place, numbering) == picture


def test_an_unknown_way_is_an_error(stream: list[bytes]) -> None:
    """No other build's pictures are spliced by guess."""
    sequence, *others = parameter_sets(stream[0])
    # 4:4:4 is profile 244; its chroma format would be another.
    strange = sequence[:4] + b"\x00" + sequence[5:]

    with pytest.raises(FilmError, match="numbers pictures in another way"):
        read_numbering((strange, *others))


@given(st.binary(max_size=60).map(lambda unit: unit.replace(b"\5", b"\0").replace(b"\6", b"\3") + b"\x80"))
def test_start_codes_are_kept_out_and_come_back(unit: bytes) -> None:
    """Whatever bytes a header is made of."""
    escaped = frame_numbers._escaped(unit)

    assert frame_numbers._unescaped(escaped) == unit
    assert not any(code in escaped for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
