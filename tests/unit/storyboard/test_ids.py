"""Ids are made of names in any script; none is a file of storyreel's own, and none is longer than a file's name."""

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.storyboard.format.parsers import is_id
from pipelines.storyboard.ids import complaint_about, folder_id, numbered, word_id

# The longest that `<id>-animatic.mp4` leaves of 255 bytes.
LONGEST = 242

letters_of_one_script = st.sampled_from(
    [("a", "z"), ("α", "ω"), ("а", "я"), ("ก", "ฮ"), ("अ", "ह"), ("가", "힣"), ("一", "鿿"), ("ا", "غ"), ("あ", "ん")]
).flatmap(lambda ends: st.characters(min_codepoint=ord(ends[0]), max_codepoint=ord(ends[1]), categories=["L"]))
stems = st.text(st.characters(exclude_characters="/\0"), max_size=120)


# Of a storyboard's file


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("My Film", "My-Film"),
        ("a - b", "a---b"),
        ("a+b=c", "a-b-c"),
        ("film.v2", "film.v2"),
        ("_draft", "_draft"),
        ("Überfahrt №5", "Überfahrt-numero-sign-5"),
        ("港の朝", "港の朝"),
        ("ทะเลสาบ", "ทะเลสาบ"),
        ("हिन्दी फ़िल्म", "हिन्दी-फ़िल्म"),
        ("cafe\u0301", "café"),
        ("می\u200cخواهم", "می-خواهم"),
        ("🌊", "water-wave"),
        ("☀\ufe0f and 🌧", "black-sun-with-rays-and-cloud-with-rain"),
        ("👩\u200d🚀", "woman-rocket"),
        ("1\ufe0f\u20e3", "1\u20e3"),
        ("\u0301a \u0301b", "a-b"),
        ("a\x1b[31m\u202eb", "a-31m-b"),
        ("\uf8ff", "uf8ff"),
        (os.fsdecode(b"caf\xe9"), "caf-xe9"),
        ("\u3164", "storyboard"),
        ("—!?", "storyboard"),
    ],
)
def test_a_files_name_gives_an_id(stem: str, expected: str) -> None:
    """Letters and marks as they are, symbols by their names, everything else a dash; nothing that is not seen."""
    assert folder_id(Path(f"films/{stem}.yaml")) == unicodedata.normalize("NFC", expected)


@given(stems)
def test_any_files_name_gives_a_folders_name(stem: str) -> None:
    """That every file system takes, with the longest of the files that are named after it."""
    own_id = folder_id(Path(f"{stem}.yaml"))

    assert 1 <= len(own_id.encode()) <= LONGEST
    assert own_id == own_id.strip("-.")
    assert not any(unicodedata.category(char)[0] in "CZS" and not char.isascii() for char in own_id)
    assert not set(own_id) & set(" /\\:*?\"<>|\0\n'$&;`")


@given(st.text(st.characters(max_codepoint=127, exclude_characters="/\0"), max_size=100))
def test_an_ascii_name_gives_the_id_that_it_always_gave(stem: str) -> None:
    """No folder is left behind: letters, digits, `_`, `.` and `-` stay; each run of others is a dash."""
    path = Path(f"{stem}.yaml")

    assert folder_id(path) == (re.sub(r"[^\w.-]+", "-", path.stem).strip("-.") or "storyboard")


@given(st.lists(st.text(letters_of_one_script, min_size=1, max_size=200), min_size=2, max_size=2, unique=True))
def test_names_of_different_letters_give_different_ids(names: list[str]) -> None:
    """However long they are: of what is cut off, a digest is left."""
    one, other = (folder_id(Path(f"{name}.yaml")) for name in names)

    assert (one == other) == (unicodedata.normalize("NFC", names[0]) == unicodedata.normalize("NFC", names[1]))


@pytest.mark.parametrize(
    "own_id",
    ["storyreel.db", "StoryReel.DB", "storyreel.db-wal", "storyreel.db-shm", "storyreel.db-journal",
     ".storyreel-place", ".", ".."],
)  # fmt: skip
def test_no_id_is_a_file_of_our_own(own_id: str) -> None:
    """In any capitals, since many file systems make no difference."""
    assert complaint_about(own_id) == (
        f"{own_id!r} is the name of a file of storyreel's own in the output folder; write another `id:` into the "
        "storyboard"
    )


@pytest.mark.parametrize("own_id", ["con", "NUL", "aux.v2", "prn", "com1", "LPT9", "com²"])
def test_no_id_is_a_device_on_windows(own_id: str) -> None:
    """Where the output folder may be looked at."""
    assert complaint_about(own_id) == (
        f"{own_id!r} is the name of a device on Windows, where no folder can have it; write another `id:` into the "
        "storyboard"
    )


@pytest.mark.parametrize(
    "own_id", ["storyreel", "storyreel.db2", "my-storyreel.db", "console", "com", "com10", "nul-1"]
)
def test_ids_that_only_look_like_those_are_good(own_id: str) -> None:
    """As a whole is what counts."""
    assert complaint_about(own_id) is None


# Of scenes and shots


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("old_harbor", "old_harbor"),
        ("The old Harbor!", "the-old-harbor"),
        ("Été à Nice", "ete-a-nice"),
        ("Straße", "strasse"),
        ("港", "gang"),
        ("かもめ", "kamome"),
        ("바다", "bada"),
        ("ทะเล", "thale"),
        ("समुद्र", "samudra"),
        ("Гавань", "gavan"),
        ("Объект 2", "obekt-2"),
        ("Λιμάνι", "limani"),
        ("ミナト 港", "minato-gang"),
        ("ＡＢＣ①", "abc1"),
        ("🌊 waves", "water-wave-waves"),
        ("ທະເລ", "tamaeloot"),
        ("L'été", "l-ete"),
        ("ъ", "sign"),
        ("ܐ", "alaph"),
        ("…", ""),
        ("", ""),
    ],
)
def test_a_name_in_any_script_gives_an_id_in_ascii(name: str, expected: str) -> None:
    """An id is its own; what has no word in it gives none."""
    assert word_id(name) == expected


@given(st.text(max_size=300))
def test_any_name_gives_an_id_that_the_format_takes(name: str) -> None:
    """Or none, and then something else names the scene."""
    own_id = word_id(name)

    assert own_id == "" or is_id(own_id)


@given(st.text(letters_of_one_script, min_size=1, max_size=20))
def test_letters_of_any_script_give_an_id(name: str) -> None:
    """Never nothing, for that would give all of them the same."""
    assert word_id(name)


def test_names_that_come_out_alike_are_numbered() -> None:
    """From 2, past those that are taken."""
    assert [numbered("gang", taken) for taken in ((), ("gang",), ("gang", "gang-2", "hafen"))] == [
        "gang",
        "gang-2",
        "gang-3",
    ]
