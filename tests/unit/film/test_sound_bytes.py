"""What the bytes of a sound file say: sizes that headers state, and tags."""

from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.film.sound_bytes import count_tags, is_cut_mp3, wav_share
from tests.support.sound_damage import id3v2, tags_at_the_end

HEAD = b"RIFF\0\0\0\0WAVE"


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """Return a chunk of a WAV; it may state another size than it has."""
    return name + (len(content) if size is None else size).to_bytes(4, "little") + content


@pytest.mark.parametrize(
    ("content", "share"),
    [
        (HEAD + chunk(b"fmt ", bytes(16)) + chunk(b"data", bytes(100)), Fraction(1)),
        (HEAD + chunk(b"fmt ", bytes(16)) + chunk(b"data", bytes(75), size=100), Fraction(3, 4)),
        (HEAD + chunk(b"odd ", bytes(3)) + b"\0" + chunk(b"data", bytes(50), size=100), Fraction(1, 2)),
        (HEAD + chunk(b"data", bytes(100), size=50) + chunk(b"LIST", bytes(9)), Fraction(1)),
        (HEAD + chunk(b"data", bytes(100), size=0), Fraction(1)),
        (HEAD + chunk(b"data", bytes(100), size=0xFFFF_FFFF), Fraction(1)),
        (HEAD + chunk(b"data", bytes(100), size=0x7FFF_FFDB), Fraction(1)),
        (HEAD + chunk(b"fmt ", bytes(16)), Fraction(1)),
        (HEAD + chunk(b"none", b"") * 2000, Fraction(1)),
        (b"RF64\xff\xff\xff\xffWAVE" + chunk(b"data", bytes(9), size=0xFFFF_FFFF), Fraction(1)),
        (b"ID3", Fraction(1)),
        (b"", Fraction(1)),
    ],
    ids=[
        *("whole", "cut", "odd chunk", "more chunks", "0", "all bits", "nearly all bits", "no samples"),
        *("many chunks", "RF64", "no WAV", "empty"),
    ],
)
def test_a_wav_states_how_many_bytes_its_samples_have(tmp_path: Path, content: bytes, share: Fraction) -> None:
    """A size that stands for none says nothing, nor does a file that is no WAV."""
    file = tmp_path / "a.wav"
    file.write_bytes(content)

    assert wav_share(file) == share


def mp3(*, counted_bytes: int, flags: int = 3) -> bytes:
    """Return 1000 bytes that begin as an MP3 does, with a header that counts frames and bytes."""
    header = b"Info" + flags.to_bytes(4) + (40).to_bytes(4) + counted_bytes.to_bytes(4)
    return (b"\xff\xfb\x90\x64" + bytes(32) + header).ljust(1000, b"\xaa")


@pytest.mark.parametrize(
    ("content", "is_cut"),
    [
        (mp3(counted_bytes=1000), False),
        (mp3(counted_bytes=900), False),
        (mp3(counted_bytes=1100), True),
        (id3v2(70_000) + mp3(counted_bytes=1000), False),
        (id3v2(70_000) + mp3(counted_bytes=1100), True),
        (mp3(counted_bytes=1100, flags=1), False),
        (bytes(1000), False),
        (b"", False),
    ],
    ids=["whole", "more", "cut", "tagged", "tagged and cut", "no count of bytes", "no header", "empty"],
)
def test_an_mp3_is_cut_if_its_header_counts_more_bytes(tmp_path: Path, content: bytes, is_cut: bool) -> None:
    """A tag in front is none of them."""
    file = tmp_path / "a.mp3"
    file.write_bytes(content)

    assert is_cut_mp3(file) == is_cut


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (id3v2(500_000), b""), (b"", tags_at_the_end()), (id3v2(9), tags_at_the_end(70_000))],
    ids=["none", "before", "after", "both"],
)
def test_tags_are_counted_to_the_byte(tmp_path: Path, before: bytes, after: bytes) -> None:
    """Before a sound, after it, and between two."""
    file = tmp_path / "a.mp3"
    sound = mp3(counted_bytes=1000)
    file.write_bytes(before + sound + before + sound + after)

    assert count_tags(file) == 2 * len(before) + len(after)


def test_older_lyrics_are_a_tag(tmp_path: Path) -> None:
    """They end with a word, and state no size."""
    file = tmp_path / "a.mp3"
    lyrics = b"LYRICSBEGIN" + b"la la\r\n" * 99 + b"LYRICSEND"
    file.write_bytes(mp3(counted_bytes=1000) + lyrics)

    assert count_tags(file) == len(lyrics)
