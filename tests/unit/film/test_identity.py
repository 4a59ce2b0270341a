"""A film that would come out the same is not made again; any other is."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import FfmpegBuild
from pipelines.common.geometry import Fit, Size
from pipelines.common.lettering import layout, typefaces
from pipelines.common.lettering.typefaces import packaged
from pipelines.film.assembler import assemble_film
from pipelines.film.frame_picture import FramePicture
from pipelines.film.identity import (
    _CHUNK_BYTES,
    FilmMark,
    drafts_among,
    encoder_build,
    film_identity,
    mark_end,
    piece_name,
    read_mark,
)
from pipelines.film.segments import cut_segments
from pipelines.film.sound import mixed_sound
from pipelines.storyboard.model import (
    CaptionStyle,
    Delivery,
    Motion,
    MotionType,
    Smooth,
    SmoothMethod,
    Sound,
    SoundMix,
    Span,
    WordCaptions,
)
from pipelines.storyboard.timeline import Timeline
from tests.support.film_samples import colour_runs, flat_frames, timeline_of
from tests.support.pictures import write
from tests.support.sound_samples import NOWHERE
from tests.support.speeches import speaking, spoken

PICTURE = FramePicture(Path("a.png"), "a1")
BUILD = FfmpegBuild("7.1", "b1")
FontNames = Callable[..., str]


def test_an_unchanged_film_is_left_as_it_is(tmp_path: Path) -> None:
    """The same timeline and frames write nothing a second time, and return the same film."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])
    first = assemble_film(timeline_of([3, 4]), frames, tmp_path / "film.mp4")
    before = first.path.stat().st_mtime_ns

    second = assemble_film(timeline_of([3, 4]), frames, tmp_path / "film.mp4")

    assert second == first
    assert second.path.stat().st_mtime_ns == before


def test_a_changed_frame_time_or_quality_makes_it_again(tmp_path: Path) -> None:
    """Whatever goes into the film goes into its identity."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])
    target = tmp_path / "film.mp4"
    identities = []
    for timeline in (timeline_of([3, 4]), timeline_of([4, 3]), timeline_of([4, 3], crf=30)):
        assemble_film(timeline, frames, target)
        identities.append(read_mark(target))
    flat_frames(tmp_path / "frames", ["green", "blue"])
    os.utime(frames[0], ns=(0, 0))
    film = assemble_film(timeline_of([4, 3], crf=30), frames, target)

    assert len({*identities, read_mark(target)}) == 4
    assert colour_runs(film.path) == [("green", 4), ("blue", 3)]


def test_a_retitled_film_is_made_again(tmp_path: Path) -> None:
    """The title is in the file."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    assemble_film(timeline_of([3], title="Before"), frames, tmp_path / "film.mp4")

    film = assemble_film(dataclasses.replace(timeline_of([3]), title="After"), frames, tmp_path / "film.mp4")

    assert b"After" in film.path.read_bytes()


def test_a_file_without_identity_is_no_film_of_ours(tmp_path: Path) -> None:
    """Neither a missing file nor another program's is taken for the film."""
    (tmp_path / "other.mp4").write_bytes(b"storyreel:nonsense")

    assert (read_mark(tmp_path / "other.mp4"), read_mark(tmp_path / "none.mp4")) == (None, None)


@pytest.mark.parametrize("draft", [True, False])
def test_a_mark_is_read_wherever_it_stands(tmp_path: Path, draft: bool) -> None:
    """Across the chunks in which a long header is read; at its end; and behind the pictures."""
    mark, path = FilmMark("5e" * 32, draft), tmp_path / "film.mp4"
    text = str(mark).encode()
    assert mark == FilmMark("5e" * 32, draft=draft)
    for place in (0, *range(_CHUNK_BYTES - len(text), _CHUNK_BYTES + 1, 5), 2 * _CHUNK_BYTES - 70, 3 * _CHUNK_BYTES):
        path.write_bytes(bytes(place) + text + bytes(2 * _CHUNK_BYTES))
        assert read_mark(path) == mark
    path.write_bytes(bytes(3 * _CHUNK_BYTES))
    mark_end(path, str(mark))

    assert read_mark(path) == mark
    assert drafts_among([path, tmp_path / "none.mp4"]) == (frozenset({path}) if draft else frozenset())


def captioned(text: str | None, **style: object) -> Timeline:
    """Return a film of one hold with a caption."""
    timeline = timeline_of([60])
    hold = dataclasses.replace(timeline.holds[0], caption=text)
    return dataclasses.replace(timeline, holds=(hold,), captions=CaptionStyle(**style))  # type: ignore[arg-type]


