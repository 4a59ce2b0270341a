"""A film shows each frame for exactly its video frames, in its true colours, whatever the frames are like."""

import gc
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import FilmError
from pipelines.common.geometry import Fit, Size
from pipelines.film.assembler import assemble_film
from pipelines.film.probe import Film
from tests.support.film_samples import (
    COLOURS,
    SMALL,
    ask_ffmpeg,
    colour_of,
    colour_runs,
    flat_frames,
    noisy_gradient,
    pictures,
    similarity,
    timeline_of,
)

# Some films are each cut once for many tests.
pytestmark = pytest.mark.xdist_group("film_assembly")

NAMES = list(COLOURS)
RATES = [Fraction(12), Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(60000, 1001)]


LENGTHS = [3, 1, 7, 2, 1, 1, 12, 5]
SCENES = {"Arrival; = # \\ end": 2, "Two\nlines": 3, "Abschied 再见": 3}


@pytest.fixture(scope="module", params=RATES, ids=str)
def all_colours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Fraction, Film]:
    """Return each rate, and a film of all colours in three scenes at that rate."""
    folder = tmp_path_factory.mktemp("colours")
    timeline = timeline_of(LENGTHS, fps=request.param, title='A "title"; with=signs # \\ and\nlines', scenes=SCENES)
    return request.param, assemble_film(timeline, flat_frames(folder, NAMES), folder / "film.mp4")


