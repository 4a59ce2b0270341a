"""When something fails, the film is not made, the message says why, and nothing is left behind."""

import asyncio
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import FilmError, StorageError
from pipelines.common.geometry import Size
from pipelines.film.assembler import assemble_film, cut_film
from tests.support.film_samples import COLOURS, fake_ffmpeg, flat_frames, timeline_of

NAMES = list(COLOURS)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda frame: frame.unlink(), "No such file or directory"),
        (lambda frame: (frame.unlink(), frame.mkdir()), "Is a directory"),
        (lambda frame: frame.write_bytes(frame.read_bytes()[:2000]), "a damaged PNG: it is cut short"),
        (lambda frame: frame.write_bytes(flipped(frame.read_bytes(), 3000)), "a damaged PNG: the checksum"),
        (lambda frame: frame.write_bytes(b""), "an empty file"),
        (lambda frame: frame.write_bytes(b"GIF89a"), "not an image: it starts with b'GIF89a'"),
    ],
    ids=["missing", "folder", "truncated", "corrupt", "empty", "GIF"],
)
def test_a_broken_frame_is_named(tmp_path: Path, damage, reason: str) -> None:  # type: ignore[no-untyped-def]
    """A frame that cannot be read ends the film with its name; the old film stays, and no other file is left."""
    frames = flat_frames(tmp_path, NAMES)
    noise = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(frames[5])
    damage(frames[5])
    (tmp_path / "film.mp4").write_text("the old film")
    before = set(tmp_path.iterdir())

    with pytest.raises(FilmError) as caught:
        assemble_film(timeline_of([2] * 8), frames, tmp_path / "film.mp4")

    assert str(caught.value).startswith(f"{frames[5]}: cannot be read: {reason}")
    assert set(tmp_path.iterdir()) == before
    assert (tmp_path / "film.mp4").read_text() == "the old film"


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    """Nothing is made for a codec that storyreel does not write."""
    with pytest.raises(FilmError, match=r"output\.codec: cannot encode 'theora'; choose one of av1, gif, h264"):
        assemble_film(timeline_of([1], codec="theora"), flat_frames(tmp_path, ["red"]), tmp_path / "film.mp4")


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film that cannot be written whole is not written at all."""
    frame = tmp_path / "frame_0000.png"
    Image.effect_noise((160, 120), 80).convert("RGB").save(frame)
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, "trap '' XFSZ; ulimit -f 8")

    with pytest.raises(StorageError, match=r"free space or choose another --output: .*File too large"):
        assemble_film(timeline_of([2], size=Size(160, 120), crf=1), [frame], tmp_path / "film.mp4")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg", "ffmpeg.pids", "frame_0000.png"]


def test_a_target_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    """A file where a folder should be is reported."""
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=r"film\.mp4: cannot be written"):
        assemble_film(timeline_of([1]), flat_frames(tmp_path, ["red"]), tmp_path / "file" / "film.mp4")


def test_a_film_that_differs_from_its_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished file is read back: a rate that ffmpeg got wrong does not pass."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    slower = 'set -- "${@//pts=PTS:dts=N-1:duration=1/pts=2*PTS:dts=2*N-2:duration=2}"'
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, slower)

    with pytest.raises(FilmError) as caught:
        assemble_film(timeline_of([6]), frames, tmp_path / "out" / "film.mp4")

    assert str(caught.value) == (
        f"{tmp_path}/out/film.mp4: is not what was planned: duration_s should be 1/4, is 1/2; fps should be 24, is 12"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_too_few_pictures_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ffmpeg that leaves out frames without a word does not pass."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue", "green"])
    fake_ffmpeg(
        tmp_path / "ffmpeg", monkeypatch, 'case "$*" in *rawvideo*) exec "$REAL" "${@:1:$#-1}" -t 0.05 - ;; esac'
    )

    with pytest.raises(FilmError, match="ffmpeg stopped after 0 of 1 pieces and gave no reason"):
        assemble_film(timeline_of([6, 6, 6]), frames, tmp_path / "out" / "film.mp4")


def test_headers_that_cannot_be_spliced_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are never put behind a still that was encoded otherwise."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, 'case "$*" in *rawvideo*) set -- "${@//ref=1/ref=4}" ;; esac')

    with pytest.raises(FilmError, match="headers of its own"):
        assemble_film(timeline_of([6]), frames, tmp_path / "out" / "film.mp4")


def test_an_endless_encoding_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging ffmpeg is ended, and the film is reported as late."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, 'case "$*" in *rawvideo*) exec sleep 60 ;; esac')

    with pytest.raises(FilmError, match=r"film\.mp4: not finished after 1 s; is the machine overloaded\?"):
        asyncio.run(cut_film(timeline_of([6]), frames, tmp_path / "out" / "film.mp4", limit_s=0.7))

    assert_gone(pids)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_cancelled_film_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling ends every child and removes every temporary file."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, 'case "$*" in *rawvideo*) exec sleep 60 ;; esac')

    async def cancel_midway() -> None:
        cutting = asyncio.create_task(cut_film(timeline_of([6]), frames, tmp_path / "out" / "film.mp4"))
        while not (pids.exists() and len(pids.read_text().split()) > 1 and running(pids)):
            await asyncio.sleep(0.01)
        cutting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cutting

    asyncio.run(cancel_midway())

    assert_gone(pids)
    assert list((tmp_path / "out").iterdir()) == list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("victim", ["rawvideo", "metadata.txt"], ids=["encoder", "muxer"])
def test_a_killed_ffmpeg_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str) -> None:
    """Whichever ffmpeg is killed in mid-work, the film is not made and the message says so."""
    frames = flat_frames(tmp_path / "frames", NAMES)
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, f'case "$*" in *{victim}*) kill -KILL $$ ;; esac')

    with pytest.raises(FilmError, match="ffmpeg was ended by signal 9 and gave no reason"):
        assemble_film(timeline_of([6] * 8), frames, tmp_path / "out" / "film.mp4")

    assert_gone(pids)
    assert list((tmp_path / "out").iterdir()) == []


def flipped(data: bytes, place: int) -> bytes:
    """Turn every bit of one byte."""
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def running(pids: Path) -> list[int]:
    """Return the children that a fake ffmpeg wrote down and that still run."""
    written = [int(line) for line in pids.read_text().splitlines()] if pids.exists() else []
    return [pid for pid in written if Path(f"/proc/{pid}").exists()]


def assert_gone(pids: Path) -> None:
    """Check that no child is left, not even a dead one."""
    assert pids.read_text()
    for line in pids.read_text().splitlines():
        with pytest.raises(ProcessLookupError):
            os.kill(int(line), 0)
