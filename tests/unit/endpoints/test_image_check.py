"""Bodies are judged by their bytes: whole pictures pass, everything else is refused with the reason."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.common.imaging import MAX_PIXELS
from pipelines.common.picture_file import PictureFormat
from pipelines.endpoints.image_check import Picture, UnusablePictureError, inspect_picture
from tests.support.pictures import JPEG_MAGIC, PNG_MAGIC, WEBP_MAGIC, picture_bytes, png_chunk, write


def png_of(width: int, height: int, *, mode: int = 2) -> bytes:
    """Return a PNG whose header states a size that its few pixels do not fill."""
    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    return (
        PNG_MAGIC
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0" * 4096))
        + png_chunk(b"IEND", b"")
    )


def inspection(path: Path) -> Picture | str:
    """Return the result of an inspection: a picture, or what is wrong."""
    try:
        return inspect_picture(path)
    except UnusablePictureError as exc:
        return str(exc)


@pytest.mark.parametrize(
    ("kind", "picture_format"), [("PNG", PictureFormat.PNG), ("JPEG", PictureFormat.JPEG), ("WEBP", PictureFormat.WEBP)]
)
def test_a_whole_picture_is_recognised_and_measured(tmp_path: Path, kind: str, picture_format: PictureFormat) -> None:
    """The format comes from the bytes and the size from the pixels, width first."""
    path = write(tmp_path / "body", picture_bytes(kind, (24, 16)))

    found = inspect_picture(path)

    assert (found.format, found.size) == (picture_format, Size(24, 16))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_file_name_decides_nothing(tmp_path: Path, kind: str) -> None:
    """A JPEG labelled image/png is a JPEG."""
    path = write(tmp_path / "body.png", picture_bytes(kind))

    assert inspect_picture(path).format == {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}[kind]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png_is_usable(tmp_path: Path, mode: str) -> None:
    """Grey, palette, transparency and sixteen bits are pictures too."""
    data = io.BytesIO()
    Image.new(mode, (9, 5)).save(data, "PNG")

    found = inspect_picture(write(tmp_path / "body", data.getvalue()))

    assert (found.format, found.size) == (PictureFormat.PNG, Size(9, 5))


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>502</title>", "a web page, not an image"),
        (b"\r\n  <html>", "a web page, not an image"),
        (b'{"error": "no"}', 'JSON, not an image: {"error": "no"}'),
        ('["nö"]'.encode(), 'JSON, not an image: ["nö"]'),
        ("<title>Störung".encode("latin-1"), "a web page, not an image"),
        (b"[\x01\xa0{<", "not an image: it starts with b'[\\x01\\xa0{<'"),
        (b"<\xff\0", "not an image: it starts with b'<\\xff\\x00'"),
        (b"plain words, and more of them", "not an image: it starts with b'plain words, and'"),
        (b"\0", "not an image: it starts with b'\\x00'"),
        (b"RIFF\0\0\0\0WAVE", "not an image: it starts with b'RIFF\\x00\\x00\\x00\\x00WAVE'"),
        (b"GIF89a", "not an image: it starts with b'GIF89a'"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, body: bytes, result: str) -> None:
    """An empty body, a web page and anything else have messages of their own."""
    path = write(tmp_path / "body", body)

    assert inspection(path) == result


def test_a_png_cut_at_any_byte_is_unusable(tmp_path: Path) -> None:
    """No beginning passes for the whole, but one that lacks some of the last checksum, which guards no pixel."""
    whole = picture_bytes("PNG")
    path = tmp_path / "body"

    passed = [cut for cut in range(len(whole)) if isinstance(inspection(write(path, whole[:cut])), Picture)]

    assert passed == [len(whole) - 4, len(whole) - 3, len(whole) - 2, len(whole) - 1]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_half_a_picture_is_unusable(tmp_path: Path, kind: str) -> None:
    """The part of a JPEG or WebP that a broken connection leaves is refused."""
    data = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(data, kind)
    whole = data.getvalue()
    path = tmp_path / "body"

    passed = [cut for cut in range(3, len(whole) - 2, 37) if isinstance(inspection(write(path, whole[:cut])), Picture)]

    assert passed == []


def test_a_png_with_any_byte_flipped_is_unusable(tmp_path: Path) -> None:
    """Every chunk's checksum is held against its bytes; of the end mark, which is empty, only the name counts."""
    whole = picture_bytes("PNG")
    path = tmp_path / "body"

    passed = [
        at
        for at in range(len(whole))
        if isinstance(inspection(write(path, whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])), Picture)
    ]

    end = len(whole) - 12
    assert passed == [*range(end, end + 4), *range(end + 8, end + 12)]


def test_bytes_after_the_end_of_a_png_do_no_harm(tmp_path: Path) -> None:
    """Bytes behind IEND are no part of the picture."""
    path = write(tmp_path / "body", picture_bytes("PNG") + b"\r\ntrailing")

    assert inspect_picture(path) == Picture(PictureFormat.PNG, Size(8, 8))


