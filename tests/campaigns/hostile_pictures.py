"""Pictures that are small to send and dear to look at, or that are not what they say; and a look at each, measured.

`python -m tests.campaigns.hostile_pictures FOLDER` looks at every file in a folder, each in a process of its own, and
prints as JSON what was said of it, the processor time that it took, and the most memory that the process had.
"""

import io
import json
import os
import random
import resource
import struct
import sys
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.common.imaging import read_picture
from pipelines.endpoints.image_check import UnusablePictureError, inspect_picture
from tests.support.pictures import JPEG_MAGIC, PNG_MAGIC, png_chunk

# What the endpoint was asked for.
ASKED = Size(1344, 768)
_SIDE, _HUGE = 2024, 5792
_END = png_chunk(b"IEND", b"")


@dataclass(frozen=True, slots=True)
class HostilePicture:
    """A picture, and whether it must be refused; None where it may be drawn as well, if that is cheap."""

    name: str
    data: bytes
    refused: bool | None = True


def hostile_pictures(seed: int, *, long: bool) -> Iterator[HostilePicture]:
    """Yield one picture of each kind, and far more variants where there is time."""
    rng = random.Random(seed)
    yield from _of_many_scans(long=long)
    yield from _animations()
    yield from _of_huge_sizes()
    yield from _of_dear_chunks(long=long)
    yield from _noise(rng, rounds=40 if long else 2)
    yield from _cut_short(rng, rounds=60 if long else 3)
    yield from _lies()