def name_of(timeline: Timeline, picture: FramePicture = PICTURE, *, build: FfmpegBuild = BUILD) -> str:
    """Return the name of the piece of a film's first segment."""
    return piece_name(cut_segments(timeline)[0], timeline, [picture], build=build)


def test_a_picture_is_known_by_its_content(tmp_path: Path) -> None:
    """A copy elsewhere, of another name and time, has the same piece; a byte more, and it is another picture."""
    first, second = tmp_path / "a.png", tmp_path / "elsewhere.png"
    first.write_bytes(b"12345")
    second.write_bytes(b"12345")
    os.utime(second, ns=(0, 0))
    before = name_of(timeline_of([60]), FramePicture(first))

    assert name_of(timeline_of([60]), FramePicture(second)) == before
    assert name_of(timeline_of([60]), FramePicture(first, hashlib.sha256(b"12345").hexdigest())) == before
    second.write_bytes(b"12346")
    assert name_of(timeline_of([60]), FramePicture(second)) != before


def test_a_picture_that_the_ledger_knows_is_not_read(tmp_path: Path) -> None:
    """Ten thousand of them would take minutes at each render; its file need not even be there."""
    assert FramePicture(tmp_path / "none.png", "a1").identity() == "a1"


def test_a_picture_that_the_ledger_does_not_know_must_be_there(tmp_path: Path) -> None:
    """The error names it, and the cure."""
    gone = tmp_path / "frame_0000.png"

    with pytest.raises(FilmError, match=re.escape(f"{gone}: cannot be read: No such file or directory; render again")):
        FramePicture(gone).identity()


def test_what_a_frame_makes_of_its_take_counts() -> None:
    """A take of another size becomes another picture for each size and each fit that is asked for."""
    sizes, fits = (Size(64, 64), Size(64, 32)), (Fit.COVER, Fit.CONTAIN)
    fitted = [FramePicture(PICTURE.path, "a1", (size, fit)) for size in sizes for fit in fits]

    assert len({name_of(timeline_of([60]), picture) for picture in (FramePicture(PICTURE.path, "a1"), *fitted)}) == 5


def test_another_build_of_ffmpeg_makes_other_pieces() -> None:
    """Of the same version even: pieces of two builds may not go together in one film."""
    names = {name_of(timeline_of([60]), build=FfmpegBuild("7.1", build)) for build in ("b1", "b2", "b1")}

    assert len(names) == 2


def spoken_names(**style: object) -> list[str]:
    """Return the names of the pieces of a film in which something is said, and something is not."""
    timeline = speaking(spoken("One two."), lengths=[60, 60], captions=[None, "Night"])
    timeline = dataclasses.replace(timeline, captions=CaptionStyle(**style))  # type: ignore[arg-type]
    return [piece_name(part, timeline, [PICTURE, PICTURE], build=BUILD) for part in cut_segments(timeline)]


def test_what_shows_the_word_that_is_spoken_counts_where_it_shows_one() -> None:
    """The colour of a highlight makes another piece of what is spoken, and of nothing else."""
    off, off_blue = spoken_names(), spoken_names(highlight="#0000ff", letters_per_second=Fraction(9))
    lit, lit_blue = (spoken_names(words=WordCaptions.HIGHLIGHT, **colour) for colour in ({}, {"highlight": "#0000ff"}))
    one_by_one = spoken_names(words=WordCaptions.ONE_BY_ONE)

    said = {names[0] for names in (off, lit, lit_blue, one_by_one)}
    silent = {names[1] for names in (off, lit, lit_blue, one_by_one)}
    assert off == off_blue
    assert (len(said), len(silent)) == (4, 1)


def test_what_subtitles_say_makes_another_film() -> None:
    """Also where nothing of it is in a picture."""
    timeline = speaking(spoken("One two three four five six seven eight nine ten."), lengths=[60])
    styles = [CaptionStyle(burn=False, lines=lines, words=words) for lines, words in
              ((2, WordCaptions.OFF), (1, WordCaptions.OFF), (2, WordCaptions.HIGHLIGHT))]  # fmt: skip

    two, one, lit = (film_identity(dataclasses.replace(timeline, captions=style), [], None) for style in styles)

    assert two == lit != one


def test_fonts_count_where_captions_are_drawn() -> None:
    """Those that draw these captions; a caption that is only a track needs none."""
    one, two, kana, none = (encoder_build([captioned(text)]) for text in ("one", "two", "いち", None))

    assert one == two
    assert len({build.id for build in (one, kana, none)}) == 3
    assert encoder_build([captioned("one", burn=False)]) == none


