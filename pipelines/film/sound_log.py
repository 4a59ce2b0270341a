"""What ffmpeg logs as it reads a sound file: what the file's header states, and what is wrong with it."""

import re
from fractions import Fraction

from pipelines.film.sound_containers import CONTAINERS, Clock, Container

# The options that make ffmpeg write what is read here; each line then names its level.
LOG_OPTIONS = ("-nostats", "-loglevel", "repeat+level+info")
# A tag of a file may be a line of any length; no line of interest is longer than this.
_LINE_MAX_BYTES = 2048
_KEPT_COMPLAINTS = 20
# What a file's tags say is indented further, and what is written is described after the streams were mapped.
_CONTAINER = re.compile(r"\[info\] Input #0, ([^ ]+), from ")
_DURATION = re.compile(r"\[info\]   Duration: (\d+):(\d\d):(\d\d\.\d+),")
_STREAM = re.compile(r"\[info\]   Stream #0:\d+")
_MAPPED = "[info] Stream mapping:"
_COVER = "(attached pic)"
# ffmpeg's own words where a header states no length.
_ESTIMATE = "Estimating duration from bitrate"
_COMPLAINT = re.compile(r"\[(?:error|fatal)\] (.*)")
_GAVE_UP = "Error during demuxing"
_UNKNOWN = Container("", Clock.LOOSE)


class SoundLog:
    """Reads ffmpeg's log as it is written.

    Attributes:
        container: the kind of file, once ffmpeg has opened it.
        complaints: what ffmpeg said of errors, the last few.
    """

    def __init__(self) -> None:
        self.container = _UNKNOWN
        self.complaints: list[str] = []
        self._unfinished = b""
        self._in_header = True
        self._duration_s: Fraction | None = None
        self._is_estimate = False
        self._streams = 0

    def feed(self, chunk: bytes) -> None:
        """Read a part of the log; it may begin and end within a line."""
        *lines, rest = (self._unfinished + chunk).split(b"\n")
        for line in lines:
            self._read(line.decode(errors="replace"))
        self._unfinished = rest[:_LINE_MAX_BYTES]

    @property
    def gave_up(self) -> bool:
        """Say whether ffmpeg stopped before the file's end."""
        return any(_GAVE_UP in complaint for complaint in self.complaints)

    @property
    def stated_s(self) -> Fraction | None:
        """Return how long the sound should be by the file's header, to a hundredth of a second; None if not stated."""
        # Of several streams, the length is that of the longest: the sound of a film may end before its picture does.
        is_stated = not self._is_estimate and (self._streams == 1 or self.complaints)
        return self._duration_s if is_stated else None

    def _read(self, line: str) -> None:
        if found := _COMPLAINT.search(line):
            self.complaints = [*self.complaints, found[1]][-_KEPT_COMPLAINTS:]
        self._is_estimate = self._is_estimate or _ESTIMATE in line
        self._in_header = self._in_header and not line.startswith(_MAPPED)
        if self._in_header:
            self._read_header(line)

    def _read_header(self, line: str) -> None:
        if found := _CONTAINER.match(line):
            # ffmpeg names one by all that it reads: `mov,mp4,m4a,3gp,3g2,mj2`.
            names = found[1].split(",")
            self.container = next((container for container in CONTAINERS if container.demuxer in names), _UNKNOWN)
        elif found := _DURATION.match(line):
            hours, minutes, seconds = found.groups()
            self._duration_s = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        elif _STREAM.match(line):
            self._streams += _COVER not in line
