"""ffmpeg is run without a shell, its complaints are kept, and it never outlives the program."""

import asyncio
import contextlib
import os
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipelines.common import ffmpeg
from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import ffmpeg_binary, ffmpeg_build, running_ffmpeg
from pipelines.film.encoders import require_encoder
from tests.support.patience import WAIT_S

CURE = "reinstall imageio-ffmpeg, or let IMAGEIO_FFMPEG_EXE name a working ffmpeg"


def script(path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Path:
    """Put a script in ffmpeg's place."""
    path.write_text("\n".join(["#!/bin/bash", *lines]))
    path.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
    return path


def test_this_machine_encodes_h264() -> None:
    """The ffmpeg that comes with imageio-ffmpeg has what is needed."""
    require_encoder("h264")


def test_an_unknown_codec_is_reported_with_the_known_ones() -> None:
    """The cure for an unknown codec is a known one."""
    with pytest.raises(FilmError) as caught:
        require_encoder("theora")

    assert (
        str(caught.value)
        == "output.codec: cannot encode 'theora'; choose one of av1, gif, h264, h265, prores, vp9, webp"
    )


def test_a_missing_encoder_is_reported_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ffmpeg built without x264 is named before anything is generated."""
    binary = script(tmp_path / "ffmpeg", monkeypatch, "echo ' V....D mpeg4   not libx264'")

    with pytest.raises(FilmError) as caught:
        require_encoder("h264")

    assert str(caught.value) == f"{binary}: this ffmpeg has no libx264 to encode h264 with; {CURE}"


def test_a_missing_ffmpeg_is_reported_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong IMAGEIO_FFMPEG_EXE is named, whether ffmpeg is to list its encoders or to encode."""
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nothing"))

    with pytest.raises(FilmError, match=f"nothing: does not run: .*No such file.*; {CURE}"):
        require_encoder("h264")
    with pytest.raises(FilmError, match=f"nothing: does not run: No such file or directory; {CURE}"):
        asyncio.run(run_to_end("-version", folder=tmp_path))


def test_an_ffmpeg_that_fails_to_answer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary for another machine exits at once."""
    script(tmp_path / "ffmpeg", monkeypatch, "exit 126")

    with pytest.raises(FilmError, match=f"ffmpeg: does not run: .*126.*; {CURE}"):
        require_encoder("h264")


def test_a_build_is_known_by_all_that_it_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of one version may be configured otherwise; each is asked once, wherever it lies."""
    asked = tmp_path / "asked"
    builds = []
    for name, configuration in (("a", "x264"), ("a", "x264"), ("b", "x264"), ("c", "openh264")):
        answer = f"ffmpeg version 7.1 Copyright\nconfiguration: {configuration}"
        if not (tmp_path / name).exists():
            script(tmp_path / name, monkeypatch, f"echo {name} >> {asked}", f"echo '{answer}'")
        builds.append(ffmpeg_build())

    assert [build.version for build in builds] == ["7.1"] * 4
    assert builds[0] == builds[1] == builds[2] != builds[3]
    assert asked.read_text().split() == ["a", "b", "c"]


def test_another_ffmpeg_in_the_place_of_one_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A review that goes on through an upgrade encodes with what is there."""
    script(tmp_path / "ffmpeg", monkeypatch, "echo ffmpeg version 7.1 Copyright")
    before = ffmpeg_build()
    script(tmp_path / "ffmpeg", monkeypatch, "echo ffmpeg version 7.1.1 Copyright")

    assert (before.version, ffmpeg_build().version) == ("7.1", "7.1.1")


def test_no_ffmpeg_at_all_is_reported_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform for which imageio-ffmpeg brings none."""

    def find_none() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", find_none)

    with pytest.raises(FilmError) as caught:
        ffmpeg_binary()

    assert str(caught.value) == f"no ffmpeg was found; {CURE}"


def test_a_complaint_is_kept_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much ffmpeg complains, it is drained, and the message has the last 4 KB."""
    script(tmp_path / "ffmpeg", monkeypatch, "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 9")

    with pytest.raises(FilmError) as caught:
        asyncio.run(run_to_end(folder=tmp_path))

    message = str(caught.value)
    assert message.startswith("ffmpeg failed with exit code 9: xxx")
    assert message.endswith("xxxthe end")
    assert 4000 < len(message) < 4200


def test_all_that_ffmpeg_says_can_be_read_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its end alone, and also where it succeeds."""
    script(tmp_path / "ffmpeg", monkeypatch, "head -c 3000000 /dev/zero >&2; echo the end >&2")
    chunks: list[bytes] = []

    async def listen() -> None:
        async with running_ffmpeg([], folder=tmp_path, on_stderr=chunks.append):
            pass

    asyncio.run(listen())

    assert b"".join(chunks) == bytes(3_000_000) + b"the end\n"


def test_output_that_is_not_read_does_not_block_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that has read enough can leave."""
    script(tmp_path / "ffmpeg", monkeypatch, "head -c 3000000 /dev/zero")

    async def read_a_little() -> bytes:
        async with running_ffmpeg([], folder=tmp_path, stdout=PIPE) as process:
            assert process.stdout is not None
            return await process.stdout.readexactly(3)

    assert asyncio.run(read_a_little()) == b"\0\0\0"


def test_a_child_that_stops_reading_ends_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own complaint is raised, not the broken pipe."""
    script(tmp_path / "ffmpeg", monkeypatch, "echo enough >&2; exit 3")

    async def write_without_end() -> None:
        async with running_ffmpeg([], folder=tmp_path, stdin=PIPE) as process:
            assert process.stdin is not None
            while True:
                process.stdin.write(bytes(100_000))
                await process.stdin.drain()

    with pytest.raises(FilmError, match="ffmpeg failed with exit code 3: enough"):
        asyncio.run(write_without_end())


@pytest.mark.parametrize("deaf", ["", "trap '' TERM;"], ids=["obedient", "deaf to SIGTERM"])
def test_a_cancelled_block_leaves_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: str) -> None:
    """A child is terminated, then killed, and always reaped."""
    monkeypatch.setattr(ffmpeg, "_GRACE_S", 0.2)
    script(tmp_path / "ffmpeg", monkeypatch, f"{deaf} echo ready; while true; do read -t 0.05 < /dev/zero; done")
    pids: list[int] = []

    async def wait_without_end() -> None:
        async with running_ffmpeg([], folder=tmp_path, stdout=PIPE) as process:
            assert process.stdout is not None
            await process.stdout.readline()
            pids.append(process.pid)
            await asyncio.sleep(2 * WAIT_S)

    async def cancel() -> None:
        waiting = asyncio.create_task(wait_without_end())
        while not pids:
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    started = time.monotonic()
    asyncio.run(cancel())

    assert time.monotonic() - started < WAIT_S
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_ctrl_c_in_a_terminal_does_not_reach_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has a session of its own: the run ends it, and reports that it was interrupted."""
    script(tmp_path / "ffmpeg", monkeypatch, "sleep 0.2")

    async def session_of_the_child() -> int:
        async with running_ffmpeg([], folder=tmp_path) as process:
            return os.getsid(process.pid)

    assert asyncio.run(session_of_the_child()) != os.getsid(0)


async def run_to_end(*arguments: str, folder: Path) -> None:
    """Run ffmpeg and wait for it."""
    async with running_ffmpeg(arguments, folder=folder):
        pass


def test_one_that_ends_as_it_is_given_up_is_reaped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By asyncio, which complains of a child whose exit code was asked for by anything else."""
    script(tmp_path / "ffmpeg", monkeypatch, "exec true")

    async def give_up_at_its_end() -> None:
        async with running_ffmpeg([], folder=tmp_path) as process:
            # It has ended, and the event loop does not know yet. The thread that waits for it may be first.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            raise ZeroDivisionError

    for _ in range(100):
        with pytest.raises(ZeroDivisionError):
            asyncio.run(give_up_at_its_end())

    assert caplog.messages == []