def test_a_huge_png_is_refused_without_decoding(tmp_path: Path) -> None:
    """A bomb of 400 megapixels costs no memory."""
    path = write(tmp_path / "body", png_of(20_000, 20_000))
    tracemalloc.start()

    result = inspection(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result == "20000x20000 pixels, more than the 32 megapixels that are decoded"
    assert peak < 2 << 20


@pytest.mark.parametrize(("width", "height"), [(MAX_PIXELS + 1, 1), (8193, 4096), (2**31 - 1, 2**31 - 1)])
def test_one_pixel_beyond_the_bound_is_refused(tmp_path: Path, width: int, height: int) -> None:
    """The bound is on the product, whatever the shape."""
    path = write(tmp_path / "body", png_of(width, height))

    assert inspection(path) == f"{width}x{height} pixels, more than the 32 megapixels that are decoded"


@pytest.mark.parametrize(("width", "height"), [(0, 8), (8, 0)])
def test_a_picture_without_pixels_is_unusable(tmp_path: Path, width: int, height: int) -> None:
    """A size of zero is damage, not a picture."""
    path = write(tmp_path / "body", png_of(width, height))

    assert str(inspection(path)).startswith("a damaged PNG: ")


def test_a_png_with_too_few_pixels_is_unusable(tmp_path: Path) -> None:
    """Right checksums around too little data do not make a picture."""
    path = write(tmp_path / "body", png_of(256, 256))

    assert str(inspection(path)).startswith("a damaged PNG: ")


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(magic=st.sampled_from([PNG_MAGIC, JPEG_MAGIC, WEBP_MAGIC]), rest=st.binary(max_size=200))
def test_arbitrary_bytes_after_a_magic_only_ever_are_unusable(
    tmp_path_factory: pytest.TempPathFactory, magic: bytes, rest: bytes
) -> None:
    """One kind of error comes out of anything that Pillow raises."""
    path = tmp_path_factory.getbasetemp() / "arbitrary"

    result = inspection(write(path, magic + rest))

    assert isinstance(result, str | Picture)


@st.composite
def mutilated_pictures(draw: st.DrawFn) -> bytes:
    """Draw a real picture with some bytes overwritten, removed or repeated."""
    kind = draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    data = bytearray(picture_bytes(kind, (16, 16)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(3, max(3, len(data) - 1)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(data=mutilated_pictures())
def test_a_mutilated_picture_is_a_picture_or_unusable(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Damage in the middle of a real file raises nothing else either."""
    path = tmp_path_factory.getbasetemp() / "mutilated"

    result = inspection(write(path, data))

    assert isinstance(result, str | Picture)


@st.composite
def odd_pngs(draw: st.DrawFn) -> bytes:
    """Draw a PNG whose chunks have right checksums and wrong contents."""
    kinds = [b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"pHYs"]
    kinds += [b"eXIf", b"acTL", b"fcTL", b"fdAT"]
    header = struct.pack(">IIBBBBB", 8, 8, draw(st.integers(0, 16)), draw(st.integers(0, 7)), 0, 0, 0)
    chunks = draw(st.lists(st.tuples(st.sampled_from(kinds), st.binary(max_size=40)), max_size=5))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * 8 * 25))
    middle = b"".join(png_chunk(kind, data) for kind, data in chunks)
    return PNG_MAGIC + png_chunk(b"IHDR", header) + middle + pixels + png_chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=200, deadline=None)
@given(data=odd_pngs())
def test_a_png_of_odd_chunks_is_a_picture_or_unusable(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Chunks that a checksum vouches for raise nothing else either."""
    path = tmp_path_factory.getbasetemp() / "odd"

    result = inspection(write(path, data))

    assert isinstance(result, str | Picture)


def test_a_webp_that_claims_far_too_many_pixels_is_unusable(tmp_path: Path) -> None:
    """Its own header is read before any decoder is."""
    frame = b"\xd0\x03\x00\x9d\x01*" + struct.pack("<HH", 16383, 16383) + b"\0" * 80
    body = b"WEBPVP8 " + struct.pack("<I", len(frame)) + frame
    path = write(tmp_path / "bomb", b"RIFF" + struct.pack("<I", len(body)) + body)

    assert inspection(path) == "16383x16383 pixels, more than the 32 megapixels that are decoded"


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture's file."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {"compress_level": 0}), ("JPEG", {}), ("WEBP", {}), ("PNG", {})])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (12, 120, 200)])
def test_one_flat_colour_is_named(
    tmp_path: Path, kind: str, options: dict[str, object], colour: tuple[int, int, int]
) -> None:
    """Safety filters answer with such pictures; JPEG and WebP may be a digit off."""
    path = write(tmp_path / "body", saved(Image.new("RGB", (640, 360), colour), kind, **options))

    flat = inspect_picture(path).flat_colour

    assert flat is not None
    assert max(abs(a - b) for a, b in zip(bytes.fromhex(flat[1:]), colour, strict=True)) <= 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_with_anything_on_it_is_not_flat(tmp_path: Path, kind: str) -> None:
    """A single small mark is enough."""
    picture = Image.new("RGB", (640, 360))
    picture.paste((90, 90, 90), (500, 300, 516, 316))

    assert inspect_picture(write(tmp_path / "body", saved(picture, kind))).flat_colour is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("stated", "found"), [(1, False), (6, True), (9, False)])
def test_an_orientation_is_found(tmp_path: Path, kind: str, stated: int, found: bool) -> None:
    """A viewer would turn the picture; one means that it need not, and nine means nothing."""
    exif = Image.Exif()
    exif[0x0112] = stated

    path = write(tmp_path / "body", saved(Image.new("RGB", (64, 36)), kind, exif=exif))

    assert inspect_picture(path).orientation is found


@pytest.mark.parametrize(
    ("size", "refusal"),
    [
        ((400, 160), None),
        ((400, 161), "400x161 pixels, more than 4 times the 200x80 asked for"),
        ((800, 12), "800x12 pixels, a strip that fits no frame"),
    ],
)
def test_a_picture_is_bounded_by_what_was_asked_for(tmp_path: Path, size: tuple[int, int], refusal: str | None) -> None:
    """An answer of another size is fitted, one of far more pixels is refused before it is decoded."""
    path = write(tmp_path / "body", picture_bytes("PNG", size))

    if refusal is None:
        assert inspect_picture(path, asked=Size(200, 80)).size == Size(*size)
    else:
        with pytest.raises(UnusablePictureError, match=refusal):
            inspect_picture(path, asked=Size(200, 80))
