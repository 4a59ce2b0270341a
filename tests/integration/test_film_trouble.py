"""Films in trouble: odd frames, tiny and huge films, thousands of holds, hostile captions, kills, full disks."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import FilmError, StorageError
from pipelines.common.geometry import Size
from pipelines.film.assembler import assemble_film, cut_film
from pipelines.storyboard.model import Motion, MotionType
from tests.support.film_samples import (
    COLOURS,
    colour_of,
    colour_runs,
    dissolved,
    fake_ffmpeg,
    flat_frames,
    pictures,
    timeline_of,
)
from tests.support.full_disk import files_of_at_most

NAMES = ["red", "green", "blue", "white", "purple"]
PUSH = Motion(MotionType.PUSH_IN, Fraction(1, 10))
PEAK = """
import json, re, resource, sys
from fractions import Fraction
from pathlib import Path
from dataclasses import replace
from pipelines.common.geometry import Size
from pipelines.film import encoding
from pipelines.film.assembler import assemble_film
from pipelines.storyboard.model import Motion, MotionType
from tests.support.film_samples import timeline_of
encoding.KEYFRAME_EVERY = int(sys.argv[3])
timeline = timeline_of([2], size=Size(7680, 4320))
motion = Motion(MotionType.PUSH_IN, Fraction(1, 10))
timeline = replace(timeline, holds=(replace(timeline.holds[0], motion=motion),))
film = assemble_film(timeline, [Path(sys.argv[1])], Path(sys.argv[2]))
# Not by getrusage: what the process that started this one had taken by then would count.
[own] = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
peaks_mib = [int(own) / 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]
print(json.dumps({"size": str(film.size), "video_frames": film.video_frames, "peaks_mib": peaks_mib}))
"""


@pytest.mark.parametrize("motion", [None, PUSH], ids=["still", "moving"])
def test_frames_of_any_size_fill_the_film(tmp_path: Path, motion: Motion | None) -> None:
    """From a single pixel on."""
    sizes = [(1, 1), (3, 5), (33, 77), (1000, 3)]
    frames = [tmp_path / f"{name}.png" for name in NAMES[:4]]
    for frame, size in zip(frames, sizes, strict=True):
        Image.new("RGB", size, COLOURS[frame.stem]).save(frame)
    timeline = timeline_of([6] * 4)
    timeline = replace(timeline, holds=tuple(replace(hold, motion=motion) for hold in timeline.holds))

    film = assemble_film(timeline, frames, tmp_path / "film.mp4")

    assert colour_runs(film.path) == [(name, 6) for name in NAMES[:4]]


def test_the_smallest_film_has_the_whole_language(tmp_path: Path) -> None:
    """Two pixels by two, one video frame around each cut point."""
    timeline = dissolved([2, 2, 2], half=1, size=Size(2, 2))
    timeline = replace(timeline, holds=tuple(replace(hold, motion=PUSH, caption="x") for hold in timeline.holds))

    film = assemble_film(timeline, flat_frames(tmp_path / "frames", NAMES[:3]), tmp_path / "film.mp4")

    assert (film.video_frames, film.size) == (6, Size(2, 2))


@pytest.mark.slow
def test_the_largest_film_stays_in_memory(tmp_path: Path) -> None:
    """8K with a move: less than two gibibytes, in two processes.

    Copies for one second instead of five: an encoder or a program that kept them all would take 1.2 GB for these.
    """
    Image.new("RGB", (640, 360), COLOURS["blue"]).save(tmp_path / "frame.png")

    command = [sys.executable, "-c", PEAK, str(tmp_path / "frame.png"), str(tmp_path / "film.mp4"), "24"]
    said = subprocess.run(command, capture_output=True, check=True, text=True, timeout=300)

    report = json.loads(said.stdout)
    assert (report["size"], report["video_frames"]) == ("7680x4320", 2)
    assert sum(report["peaks_mib"]) < 2048


@pytest.mark.slow
def test_five_thousand_frames_are_few_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each for one video frame; an encoder is started for every two seconds, not for every frame."""
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch)
    five = flat_frames(tmp_path / "frames", NAMES)
    names = list(islice(cycle(NAMES), 5000))

    film = assemble_film(timeline_of([1] * 5000), list(islice(cycle(five), 5000)), tmp_path / "film.mp4")

    assert [colour_of(picture) for picture in pictures(film.path)] == names
    # Two seconds are 48 video frames; and one start each for copies, joining, reading back.
    assert len(pids.read_text().split()) <= 5000 // 48 + 1 + 3


