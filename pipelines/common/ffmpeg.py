"""Runs of ffmpeg: no shell, stderr drained, the exit code checked, the child reaped whatever happens."""

import asyncio
import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import re
import shutil
import signal
import subprocess
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from pipelines.common.errors import FilmError, StorageError

FFMPEG_CURE = "reinstall imageio-ffmpeg, or let IMAGEIO_FFMPEG_EXE name a working ffmpeg"
_COMMON = ("-y", "-nostdin", "-hide_banner", "-loglevel", "error")
_VERSION = re.compile(r"ffmpeg version (\S+)")
_GRACE_S = 5.0
_QUERY_TIMEOUT_S = 60.0
_TAIL_BYTES = 4096
_CHUNK_BYTES = 1 << 18
# Linux allows pipes of a mebibyte without privileges: most pictures then pass in two writes.
_PIPE_BYTES = 1 << 20
# ffmpeg reports a full disk only in words, and these are the system's own.
_STORAGE_FAULTS = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))


@dataclass(frozen=True, slots=True)
class FfmpegBuild:
    """A build of ffmpeg; another one may encode the same pictures otherwise.

    Attributes:
        version: as it calls itself: `7.1`.
        id: the hex sha-256 of all that it says of itself: its version, its configuration and those of its libraries.
    """

    version: str
    id: str


def ffmpeg_binary() -> str:
    """Return the path of the ffmpeg to run.

    Raises:
        FilmError: none was found.
    """
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise FilmError(f"no ffmpeg was found; {FFMPEG_CURE}") from exc


def ffmpeg_build() -> FfmpegBuild:
    """Return which ffmpeg this machine runs. Blocking, for it is asked.

    Raises:
        FilmError: it is missing, or does not run.
    """
    answer = ask_ffmpeg(ffmpeg_binary(), "-version")
    # It begins with `ffmpeg version 7.1 Copyright`.
    version = _VERSION.match(answer)
    return FfmpegBuild(version[1] if version else "", hashlib.sha256(answer.encode()).hexdigest())


def file_url(path: Path) -> str:
    """Return `path` as ffmpeg reads it without looking for a protocol, an option or a pattern in the name."""
    return f"file:{path.absolute()}"


@contextlib.asynccontextmanager
async def running_ffmpeg(
    arguments: Sequence[str],
    *,
    folder: Path,
    stdin: int = DEVNULL,
    stdout: int = DEVNULL,
    niceness: int = 0,
    on_stderr: Callable[[bytes], None] = lambda _: None,
) -> AsyncIterator[Process]:
    """Run ffmpeg in `folder` while the block writes to it or reads from it; leaving the block waits for its end.

    When the block fails or is cancelled, the child is terminated, then killed. A child that stops reading its stdin
    ends the block early, and its own complaint is raised.

    Args:
        arguments: for ffmpeg, without the program's name.
        folder: the working folder, from which relative names are found.
        stdin: as for `asyncio.create_subprocess_exec`.
        stdout: as for `asyncio.create_subprocess_exec`.
        niceness: above 0, ffmpeg gives way to other processes (see `nice`).
        on_stderr: called with all that ffmpeg writes to its stderr, chunk by chunk.

    Raises:
        FilmError: ffmpeg does not start, or fails; the message holds the end of its stderr.
        StorageError: ffmpeg fails because the disk is full or read-only.
    """
    process = await _start(arguments, folder=folder, stdin=stdin, stdout=stdout)
    assert process.stderr is not None
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
    # Read all the time: a child whose stderr is full waits for it to be read.
    complaint = asyncio.create_task(_read_tail(process.stderr, on_stderr))
    # Only of its own pipe: where there is none, such an error is of something else in the block.
    stopped_reading = (BrokenPipeError, ConnectionResetError) if process.stdin else ()
    try:
        with contextlib.suppress(*stopped_reading):
            yield process
        await _ended(process)
    finally:
        await _reap(process)
        tail = await complaint
    if process.returncode:
        raise _failure(process.returncode, tail)