@pytest.fixture(scope="module")
def four_holds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a film of four short holds, for tests that look at it from different sides."""
    folder = tmp_path_factory.mktemp("four")
    return assemble_film(timeline_of([5, 9, 1, 4]), flat_frames(folder, NAMES[:4]), folder / "film.mp4").path


def test_each_frame_is_shown_for_its_video_frames(all_colours: tuple[Fraction, Film]) -> None:
    """Every colour starts at its own video frame, and the record has the exact length and rate."""
    fps, film = all_colours

    assert film == Film(film.path, 32, 32 / fps, SMALL, fps)
    assert film.path.name == "film.mp4"
    assert colour_runs(film.path) == list(zip(NAMES, LENGTHS, strict=True))


@pytest.mark.parametrize("length", [1, 2, 120, 121])
@pytest.mark.parametrize("fps", [Fraction(24), Fraction(60000, 1001)], ids=str)
def test_a_film_of_one_frame(tmp_path: Path, length: int, fps: Fraction) -> None:
    """One frame makes a film, be it on screen for a single video frame."""
    frames = flat_frames(tmp_path, ["green"])

    film = assemble_film(timeline_of([length], fps=fps), frames, tmp_path / "film.mp4")

    assert film == Film(tmp_path / "film.mp4", length, length / fps, SMALL, fps)
    assert colour_runs(film.path) == [("green", length)]


def test_five_hundred_short_holds_keep_their_times(tmp_path: Path) -> None:
    """Rounding does not add up: the last of many cuts is as exact as the first."""
    names = list(islice(cycle(NAMES), 500))
    lengths = [1 + number % 3 for number in range(500)]
    frames = list(islice(cycle(flat_frames(tmp_path, NAMES)), 500))

    film = assemble_film(timeline_of(lengths, fps=Fraction(24000, 1001)), frames, tmp_path / "film.mp4")

    assert colour_runs(film.path) == list(zip(names, lengths, strict=True))


def test_a_long_hold_can_be_sought_and_never_changes(tmp_path: Path) -> None:
    """A keyframe comes every few seconds, and every video frame of a hold is the same picture."""
    frame = tmp_path / "frame_0000.png"
    Image.effect_noise((64, 48), 60).convert("RGB").save(frame)

    film = assemble_film(timeline_of([700]), [frame], tmp_path / "film.mp4")

    assert len({picture.tobytes() for picture in pictures(film.path)}) == 1
    assert keyframes(film.path) == [0, 120, 240, 360, 480, 600]


def test_every_cut_is_a_keyframe(four_holds: Path) -> None:
    """Players seek to the start of any frame."""
    assert keyframes(four_holds) == [0, 5, 14, 15]


def test_a_frame_may_come_back(tmp_path: Path) -> None:
    """Holds name their frame by number: one frame can be shown twice."""
    timeline = timeline_of([2, 2, 2])
    again = timeline.holds[0]
    holds = (*timeline.holds[:2], type(again)(frame=0, start=4, length=2))
    frames = flat_frames(tmp_path, ["red", "blue"])

    film = assemble_film(type(timeline)("Again", timeline.output, holds, ()), frames, tmp_path / "film.mp4")

    assert colour_runs(film.path) == [("red", 2), ("blue", 2), ("red", 2)]


def test_frames_of_any_size_and_pixel_format_follow_one_another(tmp_path: Path) -> None:
    """A change of size or pixel format drops and doubles no video frame."""
    kinds = [
        ("RGB", (64, 48)),
        ("RGBA", (64, 48)),
        ("P", (100, 40)),
        ("RGB", (33, 77)),
        ("RGBA", (640, 480)),
        ("RGB", (64, 48)),
        ("P", (64, 48)),
    ]
    frames = [tmp_path / f"frame_{number:04d}.png" for number in range(len(kinds) + 2)]
    for path, name, (mode, size) in zip(frames, NAMES, kinds, strict=False):
        Image.new("RGB", size, COLOURS[name]).convert(mode, palette=Image.Palette.ADAPTIVE).save(path)
    Image.new("L", (50, 50), 128).save(frames[-2])
    Image.new("I;16", (64, 48), 0xFFFF).save(frames[-1])

    film = assemble_film(timeline_of([3, 1, 2, 1, 1, 4, 2, 3, 2]), frames, tmp_path / "film.mp4")

    names = [*NAMES[:7], "gray", "white"]
    assert colour_runs(film.path) == list(zip(names, [3, 1, 2, 1, 1, 4, 2, 3, 2], strict=True))


def test_cover_fills_the_film_and_crops_the_middle(tmp_path: Path) -> None:
    """A wider picture loses its sides."""
    film = assemble_film(timeline_of([1], fit=Fit.COVER), [striped(tmp_path)], tmp_path / "film.mp4")

    assert columns(film.path) == ["green", "green", "green"]


def test_contain_shows_the_whole_picture_on_black(tmp_path: Path) -> None:
    """A wider picture keeps its sides, with black above and below."""
    film = assemble_film(timeline_of([1], fit=Fit.CONTAIN), [striped(tmp_path)], tmp_path / "film.mp4")

    picture = pictures(film.path)[0]
    assert columns(film.path) == ["red", "green", "blue"]
    assert colour_of(picture[:14]) == colour_of(picture[-14:]) == "black"


def test_stretch_shows_the_whole_picture_everywhere(tmp_path: Path) -> None:
    """A wider picture is squeezed."""
    film = assemble_film(timeline_of([1], fit=Fit.STRETCH), [striped(tmp_path)], tmp_path / "film.mp4")

    picture = pictures(film.path)[0]
    assert columns(film.path) == ["red", "green", "blue"]
    assert (colour_of(picture[:, :16]), colour_of(picture[:, -16:])) == ("red", "blue")


def test_fit_error_refuses_a_frame_of_another_size(tmp_path: Path) -> None:
    """Where the storyboard says so, another size is an error that names the frame, and no film is made."""
    frames = [*flat_frames(tmp_path, ["red"]), striped(tmp_path)]

    with pytest.raises(FilmError) as caught:
        assemble_film(timeline_of([1, 1], fit=Fit.ERROR), frames, tmp_path / "film.mp4")

    assert str(caught.value) == (
        f"{frames[1]}: is 192x48, the film is 64x48, and output.fit is error; "
        "choose cover, contain or stretch, or another output.size"
    )
    assert not (tmp_path / "film.mp4").exists()


def test_fit_error_accepts_frames_of_the_films_size(tmp_path: Path) -> None:
    """Nothing to fit is no error."""
    frames = flat_frames(tmp_path, ["red", "blue"])

    film = assemble_film(timeline_of([1, 1], fit=Fit.ERROR), frames, tmp_path / "film.mp4")

    assert colour_runs(film.path) == [("red", 1), ("blue", 1)]


def test_fit_error_names_a_frame_that_is_no_picture(tmp_path: Path) -> None:
    """A frame whose size cannot be read is named."""
    (tmp_path / "frame_0000.png").write_text("not a picture")

    with pytest.raises(FilmError, match=r"frame_0000\.png: cannot be read: not an image"):
        assemble_film(timeline_of([1], fit=Fit.ERROR), [tmp_path / "frame_0000.png"], tmp_path / "film.mp4")


@pytest.mark.parametrize("size", [Size(2, 2), Size(16, 16), Size(130, 94), Size(320, 240), Size(64, 1080)], ids=str)
@pytest.mark.parametrize("crf", [0, 18, 51])
def test_any_size_and_quality_holds_its_stills(tmp_path: Path, size: Size, crf: int) -> None:
    """Copies repeat their still exactly at every size and quality."""
    frames = [tmp_path / f"frame_{number:04d}.png" for number in range(3)]
    for number, path in enumerate(frames):
        Image.effect_mandelbrot((size.width, size.height), (-3, -2.5, 2 - number, 2.5), 100).convert("RGB").save(path)

    film = assemble_film(timeline_of([4, 5, 3], size=size, crf=crf), frames, tmp_path / "film.mp4")

    shown = [picture.tobytes() for picture in pictures(film.path, size)]
    assert film.size == size
    assert [len(set(shown[:4])), len(set(shown[4:9])), len(set(shown[9:]))] == [1, 1, 1]


def test_the_film_is_like_its_frames(tmp_path: Path) -> None:
    """At the default quality, the middle of a hold has an SSIM of 0.97 or more with the frame."""
    size = Size(256, 144)
    frame = tmp_path / "frame_0000.png"
    noisy_gradient(size).save(frame)

    film = assemble_film(timeline_of([9], size=size), [frame], tmp_path / "film.mp4")

    assert similarity(film.path, 4, frame) >= 0.97


def test_colours_are_tagged_for_players(four_holds: Path) -> None:
    """The file says BT.709 in limited range, so that no player guesses; profile and pixel format play in browsers."""
    description = described(four_holds)

    assert "Video: h264 (High)" in description
    assert "yuv420p(tv, bt709, progressive)" in description


def test_the_index_stands_before_the_pictures(four_holds: Path) -> None:
    """A browser can start to play before the whole file is there."""
    data = four_holds.read_bytes()

    assert 0 < data.index(b"moov") < data.index(b"mdat")


# imageio leaves its own pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_imageio_reads_the_film_back(four_holds: Path) -> None:
    """A program that reads films with imageio finds the same pictures and figures."""
    shown = [np.asarray(picture) for picture in iio.imiter(four_holds, plugin="FFMPEG")]
    meta = iio.immeta(four_holds, plugin="FFMPEG")
    gc.collect()

    assert [colour_of(picture) for picture in shown] == ["red"] * 5 + ["green"] * 9 + ["blue"] + ["white"] * 4
    assert (meta["fps"], meta["size"], meta["duration"]) == (24.0, (64, 48), pytest.approx(19 / 24, abs=0.01))


def test_title_and_chapters_are_read_back(all_colours: tuple[Fraction, Film]) -> None:
    """A scene is a chapter, exact in video frames; no character of a title is special."""
    fps, film = all_colours

    text = ask_ffmpeg("-i", str(film.path), "-f", "ffmetadata", "-").decode()

    assert 'title=A "title"\\; with\\=signs \\# \\\\ and\\\nlines\n' in text
    assert chapter_times(text) == [(0, 4 / fps), (4 / fps, 14 / fps), (14 / fps, 32 / fps)]
    assert "title=Arrival\\; \\= \\# \\\\ end\n" in text
    assert "title=Two\\\nlines\n" in text
    assert "title=Abschied 再见\n" in text


@pytest.mark.parametrize(
    "name", ['a:b|c it\'s "quoted" 100% %d %04d two\nlines 日本 é $HOME `id`', "-y"], ids=["odd", "option"]
)
def test_folders_and_films_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Quotes, spaces, percent signs, newlines and any script work in the names of folders and films."""
    frames = flat_frames(tmp_path / name / "frames", ["red", "blue"])
    odd = frames[0].rename(frames[0].with_name(f"{name}.png"))
    target = tmp_path / name / f"{name}.mp4"

    film = assemble_film(timeline_of([1, 2]), [odd, frames[1]], target)

    assert film.path == target
    assert sorted(target.parent.iterdir()) == sorted([target.parent / "frames", target])
    assert colour_runs(film.path) == [("red", 1), ("blue", 2)]


