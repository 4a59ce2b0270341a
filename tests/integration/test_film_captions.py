"""Captions in the film, read back: by a program that reads letters, from the subtitle track, and by their pixels."""

import re
import shutil
import struct
import subprocess
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.common.lettering import typefaces
from pipelines.film.assembler import assemble_film
from pipelines.storyboard.model import CaptionStyle
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import SMALL, Picture, ask_ffmpeg, flat_frames, pictures, timeline_of

SIZE = Size(960, 540)
# By the names that Tesseract has for its languages.
READABLE = {
    "eng": "Six in the morning",
    "vie": "Đường phố Việt Nam",
    "ell": "Καλημέρα κόσμε",
    "rus": "Привет, мир",
    "heb": "שלום עולם",
    "ara": "مرحبا بالعالم",
    "hin": "नमस्ते दुनिया",
    "ben": "ওহে বিশ্ব",
    "tam": "வணக்கம் உலகம்",
    "tha": "สวัสดีชาวโลก",
    "khm": "ស្វាគមន៍",
    "kat": "გამარჯობა მსოფლიო",
    "hye": "Բարի լույս",
    "amh": "ሰላም ለዓለም",
    "jpn": "日本の港",
    "kor": "안녕하세요 세계",
    "chi_sim": "你好世界",
}
# Tesseract reads these from the left to the right in the order of their pixels, and writes them as they are spoken.
RIGHT_TO_LEFT = {"heb+eng": "עברית 123 (abc) סוף.", "ara": "كيف حالك؟"}


def captioned(*captions: str, style: CaptionStyle | None = None, size: Size = SMALL, codec: str = "h264") -> Timeline:
    """Return a film in which each caption is shown for two video frames."""
    timeline = timeline_of([2] * len(captions), size=size, codec=codec)
    holds = tuple(replace(hold, caption=text) for hold, text in zip(timeline.holds, captions, strict=True))
    return replace(timeline, holds=holds, captions=style or CaptionStyle())


def shown(folder: Path, *captions: str, share: Fraction = Fraction(1, 20)) -> list[Picture]:
    """Cut a film with these captions, of this share of its height; return a picture of each."""
    timeline = captioned(*captions, style=CaptionStyle(size=share), size=SIZE)
    frames = flat_frames(folder, ["blue"], size=SIZE) * len(captions)
    return pictures(assemble_film(timeline, frames, folder / "film.mp4").path, SIZE)[::2]


