"""Several runs encode one film into one folder: each piece once, by one of them, and what one leaves, another does."""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pytest

from pipelines.common.errors import FilmError
from pipelines.film.assembler import FilmAssembler, cut_film
from pipelines.film.capacity import capacity_for
from pipelines.film.encoding_pool import EncodingPool, Timing
from pipelines.film.frame_picture import FramePicture
from pipelines.film.identity import read_mark
from pipelines.film.painting import read_frame
from pipelines.film.segments import cut_segments
from pipelines.storyboard.timeline import Timeline
from tests.support.claims import ClaimBoard, RunClaims
from tests.support.film_samples import COLOURS, Watching, colour_runs, dissolved, fake_ffmpeg, flat_frames, timeline_of

NAMES = list(COLOURS)


def copies_of(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Copy pictures under other names, as of another day."""
    folder.mkdir()
    copies = [folder / f"{number}-{path.name}" for number, path in enumerate(reversed(pictures))]
    for path, copy in zip(pictures, copies, strict=True):
        shutil.copy(path, copy)
        os.utime(copy, ns=(0, 0))
    return copies


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_two_machines_name_their_pieces_alike(tmp_path: Path) -> None:
    """The same pictures under other names and times, in other folders, captions drawn: the same pieces to the byte."""
    timeline, frames = dissolved([30, 30, 30]), flat_frames(tmp_path / "frames", NAMES[:3])
    timeline = replace(timeline, holds=(replace(timeline.holds[0], caption="One"), *timeline.holds[1:]))
    films = {"here": frames, "there": copies_of(frames, tmp_path / "copies")}

    for name, pictures in films.items():
        asyncio.run(cut_film(timeline, pictures, tmp_path / f"{name}.mp4", segments=tmp_path / name))

    here, there = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in films)
    assert len(here) == 5
    assert here == there
    assert read_mark(tmp_path / "here.mp4") == read_mark(tmp_path / "there.mp4")


def test_runs_that_share_a_folder_encode_each_segment_once(tmp_path: Path) -> None:
    """Whichever of them comes first; each of them can make the film of what both encoded."""
    timeline, frames, board = dissolved([60] * 8), flat_frames(tmp_path / "frames", NAMES), ClaimBoard()
    films = {"here": frames, "there": copies_of(frames, tmp_path / "copies")}
    watching = {name: Watching() for name in films}

    async def make(name: str) -> None:
        segments, claims = tmp_path / "segments", board.claims_of(name)
        async with FilmAssembler(timeline, segments, observer=watching[name], claims=claims) as assembler:
            pictures = list(map(FramePicture, films[name]))
            for number, picture in enumerate(pictures):
                assembler.arrived(number, picture)
            await assembler.cut(pictures, tmp_path / f"{name}.mp4")

    async def make_both() -> None:
        await asyncio.gather(*map(make, films))

    asyncio.run(make_both())

    encoded = [seconds for each in watching.values() for _, seconds in each.encoded if seconds is not None]
    assert (len(encoded), len(names_in(tmp_path / "segments")), board.holders) == (15, 15, {})
    assert [len(each.encoded) for each in watching.values()] == [15, 15]
    assert colour_runs(tmp_path / "here.mp4") == colour_runs(tmp_path / "there.mp4")


def test_what_another_run_encodes_is_not_encoded_in_the_background(tmp_path: Path) -> None:
    """It is left alone; all else is done."""
    timeline, frames, board = timeline_of([60, 60]), flat_frames(tmp_path / "frames", NAMES[:2]), ClaimBoard()
    asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4", segments=tmp_path / "elsewhere"))
    taken, free = names_in(tmp_path / "elsewhere")
    board.holders[taken] = "there"
    claims = board.claims_of("here")

    async def work() -> None:
        async with FilmAssembler(timeline, tmp_path / "segments", claims=claims) as assembler:
            for number, frame in enumerate(frames):
                assembler.arrived(number, FramePicture(frame))
            async with asyncio.timeout(30):
                while set(chain(*claims.asked)) != {taken, free} or not (tmp_path / "segments" / free).is_file():
                    await asyncio.sleep(0.01)

    asyncio.run(work())

    assert names_in(tmp_path / "segments") == {free}


@dataclass
class Waiting:
    """A pool whose other runs do something while it waits.

    Attributes:
        events: what happens by the second at which it wakes up.
        now: the seconds that it has waited.
    """

    events: dict[int, Callable[[], object]]
    now: float = 0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.events.get(int(self.now), lambda: None)()


def encode_all(
    timeline: Timeline, frames: Sequence[Path], folder: Path, claims: RunClaims, waiting: Waiting
) -> Watching:
    """Encode a film's pieces into a folder, waits made by `waiting`; return the observer."""
    watching = Watching()

    async def work() -> None:
        pictures = list(map(FramePicture, frames))
        pool = EncodingPool(
            timeline,
            folder,
            capacity_for(timeline),
            observer=watching,
            read=read_frame,
            claims=claims,
            timing=Timing(waiting.sleep, lambda: waiting.now),
        )
        await pool.encode_all(await pool.name_pieces(cut_segments(timeline), pictures), pictures)
        pool.close()

    asyncio.run(work())
    return watching


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """Return the one piece of a film of a red frame, encoded in another folder."""
    asyncio.run(cut_film(timeline_of([60]), [red(tmp_path)], tmp_path / "film.mp4", segments=tmp_path / "elsewhere"))
    [piece] = (tmp_path / "elsewhere").iterdir()
    return piece


def red(folder: Path) -> Path:
    return flat_frames(folder / "frames", ["red"])[0]


def test_what_a_run_held_that_died_is_encoded_in_the_end(tmp_path: Path, taken: Path) -> None:
    """It is asked for every second, and looked for a little longer: it may have been written at the last moment."""
    board = ClaimBoard({taken.name: "there"})
    claims, waiting = board.claims_of("here"), Waiting({3: lambda: board.end("there")})

    watching = encode_all(timeline_of([60]), [red(tmp_path)], tmp_path / "segments", claims, waiting)

    assert [seconds is not None for _, seconds in watching.encoded] == [True]
    assert names_in(tmp_path / "segments") == {taken.name}
    # Held until the third second: last seen held in the second.
    assert (waiting.now, len(claims.asked), board.holders) == (7, 8, {})


def test_a_piece_that_a_shared_folder_shows_late_is_not_encoded_again(tmp_path: Path, taken: Path) -> None:
    """Another run gave it back in the first second, and its file shows in the third."""
    board, folder = ClaimBoard({taken.name: "there"}), tmp_path / "segments"
    folder.mkdir()
    waiting = Waiting({1: lambda: board.end("there"), 3: lambda: shutil.copy(taken, folder)})

    watching = encode_all(timeline_of([60]), [red(tmp_path)], folder, board.claims_of("here"), waiting)

    assert ([seconds for _, seconds in watching.encoded], waiting.now) == ([None], 3)


def test_a_run_that_fails_gives_back_what_it_claimed(tmp_path: Path) -> None:
    """Another may have a picture that can be read."""
    frame, board = red(tmp_path), ClaimBoard()
    frame.write_text("no picture")

    with pytest.raises(FilmError, match=r"frame_0000\.png: cannot be read"):
        encode_all(timeline_of([60]), [frame], tmp_path / "segments", board.claims_of("here"), Waiting({}))

    assert board.holders == {}


def test_a_run_that_leaves_gives_back_what_it_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its encoders never came to their end."""
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, 'case "$*" in *rawvideo*) exec sleep 60 ;; esac')
    board = ClaimBoard()

    async def work() -> int:
        async with FilmAssembler(timeline_of([60]), tmp_path / "s", claims=board.claims_of("here")) as assembler:
            assembler.arrived(0, FramePicture(red(tmp_path)))
            async with asyncio.timeout(30):
                while not pids.exists():
                    await asyncio.sleep(0.01)
            return len(board.holders)

    assert (asyncio.run(work()), board.holders) == (1, {})