def test_paths_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are meant from where the program was started."""
    flat_frames(tmp_path / "frames", ["red"])
    monkeypatch.chdir(tmp_path)

    film = assemble_film(timeline_of([2]), [Path("frames/frame_0000.png")], Path("out/film.mp4"))

    assert film.path == Path("out/film.mp4")
    assert colour_runs(tmp_path / "out/film.mp4") == [("red", 2)]


def test_a_new_film_replaces_the_old_one(tmp_path: Path) -> None:
    """Assembling again overwrites, and the file has the permissions of any other."""
    frames = flat_frames(tmp_path, ["red", "blue"])
    assemble_film(timeline_of([2]), frames[:1], tmp_path / "film.mp4")

    film = assemble_film(timeline_of([3]), frames[1:], tmp_path / "film.mp4")

    (tmp_path / "plain").touch()
    assert colour_runs(film.path) == [("blue", 3)]
    assert film.path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def striped(folder: Path) -> Path:
    """Write a picture of 192x48: a red, a green and a blue square of 64, side by side."""
    picture = Image.new("RGB", (192, 48))
    for place, name in enumerate(["red", "green", "blue"]):
        picture.paste(COLOURS[name], (64 * place, 0, 64 * place + 64, 48))
    picture.save(folder / "striped.png")
    return folder / "striped.png"


def columns(film: Path) -> list[str]:
    """Name the colours at the left, the middle and the right of the first picture."""
    picture = pictures(film)[0]
    return [colour_of(picture[23:25, x : x + 2]) for x in (4, 31, 58)]


def keyframes(film: Path) -> list[int]:
    """Return the video frames that a player can start at."""
    rows = ask_ffmpeg("-i", str(film), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
    packets = [row for row in rows if not row.startswith("#")]
    return [number for number, row in enumerate(packets) if "F=0x0" not in row]


def chapter_times(metadata: str) -> list[tuple[Fraction, Fraction]]:
    """Read chapters' starts and ends in seconds from an ffmetadata text."""
    values = [line.split("=")[1] for line in metadata.splitlines() if line.startswith(("TIMEBASE", "START", "END"))]
    chapters = zip(values[::3], values[1::3], values[2::3], strict=True)
    return [(int(start) * Fraction(tick), int(end) * Fraction(tick)) for tick, start, end in chapters]


def described(film: Path) -> str:
    """Return ffmpeg's description of a film."""
    return ask_ffmpeg("-loglevel", "info", "-i", str(film), "-c", "copy", "-f", "null", "-", stream="stderr").decode()