@pytest.fixture
def font_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FontNames]:
    """Return a function that makes a font this machine's, in a folder, and returns its piece's name."""

    def forget() -> None:
        typefaces.installed.cache_clear()
        typefaces._face_for.cache_clear()
        layout.typefaces_of.cache_clear()

    def named(folder: str, font: bytes, **style: object) -> str:
        write(tmp_path / folder / "font.ttf", font)
        monkeypatch.setattr(typefaces, "_font_folders", lambda: [tmp_path / folder])
        forget()
        return name_of(captioned("one", font="Source Sans Pro", **style))

    yield named
    forget()


def test_a_font_of_this_machine_counts_by_its_content(font_names: FontNames) -> None:
    """Two versions of one font may draw otherwise; where it lies does not matter, nor where nothing is drawn."""
    font = packaged()[1].file.read_bytes()

    first, again, newer = font_names("a", font), font_names("b", font), font_names("c", font + bytes(4))
    tracks = {font_names("d", font, burn=False), font_names("e", font + bytes(4), burn=False)}

    assert first == again != newer
    assert len(tracks) == 1


def test_a_build_is_told_in_a_line() -> None:
    """For people who compare two machines."""
    build = encoder_build([captioned("one")])

    assert re.fullmatch(r"ffmpeg \S+ \([0-9a-f]{6}\), fonts [0-9a-f]{6}", build.text)
    assert re.fullmatch(r"[0-9a-f]{12}", build.id)
    assert re.fullmatch(r"ffmpeg \S+ \([0-9a-f]{6}\)", encoder_build([timeline_of([60])]).text)


def test_pieces_of_earlier_versions_are_found_again() -> None:
    """The name of a piece never changes, for every kind of segment: else all films would be encoded again."""
    pictures = [FramePicture(Path("gone.png"), f"a{number}") for number in range(4)]
    timeline = timeline_of([60, 60, 60, 60])
    changes: tuple[dict[str, object], ...] = (
        {"caption": "one", "transition": "dissolve", "half": 4},
        {"motion": Motion(MotionType.PUSH_IN, Fraction(1, 10))},
        {"smooth": Smooth(None, SmoothMethod.BLEND)},
        {},
    )
    holds = tuple(dataclasses.replace(hold, **change) for hold, change in zip(timeline.holds, changes, strict=True))  # type: ignore[arg-type]
    timeline = dataclasses.replace(timeline, holds=holds)

    names = [piece_name(segment, timeline, pictures, build=BUILD) for segment in cut_segments(timeline)]

    # They may only change where the pieces themselves come out otherwise than before.
    assert [name[:16] for name in names] == [
        "b7dceb244cc5238a",
        "cb28a7ecd7386fce",
        "f336e0a17e429e8a",
        "5ad437c5f5d340c4",
        "f313867b8fbc9cbd",
        "31accec4d495224b",
    ]
    assert {name[64:] for name in names} == {".h264"}


@pytest.mark.parametrize(
    ("delivery", "are_other_pieces"),
    [
        (Delivery(), False),
        (Delivery(keyframe_s=Fraction(5)), False),
        (Delivery(keyframe_s=Fraction(1, 2)), True),
        (Delivery(bframes=2), True),
        (Delivery(max_bitrate=25_000_000), True),
        (Delivery(audio_bitrate=128_000), False),
        (Delivery(edit_list=False), False),
    ],
)
def test_what_a_platform_asks_of_pictures_makes_other_pieces(delivery: Delivery, *, are_other_pieces: bool) -> None:
    """What it asks of sound and file does not: films for all platforms share what can be shared."""
    timeline = timeline_of([60])
    asked = dataclasses.replace(timeline, output=dataclasses.replace(timeline.output, delivery=delivery))

    assert (name_of(asked) != name_of(timeline)) == are_other_pieces


def test_what_a_platform_asks_of_the_file_makes_another_film() -> None:
    """Its pieces and its sound are the same, and have the same names."""
    timeline, pieces = timeline_of([60]), [Path("a.h264")]
    output = dataclasses.replace(timeline.output, delivery=Delivery(edit_list=False))

    identities = [film_identity(one, pieces, None) for one in (timeline, dataclasses.replace(timeline, output=output))]

    assert len(set(identities)) == 2


def test_another_bitrate_makes_another_sound(tmp_path: Path) -> None:
    """And so another film; without one, sounds keep the names that they had before there were any."""
    sound = Sound(tmp_path / "a.wav", NOWHERE, span=Span())
    sound.file.write_bytes(b"12345")
    names = set()
    for delivery in (Delivery(), Delivery(audio_bitrate=128_000), Delivery(audio_bitrate=384_000)):
        timeline = dataclasses.replace(timeline_of([60]), sound=SoundMix((sound,)))
        output = dataclasses.replace(timeline.output, delivery=delivery)
        mixed = mixed_sound(dataclasses.replace(timeline, output=output), tmp_path)
        assert mixed is not None
        names.add(mixed.path.name)

    assert len(names) == 3