@pytest.mark.slow
def test_hundreds_of_dissolves_keep_their_times(tmp_path: Path) -> None:
    """The time of the last hold is as exact as that of the first."""
    five = flat_frames(tmp_path / "frames", NAMES, size=Size(32, 32))
    frames, names = list(islice(cycle(five), 400)), list(islice(cycle(NAMES), 400))

    film = assemble_film(dissolved([6] * 400, half=2, size=Size(32, 32)), frames, tmp_path / "film.mp4")

    shown = pictures(film.path, Size(32, 32))
    assert len(shown) == 2400
    assert [colour_of(picture) for picture in shown[3::6]] == names


SIZE = Size(320, 180)
LONGEST = {"words": "word " * 1000, "word": "w" * 5000, "lines": "\n".join(["line"] * 300)}
HOSTILE = [
    "{\\pos(10,10)\\fs200}huge", "{\\an7}", "\\N\\n\\h", "}{", "{", "\\", "a,b,,0,0,0,,c", "Dialogue: 0,0:00:00.00",
    "\\{\\}", "[Events]", "'; drop", "%{pts}", "\\fad(0,0)", "\u202eright to left\u202c", "日の出 🌅",
]  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, int]]]:
    """Cut one film of all these captions; return the rows and columns of each one's picture that are not plain."""
    folder, texts = tmp_path_factory.mktemp("captions"), [*LONGEST.values(), *HOSTILE]
    timeline = timeline_of([3] * len(texts), size=SIZE)
    holds = tuple(replace(hold, caption=text) for hold, text in zip(timeline.holds, texts, strict=True))
    frames = flat_frames(folder, ["blue"], size=SIZE) * len(texts)
    shown = pictures(assemble_film(replace(timeline, holds=holds), frames, folder / "film.mp4").path, SIZE)
    apart = [np.abs(picture.astype(int) - COLOURS["blue"]).max(axis=2) > 60 for picture in shown[1::3]]
    return {
        text: [(int(row), int(column)) for row, column in np.argwhere(there)]
        for text, there in zip(texts, apart, strict=True)
    }


@pytest.mark.xdist_group("film_captions")
@pytest.mark.parametrize("text", LONGEST.values(), ids=LONGEST)
def test_the_longest_caption_stays_inside_the_safe_area(drawn: Mapping[str, list[tuple[int, int]]], text: str) -> None:
    """In smaller letters, or wrapped; nothing is drawn at the edge."""
    places = drawn[text]

    assert places
    assert min(column for _, column in places) >= SIZE.width // 20 - 3
    assert max(column for _, column in places) < SIZE.width - SIZE.width // 20 + 3


