"""A voice that is a program of the user's own: it reads text and writes a WAV."""

import contextlib
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import IO

from pipelines.common.files import storage_errors
from pipelines.common.printable import one_line
from pipelines.voice.errors import SlowVoiceError, VoiceError, VoiceStoppedError
from pipelines.voice.listening import Listener
from pipelines.voice.sayings import Sayings
from pipelines.voice.sound import RATE_HZ, cut_before, read_sound
from pipelines.voice.voices import SpokenText

# A voice that needs a second for five letters is slower than any: people speak fifteen.
_LEAST_TIME_S = 60.0
_TIME_S_A_LETTER = 0.2
# However slowly it speaks, and whatever numbers and pauses it has to speak.
_LEAST_LENGTH_S = 15
_LENGTH_S_A_LETTER = 1
# Two channels of four bytes.
_MOST_BYTES_A_SECOND = RATE_HZ * 2 * 4
_POLL_S = 0.02
_TAIL_BYTES = 2000
_MAX_SHOWN_BYTES = 16
_RIFF = (b"RIFF", b"RF64")
# What programs that write as they speak put where the size of the sound should stand: nothing, or as much as fits.
_LEAST_UNKNOWN_SIZE = 0x7FFF0000
_CURE = "a voice reads text from stdin and writes one whole WAV to stdout"


def time_limit_s(text: str) -> float:
    """Return the seconds within which a voice must have spoken a text."""
    return _LEAST_TIME_S + _TIME_S_A_LETTER * len(text)


@dataclass(frozen=True, slots=True)
class Program:
    """A program, as it is run.

    Attributes:
        command: its path and its arguments.
        folder: its working folder.
        environment: its environment variables.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its file's name, for messages."""
        return Path(self.command[0]).name


class CommandVoice:
    """Speaks by a program; see `Voice`."""

    def __init__(
        self,
        program: Program,
        *,
        speed: Fraction,
        sayings: Sayings,
        listener: Listener,
        stop: Event,
        limit_s: Callable[[str], float] = time_limit_s,
    ) -> None:
        """Take the program.

        Args:
            program: reads UTF-8 text from stdin, and writes a WAV to stdout.
            speed: 1 as it speaks by itself, 2 twice as fast.
            sayings: what is spoken in the place of some words.
            listener: finds the words in what it says.
            stop: ends what it says, once it is set.
            limit_s: returns the seconds within which it must have spoken a text.
        """
        self._program = program
        self._speed = speed
        self._sayings = sayings
        self._listener = listener
        self._stop = stop
        self._limit_s = limit_s

    def speak(self, text: str) -> SpokenText:
        """Speak a text; see `Voice.speak`."""
        said = self._sayings.spoken(text)
        longest_s = _LEAST_LENGTH_S + _LENGTH_S_A_LETTER * len(said)
        wav = self._run(said, most_bytes=longest_s * _MOST_BYTES_A_SECOND)
        try:
            _require_whole(wav)
            sound = read_sound(wav, longest_s=math.ceil(longest_s / self._speed), speed=self._speed)
            return self._listener.listen(text, cut_before(sound, RATE_HZ), said=said)
        except VoiceError as exc:
            raise VoiceError(f"{self._program.name}: what it wrote for {len(said):,} letters {exc}; {_CURE}") from exc

    def _run(self, text: str, *, most_bytes: int) -> bytes:
        """Return what the program writes for a text.

        Raises:
            VoiceError: it fails, takes too long, or writes too much.
            StorageError: there is no room for what it reads and writes.
        """
        # Files and no pipes: nothing waits for anything, whoever else holds them open.
        with contextlib.ExitStack() as files:
            with storage_errors(Path(tempfile.gettempdir())):
                given, wav, complaint = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
                given.write(text.encode())
                given.seek(0)
            process = self._started(given, wav, complaint)
            try:
                self._await_end(process, (wav, complaint), most_bytes=most_bytes, limit_s=self._limit_s(text))
            finally:
                # With all that it has started.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.returncode:
                raise VoiceError(f"{self._program.name}: {_ended(process.returncode, complaint)}; {_CURE}")
            wav.seek(0)
            return wav.read()

    def _started(self, given: IO[bytes], wav: IO[bytes], complaint: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._program.command,
                stdin=given,
                stdout=wav,
                stderr=complaint,
                cwd=self._program.folder,
                env=self._program.environment,
                start_new_session=True,
            )
        except OSError as exc:
            raise VoiceError(f"{self._program.name}: does not run: {exc.strerror or exc}; {_CURE}") from exc

    def _await_end(
        self, process: subprocess.Popen[bytes], outputs: Sequence[IO[bytes]], *, most_bytes: int, limit_s: float
    ) -> None:
        deadline = time.monotonic() + limit_s
        while process.poll() is None:
            if self._stop.is_set():
                raise VoiceStoppedError(f"{self._program.name}: was stopped")
            if any(os.fstat(output.fileno()).st_size > most_bytes for output in outputs):
                raise VoiceError(
                    f"{self._program.name}: has written more than {most_bytes / 1e6:.0f} MB for its text; {_CURE}"
                )
            if time.monotonic() > deadline:
                raise SlowVoiceError(f"{self._program.name}: has not spoken after {limit_s:.0f} s; {_CURE}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)


def _ended(code: int, complaint: IO[bytes]) -> str:
    """Return how a program ended, with the end of what it wrote to stderr."""
    complaint.seek(0, os.SEEK_END)
    complaint.seek(max(0, complaint.tell() - _TAIL_BYTES))
    last = complaint.read().decode(errors="replace").strip().splitlines()[-1:]
    ended = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
    return f"{ended}: {one_line(last[0])}" if last else f"{ended} and gave no reason"


def _require_whole(wav: bytes) -> None:
    """Require that bytes are a WAV whose sound is all there.

    Raises:
        VoiceError: they are not.
    """
    if not wav:
        raise VoiceError("is empty")
    if wav[:4] not in _RIFF or wav[8:12] != b"WAVE":
        raise VoiceError(f"is no WAV: it begins with {wav[:_MAX_SHOWN_BYTES]!r}")
    at = 12
    while at + 8 <= len(wav):
        kind, size = wav[at : at + 4], int.from_bytes(wav[at + 4 : at + 8], "little")
        at += 8
        if kind == b"data":
            if at + size > len(wav) and size < _LEAST_UNKNOWN_SIZE:
                raise VoiceError(f"is cut off: {at + size - len(wav):,} of its {size:,} bytes of sound are missing")
            return
        # Chunks begin at even places.
        at += size + size % 2
    raise VoiceError("is a WAV without sound")