def photo(size: tuple[int, int] = (320, 200)) -> Image.Image:
    """Return a picture with something on every row."""
    width, height = size
    grain = np.random.default_rng(3).integers(0, 40, (height, width, 3))
    slope = np.linspace(0, 200, width)[None, :, None]
    return Image.fromarray((grain + slope).astype(np.uint8))


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture's file."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def png(
    size: tuple[int, int], rows: bytes, *, depth: int = 8, colour: int = 2, interlace: int = 0, more: bytes = b""
) -> bytes:
    """Return a PNG of any header around any compressed rows, its checksums right."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace))
    return PNG_MAGIC + header + more + png_chunk(b"IDAT", rows) + _END


def flat_rows(size: tuple[int, int], bytes_a_pixel: int, *, rows: int | None = None) -> bytes:
    """Return the compressed rows of a black picture."""
    packer = zlib.compressobj(9)
    row = bytes(1 + size[0] * bytes_a_pixel)
    return b"".join(packer.compress(row) for _ in range(size[1] if rows is None else rows)) + packer.flush()


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """Return a JPEG with segments put in before its own."""
    return jpeg[:2] + segments + jpeg[2:]


def repeated_scans(jpeg: bytes, times: int) -> bytes:
    """Return a progressive JPEG whose last scan is there so many times more."""
    last, end = jpeg.rindex(b"\xff\xda"), len(jpeg) - 2
    return jpeg[:end] + jpeg[last:end] * times + jpeg[end:]


def _of_many_scans(*, long: bool) -> Iterator[HostilePicture]:
    for side in (_SIDE, _HUGE) if long else (_SIDE,):
        flat = saved(Image.new("RGB", (side, side), (10, 200, 30)), "JPEG", progressive=True, quality=50)
        for times in (25, 200, 2000, 20_000) if long else (25, 2000):
            yield HostilePicture(f"{times} more scans of {side}", repeated_scans(flat, times))
    busy = saved(photo((_SIDE, _SIDE)), "JPEG", progressive=True, quality=95)
    yield HostilePicture("the most pixels that are looked at, in ten scans", busy, None)
    yield HostilePicture("the most pixels that are looked at, in 35 scans", repeated_scans(busy, 25))


def _animations() -> Iterator[HostilePicture]:
    still, other = (Image.new("RGBA", (64, 64), colour) for colour in ((1, 2, 3, 4), (9, 2, 3, 200)))
    small = saved(still, "WEBP", save_all=True, append_images=[other], lossless=True)
    # Its canvas, in VP8X: as wide and high, less one, as decoders make room for at once.
    huge = small[:24] + struct.pack("<I", _HUGE - 1)[:3] * 2 + small[30:]
    for webp in (small, huge):
        yield HostilePicture(f"animated WebP of {len(webp)} bytes", webp)
        yield HostilePicture("animated WebP that denies it", webp[:20] + b"\x10" + webp[21:])
    yield HostilePicture("animated PNG", saved(photo(), "PNG", save_all=True, append_images=[photo().rotate(180)]))
    yield HostilePicture("animated GIF", saved(photo(), "GIF", save_all=True, append_images=[photo().rotate(180)]))


def _of_huge_sizes() -> Iterator[HostilePicture]:
    for size in ((_HUGE, _HUGE), (ASKED.width * 2 + 1, ASKED.height * 2), (200_000, 20), (2**31 - 1, 2**31 - 1)):
        rows = min(size[1], (256 << 20) // (3 * min(size[0], 1 << 20)))
        yield HostilePicture(f"flat PNG of {size}", png(size, flat_rows((min(size[0], 1 << 20), 0), 3, rows=rows)))
    most = (_SIDE, _SIDE)
    yield HostilePicture("16-bit RGBA of the most pixels", png(most, flat_rows(most, 8), depth=16, colour=6), False)
    yield HostilePicture(
        "1-bit grey of the most pixels", png(most, flat_rows((_SIDE // 8, _SIDE), 1), depth=1, colour=0), False
    )
    interlaced = png(most, flat_rows((_SIDE, _SIDE * 2), 8), depth=16, colour=6, interlace=1)
    yield HostilePicture("interlaced 16-bit RGBA of the most pixels", interlaced, None)
    jpeg = saved(photo(), "JPEG")
    start = jpeg.index(b"\xff\xc0") + 5
    yield HostilePicture("JPEG that claims 65,535 pixels a side", jpeg[:start] + b"\xff" * 4 + jpeg[start + 4 :])
    frame = b"\xd0\x03\x00\x9d\x01*" + struct.pack("<HH", 16383, 16383) + bytes(80)
    yield HostilePicture("WebP that claims 16,383 pixels a side", webp_of(b"VP8 ", frame))
    lossless = b"\x2f" + struct.pack("<I", 0x3FFF | 0x3FFF << 14) + bytes(80)
    yield HostilePicture("lossless WebP that claims 16,384 pixels a side", webp_of(b"VP8L", lossless))


def webp_of(kind: bytes, body: bytes) -> bytes:
    """Return a WebP of one chunk."""
    chunk = kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def _of_dear_chunks(*, long: bool) -> Iterator[HostilePicture]:
    sound = zlib.compress(b"".join(b"\0" + photo((64, 64)).crop((0, y, 64, y + 1)).tobytes() for y in range(64)))
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024 if long else 64)) + packer.flush()
    texts = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}
    for kind, prefix in texts.items():
        yield HostilePicture(f"{kind!r} bomb", png((64, 64), sound, more=png_chunk(kind, prefix + bomb)), False)
        many = png_chunk(kind, prefix + zlib.compress(bytes(1 << 20), 9)) * 200
        yield HostilePicture(f"200 of {kind!r}", png((64, 64), sound, more=many), False)
    yield HostilePicture("60,000 texts", png((64, 64), sound, more=png_chunk(b"tEXt", b"a\0b") * 60_000), False)
    yield HostilePicture("70,000 texts", png((64, 64), sound, more=png_chunk(b"tEXt", b"a\0b") * 70_000))
    yield HostilePicture("60,000 empty IDATs", png((64, 64), sound, more=png_chunk(b"IDAT", b"") * 60_000), False)
    yield HostilePicture("rows that inflate on and on", png((64, 64), bomb), None)
    entry = struct.pack("<HHII", 0x010E, 2, 65_000, 8)
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 5_000) + entry * 5_000
    yield HostilePicture("EXIF of 5,000 texts", png((64, 64), sound, more=png_chunk(b"eXIf", exif)), False)
    jpeg = saved(photo(), "JPEG")
    yield HostilePicture(
        "JPEG of 200 EXIFs", with_segments(jpeg, _segment(0xE1, b"Exif\0\0" + exif[:60_000]) * 200), False
    )
    yield HostilePicture("JPEG of 60,000 comments", with_segments(jpeg, _segment(0xFE, b"") * 60_000), False)
    yield HostilePicture("JPEG of 70,000 comments", with_segments(jpeg, _segment(0xFE, b"") * 70_000))
    yield HostilePicture("JPEG of a megabyte of 0xFF", with_segments(jpeg, b"\xff" * (1 << 20)), None)
    icc = _segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(60_000)) * 255
    yield HostilePicture("JPEG of 255 profiles", with_segments(jpeg, icc), False)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def _noise(rng: random.Random, *, rounds: int) -> Iterator[HostilePicture]:
    for number in range(rounds):
        noise = rng.randbytes(20_000)
        size = (64, 64)
        yield HostilePicture(f"noise {number} as the rows of a PNG", png(size, noise))
        yield HostilePicture(f"noise {number} that begins as zlib does", png(size, b"\x78\x9c" + noise))
        yield HostilePicture(f"noise {number} as filters", png(size, zlib.compress(b"\x7f" + noise[: 64 * 193])))
        jpeg = saved(photo(), "JPEG")
        scan = jpeg.index(b"\xff\xda") + 14
        yield HostilePicture(f"noise {number} as a scan", jpeg[:scan] + noise.replace(b"\xff", b"") + b"\xff\xd9")
        for magic in (PNG_MAGIC, JPEG_MAGIC, b"RIFF\x20\x4e\0\0WEBPVP8 \x14\x4e\0\0"):
            yield HostilePicture(f"noise {number} after {magic[:4]!r}", magic + noise)


def _cut_short(rng: random.Random, *, rounds: int) -> Iterator[HostilePicture]:
    """Yield pictures without their end, and with every checksum, length and end mark right."""
    size = (64, 64)
    rows = b"".join(b"\0" + photo(size).crop((0, y, 64, y + 1)).tobytes() for y in range(64))
    jpegs = {
        "JPEG": saved(photo(), "JPEG", quality=90),
        "progressive JPEG": saved(photo(), "JPEG", progressive=True, quality=90),
        "grey JPEG": saved(photo().convert("L"), "JPEG"),
        "CMYK JPEG": saved(photo().convert("CMYK"), "JPEG"),
        "JPEG with restarts": saved(photo(), "JPEG", restart_marker_blocks=4),
    }
    webps = {"WebP": saved(photo(), "WEBP"), "lossless WebP": saved(photo(), "WEBP", lossless=True)}
    for _ in range(rounds):
        kept = rng.randrange(0, len(rows))
        yield HostilePicture(f"PNG of {kept} bytes of rows", png(size, zlib.compress(rows[:kept])))
        whole = zlib.compress(rows)
        kept = rng.randrange(0, len(whole) - 8)
        yield HostilePicture(f"PNG of {kept} bytes of zlib", png(size, whole[:kept]))
        for name, jpeg in jpegs.items():
            start = jpeg.index(b"\xff\xda") + 14
            kept = rng.randrange(start, len(jpeg) - 12)
            yield HostilePicture(f"{name} of {kept} bytes", jpeg[:kept] + b"\xff\xd9")
        for name, webp in webps.items():
            body = webp[20:]
            kept = rng.randrange(30, len(body) - 60)
            yield HostilePicture(f"{name} of {kept} bytes", webp_of(webp[12:16], body[:kept]))
    interlaced = png(size, zlib.compress(bytes(6_000)), interlace=1)
    yield HostilePicture("interlaced PNG of half of its passes", interlaced)


def _lies() -> Iterator[HostilePicture]:
    """Yield pictures whose header is not theirs."""
    rows = zlib.compress(bytes(64 * (1 + 64 * 3)))
    for depth, colour in ((3, 2), (16, 3), (4, 2), (8, 1), (8, 5), (8, 7), (2, 6), (0, 0), (255, 255)):
        yield HostilePicture(
            f"PNG of depth {depth} and colour {colour}", png((64, 64), rows, depth=depth, colour=colour)
        )
    for size in ((0, 64), (64, 0), (64, 65), (65, 64), (640, 480)):
        yield HostilePicture(f"PNG that claims {size}", png(size, rows))
    small = zlib.compress(bytes(64 * 65))
    yield HostilePicture("palette PNG without a palette", png((64, 64), small, colour=3))
    for entries, refused in ((b"", None), (b"ab", None), (b"abc", None), (bytes(768), False), (bytes(771), None)):
        data = png((64, 64), small, colour=3, more=png_chunk(b"PLTE", entries))
        yield HostilePicture(f"palette of {len(entries)} bytes", data, refused)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))
    yield HostilePicture("PNG with two headers", png((64, 64), rows, more=header))
    yield HostilePicture(
        "PNG with an unknown chunk that must not be left out", png((64, 64), rows, more=png_chunk(b"CgBI", b""))
    )
    jpeg = saved(photo(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    taller = jpeg[: frame + 5] + struct.pack(">HH", 400, 320) + jpeg[frame + 9 :]
    yield HostilePicture("JPEG that claims twice its height", taller)
    for marker in (0xC3, 0xC5, 0xC9, 0xCA, 0xCB):
        yield HostilePicture(f"JPEG of kind {marker:x}", jpeg[: frame + 1] + bytes([marker]) + jpeg[frame + 2 :])
    yield HostilePicture("JPEG of 12 bits", jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :])
    # The tables of the specification stand in, which are what most writers use.
    yield HostilePicture("JPEG without tables", jpeg.replace(b"\xff\xc4", b"\xff\xe5"), None)
    yield HostilePicture("JPEG of no scan", jpeg[: jpeg.index(b"\xff\xda")] + b"\xff\xd9")
    webp = saved(photo(), "WEBP")
    yield HostilePicture("WebP that claims twice its height", webp[:26] + struct.pack("<HH", 320, 400) + webp[30:])
    yield HostilePicture("WebP of no picture", webp_of(b"EXIF", b"II*\0"))


def look(path: Path) -> dict[str, object]:
    """Look at one file as at an answer, in a process of its own, and return what that process says of itself."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            json.dump(_looked_at(path), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else {"said": "its process died", "foreign": True, "cpu_s": 0.0, "mib": 0.0}


def _looked_at(path: Path) -> dict[str, object]:
    foreign, refused = False, False
    began = _cpu_s()
    try:
        said = str(inspect_picture(path, asked=ASKED))
    except UnusablePictureError as exc:
        said, refused = str(exc), True
    except BaseException:  # noqa: BLE001 - what must not happen is looked for
        said, foreign = traceback.format_exc(), True
    took = _cpu_s() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if not refused and not foreign:
        # What was accepted must be drawn, whatever comes.
        try:
            read_picture(path)
        except BaseException:  # noqa: BLE001 - what must not happen is looked for
            said, foreign = traceback.format_exc(), True
    return {"said": said, "foreign": foreign, "refused": refused, "cpu_s": took, "mib": peak}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Look at every file of the folder that the command line names."""
    # Imported once, here, and not in each process that looks.
    import simplejpeg  # noqa: F401

    print(json.dumps({path.name: look(path) for path in sorted(Path(sys.argv[1]).iterdir())}))


if __name__ == "__main__":
    main()