@pytest.mark.xdist_group("film_captions")
@pytest.mark.parametrize("text", HOSTILE)
def test_no_caption_is_a_command(drawn: Mapping[str, list[tuple[int, int]]], text: str) -> None:
    """Whatever ffmpeg, a subtitle format or a shell might read in it, it stays in its place, in its size."""
    places = drawn[text]

    assert places
    # One line at the foot of the picture: no code moves or enlarges it.
    assert all(row > SIZE.height // 2 for row, _ in places)
    assert all(SIZE.width // 20 - 3 <= column < SIZE.width - SIZE.width // 20 + 3 for _, column in places)


def kept(folder: Path) -> dict[str, int]:
    """Return the pieces in a folder and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("name", ['a:b|c it\'s "quoted" 100% %d two\nlines 日本 é', "-y"], ids=["odd", "option"])
def test_segments_may_be_kept_under_any_name(tmp_path: Path, name: str) -> None:
    """And frames too; no program reads a name as anything else."""
    frames = flat_frames(tmp_path / name / "frames", NAMES[:3])
    odd = [frame.rename(frame.with_name(f"{name} {n}.png")) for n, frame in enumerate(frames)]
    timeline = dissolved([10, 10, 10], half=2)

    asyncio.run(cut_film(timeline, odd, tmp_path / name / "film.mp4", segments=tmp_path / name / "segments"))

    shown = pictures(tmp_path / name / "film.mp4")
    assert [colour_of(shown[place]) for place in (5, 15, 25)] == NAMES[:3]
    assert len(kept(tmp_path / name / "segments")) == 5


def test_what_was_encoded_before_a_kill_is_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run does the rest."""
    frames, timeline = flat_frames(tmp_path / "frames", NAMES), dissolved([60] * 5, half=4)
    # One worker: its first encoder makes the holds, its second one the transitions.
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    count = tmp_path / "count"
    killing = f'case "$*" in *rawvideo*) echo >> {count}; [ $(wc -l < {count}) -gt 1 ] && kill -KILL $$ ;; esac'
    with monkeypatch.context() as patched:
        fake_ffmpeg(tmp_path / "ffmpeg", patched, killing)
        with pytest.raises(FilmError, match="ended by signal 9"):
            asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4", segments=tmp_path / "segments"))
    before = kept(tmp_path / "segments")

    asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4", segments=tmp_path / "segments"))

    assert len(before) == 5
    assert before.items() <= kept(tmp_path / "segments").items()
    assert len(kept(tmp_path / "segments")) == 9


def test_a_broken_piece_is_noticed_and_made_again(tmp_path: Path) -> None:
    """The run that finds it fails; the next one makes it again."""
    frames, timeline = flat_frames(tmp_path / "frames", NAMES[:2]), timeline_of([60, 60])
    segments, target = tmp_path / "segments", tmp_path / "film.mp4"
    asyncio.run(cut_film(timeline, frames, target, segments=segments))
    target.unlink()
    broken = max(segments.iterdir())
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])

    with pytest.raises(FilmError):
        asyncio.run(cut_film(timeline, frames, target, segments=segments))
    assert not target.exists()
    asyncio.run(cut_film(timeline, frames, target, segments=segments))

    assert [colour_of(picture) for picture in pictures(target)] == ["red"] * 60 + ["green"] * 60


@pytest.mark.parametrize("length", [30, 130], ids=["cut out of a stream", "written by ffmpeg"])
def test_a_full_disk_leaves_no_half_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """It is a storage error with its cure, in ffmpeg and in the program itself."""
    noise = tmp_path / "frame.png"
    Image.effect_noise((160, 120), 80).convert("RGB").save(noise)
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, "trap '' XFSZ; ulimit -f 8")
    timeline = timeline_of([length], size=Size(160, 120), crf=4)
    timeline = replace(timeline, holds=(replace(timeline.holds[0], motion=PUSH),))

    with pytest.raises(StorageError, match="free space or choose another --output"), files_of_at_most(8 * 1024):
        asyncio.run(cut_film(timeline, [noise], tmp_path / "film.mp4", segments=tmp_path / "segments"))

    assert list((tmp_path / "segments").iterdir()) == []
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("caption", [None, "Six in the morning"])
def test_a_temporary_folder_that_cannot_be_made_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caption: str | None
) -> None:
    """A full disk may show there first."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    timeline = timeline_of([4])
    timeline = replace(timeline, holds=(replace(timeline.holds[0], caption=caption),))

    with pytest.raises(StorageError, match="cannot be written"):
        assemble_film(timeline, flat_frames(tmp_path / "frames", ["red"]), tmp_path / "film.mp4")