@contextlib.asynccontextmanager
async def fed_ffmpeg(
    arguments: Sequence[str],
    chunks: Iterable[memoryview],
    *,
    folder: Path,
    stdout: int = DEVNULL,
    niceness: int = 0,
    threads: Executor | None = None,
) -> AsyncIterator[Process]:
    """Run ffmpeg as `running_ffmpeg` does, with `chunks` on its stdin.

    A thread of `threads` (by default of the event loop's own) iterates over the chunks and writes them.

    Raises:
        FilmError: see `running_ffmpeg`.
        StorageError: see `running_ffmpeg`.
        Exception: whatever iterating over `chunks` raised.
    """
    reading, writing = _pipe()
    writer = None
    try:
        async with running_ffmpeg(arguments, folder=folder, stdin=reading, stdout=stdout, niceness=niceness) as child:
            # The child has its own copy. With this one open, its death would not break the pipe for the writer.
            reading = _closed(reading)
            writer = asyncio.get_running_loop().run_in_executor(threads, _write, chunks, writing)
            yield child
            # Not cancelled with the block: a thread cannot be ended, and closes the pipe when it is done.
            await asyncio.shield(writer)
    finally:
        _closed(reading)
        if writer is None:
            _closed(writing)
        else:
            # The child is gone: a thread that still writes meets a broken pipe, and its error no longer counts.
            await asyncio.gather(writer, return_exceptions=True)


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    if set_size := getattr(fcntl, "F_SETPIPE_SZ", None):
        with contextlib.suppress(OSError):
            fcntl.fcntl(writing, set_size, _PIPE_BYTES)
    return reading, writing


def _closed(descriptor: int) -> int:
    """Close a descriptor, and return one that counts as closed; its number may soon be another file's."""
    if descriptor >= 0:
        os.close(descriptor)
    return -1


def _write(chunks: Iterable[memoryview], descriptor: int) -> None:
    """Write until all is written or ffmpeg reads no more; the reason for that is in its own complaint."""
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb", buffering=0) as pipe:
        for chunk in chunks:
            rest = chunk
            while rest:
                rest = rest[pipe.write(rest) :]


async def _start(arguments: Sequence[str], *, folder: Path, stdin: int, stdout: int) -> Process:
    binary = ffmpeg_binary()
    try:
        return await asyncio.create_subprocess_exec(
            binary,
            *_COMMON,
            *arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=PIPE,
            cwd=folder,
            limit=_CHUNK_BYTES,
            # Ctrl-C in a terminal goes to the whole process group: the run answers it, and ends its children.
            start_new_session=True,
        )
    except OSError as exc:
        raise FilmError(f"{binary}: does not run: {exc.strerror or exc}; {FFMPEG_CURE}") from exc


async def _read_tail(stream: StreamReader, on_chunk: Callable[[bytes], None]) -> str:
    tail = b""
    while chunk := await stream.read(_CHUNK_BYTES):
        on_chunk(chunk)
        tail = (tail + chunk)[-_TAIL_BYTES:]
    return tail.decode(errors="replace").strip()


async def _ended(process: Process) -> None:
    """Wait for the child's end. The rest of its stdout is read and dropped, or the child might block on it."""
    if process.stdin is not None:
        process.stdin.close()
    while process.stdout is not None and await process.stdout.read(_CHUNK_BYTES):
        pass
    await process.wait()


async def _reap(process: Process) -> None:
    """End a child that still runs: terminate it, and kill it if that does not help."""
    if process.returncode is not None:
        return
    try:
        _send_signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await _ended(process)
    finally:
        # Also where the wait itself was cancelled: no child outlives the program.
        if process.returncode is None:
            _send_signal(process, signal.SIGKILL)
            await _ended(process)


def _send_signal(process: Process, number: int) -> None:
    # Not by the process's own methods: they ask for its exit code first, and asyncio, which waits for that too, then
    # finds none where the child has just ended.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _failure(code: int, tail: str) -> FilmError | StorageError:
    if any(fault in tail for fault in _STORAGE_FAULTS):
        return StorageError(f"the film cannot be written; free space or choose another --output: {tail}")
    ended = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
    return FilmError(f"ffmpeg {ended}: {tail}" if tail else f"ffmpeg {ended} and gave no reason")


def ask_ffmpeg(binary: str, *question: str) -> str:
    """Return what ffmpeg says of itself; asked once, unless its file changes. Blocking.

    Raises:
        FilmError: it does not run.
    """
    try:
        stat = Path(shutil.which(binary) or binary).stat()
        return _ask(binary, question, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except (OSError, subprocess.SubprocessError) as exc:
        raise FilmError(f"{binary}: does not run: {exc}; {FFMPEG_CURE}") from exc


@functools.lru_cache
def _ask(binary: str, question: Sequence[str], _state: tuple[int, ...]) -> str:
    return subprocess.run(
        [binary, *question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=_QUERY_TIMEOUT_S,
    ).stdout