@pytest.fixture(scope="session")
def read() -> Callable[[Picture, str], str]:
    """Return a function that reads the white letters of a picture, in a language; skip the test where none can."""
    program = shutil.which("tesseract")
    if program is None:
        pytest.skip("Tesseract is not installed (Debian: apt-get install tesseract-ocr tesseract-ocr-tha ...)")

    def read_picture(picture: Picture, language: str) -> str:
        known = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=True).stdout.split()
        if lacking := set(language.split("+")).difference(known):
            pytest.skip(f"Tesseract lacks languages (Debian: apt-get install tesseract-ocr-...): {lacking}")
        # As it likes them best: black on white, and large.
        letters = Image.fromarray(255 - picture.min(axis=2))
        width, height = letters.size
        letters = letters.resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
        letters = letters.point(lambda level: 255 if level > 100 else 0)
        command = [program, "stdin", "stdout", "-l", language, "--psm", "6", "--dpi", "150"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as reader:
            assert reader.stdin is not None
            letters.save(reader.stdin, "PNG")
            reader.stdin.close()
            assert reader.stdout is not None
            return reader.stdout.read().decode()

    return read_picture


def letters_of(text: str) -> str:
    """Return the letters and digits of a text, in their order: readers put spaces and stops where they like."""
    return "".join(letter for letter in unicodedata.normalize("NFC", text) if letter.isalnum())


@pytest.mark.slow
@pytest.mark.parametrize("language", READABLE)
def test_a_caption_is_read_back_from_the_film(
    tmp_path: Path, read: Callable[[Picture, str], str], language: str
) -> None:
    """In seventeen scripts and languages, by a program that this project did not write."""
    [picture] = shown(tmp_path, READABLE[language], share=Fraction(12, 100))

    assert letters_of(read(picture, language)) == letters_of(READABLE[language])


@pytest.mark.slow
@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
def test_a_right_to_left_caption_is_read_in_its_order(
    tmp_path: Path, read: Callable[[Picture, str], str], language: str
) -> None:
    """With numbers, and English in brackets within it."""
    [picture] = shown(tmp_path, RIGHT_TO_LEFT[language], share=Fraction(12, 100))

    assert letters_of(read(picture, language)) == letters_of(RIGHT_TO_LEFT[language])


def test_two_texts_never_come_out_as_one_picture(tmp_path: Path) -> None:
    """Not either where no font has their letters."""
    texts = ["cat", "cats", "סוף.", ".סוף", "བོད", "ཡིག", "🌅", "🌄", "日", "曰", "e\u0301", "e\u0300", "1 2", "12"]

    seen = {picture.tobytes() for picture in shown(tmp_path, *texts)}

    assert len(seen) == len(texts)


def test_fonts_of_the_machine_change_nothing_that_packages_can_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty machine draws every picture to the bit as one with fonts of its own."""
    texts = list(READABLE.values())
    bare = shown(tmp_path / "bare", *texts)
    monkeypatch.setattr(typefaces, "_font_folders", lambda: [Path("/usr/share/fonts")])
    typefaces.installed.cache_clear()
    typefaces._face_for.cache_clear()

    here = shown(tmp_path / "here", *texts)

    typefaces.installed.cache_clear()
    typefaces._face_for.cache_clear()
    assert all(np.array_equal(one, other) for one, other in zip(here, bare, strict=True))


def tracks_of(film: Path) -> list[tuple[str, bool]]:
    """Return the kind of each track of an MP4 as its handler names it, and whether players show it by themselves."""
    data = film.read_bytes()
    headers = [match.start() for match in re.finditer(b"tkhd", data)]
    # In MOV files, the handlers of data come too.
    found = [data[match.start() + 8 : match.start() + 16] for match in re.finditer(b"hdlr", data)]
    handlers = [handler[4:].decode() for handler in found if not handler.startswith(b"dhlr")]
    flags = [struct.unpack(">I", data[start + 4 : start + 8])[0] for start in headers]
    return [(kind, bool(flag & 1)) for kind, flag in zip(handlers, flags, strict=False)]


@pytest.mark.parametrize("codec", ["h264", "h265", "prores"])
@pytest.mark.parametrize("burn", [True, False], ids=["burned", "track only"])
def test_players_show_a_caption_once(tmp_path: Path, codec: str, burn: bool) -> None:
    """Where it is drawn into the picture, they don't show the subtitle track unless they are told to."""
    timeline = captioned("Six in the morning", style=CaptionStyle(burn=burn), codec=codec)
    film = tmp_path / ("film.mov" if codec == "prores" else "film.mp4")

    assemble_film(timeline, flat_frames(tmp_path, ["blue"]), film)

    (picture, shows_pictures), (subtitles, shows_subtitles), _ = tracks_of(film)
    assert (picture, subtitles) == ("vide", "text" if codec == "prores" else "sbtl")
    assert (shows_pictures, shows_subtitles) == (True, not burn)


def test_a_webm_states_the_same(tmp_path: Path) -> None:
    """By its own flag, and with the language of the storyboard."""
    for burn in (True, False):
        timeline = captioned("Six", style=CaptionStyle(burn=burn, language="pt-BR"), codec="vp9")
        film = assemble_film(timeline, flat_frames(tmp_path, ["blue"]), tmp_path / f"{burn}.webm").path
        [line] = [line for line in described(film) if "Subtitle" in line]
        assert "(por)" in line
        assert ("(default)" in line) is not burn


def described(film: Path) -> list[str]:
    """Return what ffmpeg says of a film's streams."""
    return (
        ask_ffmpeg("-loglevel", "info", "-i", str(film), "-t", "0", "-f", "null", "-", stream="stderr")
        .decode()
        .splitlines()
    )


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_the_subtitle_track_says_what_was_written(tmp_path: Path, codec: str) -> None:
    """No caption is a code in it; none is lost, however short."""
    texts = ["{\\an8}top \\N <i>it</i> & <3 {x}", "שלום עולם.", "สวัสดี 🌅", "a\n\nb"]
    timeline = captioned(*texts, codec=codec)
    film = tmp_path / ("film.mp4" if codec == "h264" else "film.webm")
    assemble_film(timeline, flat_frames(tmp_path, ["blue"]) * 4, film)

    kind = ["-f", "srt"] if codec == "h264" else ["-c:s", "copy", "-f", "webvtt"]
    track = ask_ffmpeg("-i", str(film), "-map", "0:s:0", *kind, "-").decode()

    said = re.sub(r"(?m)^(WEBVTT|\d+|[\d:.,]+ --> .*)\n", "", track).replace("\u2060", "")
    for escape, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        said = said.replace(escape, character)
    assert said.strip().split("\n\n") == ["{\\an8}top \\N <i>it</i> & <3 {x}", "שלום עולם.", "สวัสดี 🌅", "a\nb"]
