"""Sound files to test with: every kind of them, whole, joined, tagged, cut and damaged."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tests.support.film_samples import ask_ffmpeg
from tests.support.sound_samples import RATE_HZ, Samples, tone, write_wav

# How ffmpeg writes each kind; a name's suffix says the rest.
KINDS: Mapping[str, tuple[str, ...]] = {
    "a.wav": (),
    "a.mp3": ("-b:a", "128k"),
    "vbr.mp3": ("-q:a", "4"),
    "headerless.mp3": ("-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0"),
    "a.flac": (),
    "vorbis.ogg": ("-c:a", "libvorbis", "-page_duration", "100000"),
    "opus.opus": ("-c:a", "libopus", "-page_duration", "100000"),
    "flac.ogg": ("-c:a", "flac", "-page_duration", "100000"),
    "a.m4a": ("-movflags", "+faststart"),
    "alac.m4a": ("-c:a", "alac", "-movflags", "+faststart"),
    "a.aac": (),
    "a.aiff": (),
    "a.caf": (),
    "a.mka": ("-c:a", "aac", "-cluster_time_limit", "200"),
    "a.webm": ("-c:a", "libopus", "-cluster_time_limit", "200"),
    "a.wv": (),
    "a.wma": (),
}
# The longest piece in which any of them is encoded, and what encoders add at both ends.
PIECE_S = 0.12

EARLY_HZ, LATE_HZ = 500, 1500
Damage = Callable[[bytes], bytes]


def early_and_late(seconds: float) -> Samples:
    """Return a low tone and, for the last third, a high one.

    A little noise is in both: without it, a tone is encoded in hardly any bytes, or in many, by its pitch.
    """
    tones = np.append(tone(seconds * 2 / 3, hz=EARLY_HZ), tone(seconds / 3, hz=LATE_HZ))
    return tones + np.random.default_rng(7).uniform(-0.03, 0.03, len(tones))


def sound_file(folder: Path, kind: str, samples: Samples, *, rate_hz: int = RATE_HZ) -> Path:
    """Write samples as a kind of file (see `KINDS`)."""
    file, plain = folder / kind, folder / f"{kind}.source.wav"
    write_wav(plain, samples, rate_hz=rate_hz)
    ask_ffmpeg("-y", "-i", str(plain), *KINDS[kind], str(file))
    return file


def damage(file: Path, change: Damage) -> Path:
    """Change the bytes of a file."""
    file.write_bytes(change(file.read_bytes()))
    return file


def cut(share: float) -> Damage:
    """Leave a share of the file out, at its end."""
    return lambda content: content[: round(len(content) * (1 - share))]


def zeros(share: float) -> Damage:
    """Overwrite a share of the file, a little before its middle."""

    def change(content: bytes) -> bytes:
        begin, length = len(content) * 2 // 5, round(len(content) * share)
        return content[:begin] + bytes(length) + content[begin + length :]

    return change


def without_page(content: bytes) -> bytes:
    """Leave out a page of an OGG file: each has a header of 27 bytes, of which the last counts its segments."""
    pages, begin = [], 0
    while begin < len(content):
        segments = content[begin + 27 : begin + 27 + content[begin + 26]]
        end = begin + 27 + len(segments) + sum(segments)
        pages.append(content[begin:end])
        begin = end
    return b"".join(page for number, page in enumerate(pages) if number != len(pages) // 2)


def id3v2(length: int) -> bytes:
    """Return a tag as it stands before an MP3, with `length` bytes of a picture that is none."""
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + size + bytes(length)


def tags_at_the_end(length: int = 1000) -> bytes:
    """Return the tags that players and shops add to an MP3: lyrics, an APE tag with a cover, and ID3v1."""
    lyrics = b"LYRICSBEGIN" + b"LYR00012la la la la l"
    lyrics += f"{len(lyrics):06d}LYRICS200".encode()
    ape = (2000).to_bytes(4, "little") + (length + 32).to_bytes(4, "little") + (1).to_bytes(4, "little")
    head = b"APETAGEX" + ape + b"\x00\x00\x00\xa0" + bytes(8)
    end = b"APETAGEX" + ape + b"\x00\x00\x00\x80" + bytes(8)
    return head + bytes(range(256)) * (length // 256) + bytes(length % 256) + end + lyrics + b"TAG" + bytes(125)
