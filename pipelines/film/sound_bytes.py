"""What the bytes of a sound file say that ffmpeg doesn't: how many there should be, and which are no sound."""

import mmap
import os
import re
import struct
from fractions import Fraction
from pathlib import Path

# The size that a WAV states while it is not known, as when it is written to a pipe, is 0 or about this and more.
_WAV_SIZE_UNKNOWN = 0x7FFF_0000
_WAV_MAX_CHUNKS = 1000
# In the first frame of an MP3: flags, of which the lowest two say that a number of frames and one of bytes follow.
_XING = re.compile(rb"(?:Xing|Info)\0\0\0(.)....(....)", re.DOTALL)
_XING_WITHIN_BYTES = 4096
# The first frame begins less than this before its Xing header.
_XING_OFFSET_BYTES = 64
# Its size, without these ten bytes, has seven bits a byte.
_ID3V2 = re.compile(rb"ID3[\2-\4][\0-\x0f][\0-\xf0]([\0-\x7f]{4})", re.DOTALL)
_ID3V2_BYTES = 10
# The end of a tag: its size, without the head of as many bytes that it has if the flag is set.
_APE = re.compile(rb"APETAGEX.{4}(.{4}).{4}...([\0\x80])", re.DOTALL)
_APE_HEAD_BYTES = 32
# Lyrics3, the older one and the newer.
_LYRICS = re.compile(rb"LYRICSBEGIN.{0,5100}?LYRICSEND", re.DOTALL)
_LYRICS_SIZE = re.compile(rb"(\d{6})LYRICS200")
_ID3V1_BYTES = 128


def wav_share(file: Path) -> Fraction:
    """Return how much of a WAV's sound is there, as a share of what its header states; 1 where that says nothing."""
    with file.open("rb") as wav:
        riff, _, wave = struct.unpack("<4sI4s", wav.read(12).ljust(12))
        if (riff, wave) != (b"RIFF", b"WAVE"):
            return Fraction(1)
        for _ in range(_WAV_MAX_CHUNKS):
            name, size = struct.unpack("<4sI", wav.read(8).ljust(8, b"\0"))
            if name == b"data":
                there = file.stat().st_size - wav.tell()
                return Fraction(there, size) if there < size < _WAV_SIZE_UNKNOWN else Fraction(1)
            # Padded to an even size.
            wav.seek(size + size % 2, os.SEEK_CUR)
    return Fraction(1)


def is_cut_mp3(file: Path) -> bool:
    """Say whether an MP3 has less bytes than its Xing header counts."""
    with file.open("rb") as mp3:
        # A tag may stand in front; it has a cover in it, and may be large.
        tag = _ID3V2.match(mp3.read(_ID3V2_BYTES))
        begin = _ID3V2_BYTES + _seven_bits(tag[1]) if tag else 0
        mp3.seek(begin)
        xing = _XING.search(mp3.read(_XING_WITHIN_BYTES))
    if not xing or xing[1][0] & 3 != 3:
        return False
    return file.stat().st_size - begin - xing.start() + _XING_OFFSET_BYTES < int.from_bytes(xing[2])


def count_tags(file: Path) -> int:
    """Return how many bytes of a file are tags: ID3, wherever they stand, APE and Lyrics3."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        id3v2 = sum(_ID3V2_BYTES + _seven_bits(tag[1]) for tag in _ID3V2.finditer(content))
        ape = sum(
            int.from_bytes(tag[1], "little") + _APE_HEAD_BYTES * (tag[2] > b"\0") for tag in _APE.finditer(content)
        )
        lyrics = sum(len(tag[0]) for tag in _LYRICS.finditer(content))
        lyrics += sum(int(tag[1]) + len(tag[0]) for tag in _LYRICS_SIZE.finditer(content))
        id3v1 = _ID3V1_BYTES * (content[-_ID3V1_BYTES:].startswith(b"TAG"))
        # What looks like a tag by chance may state any size.
        return min(id3v2 + ape + lyrics + id3v1, len(content))


def _seven_bits(size: bytes) -> int:
    number = 0
    for byte in size:
        number = number << 7 | byte
    return number
