"""Pieces become the film: joined without encoding again, each picture at its time, with sound, captions, chapters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipelines.film.captions import srt_text
from pipelines.film.encoding import rate
from pipelines.film.ffmpeg import fed_ffmpeg, file_url, running_ffmpeg
from pipelines.film.metadata import film_metadata
from pipelines.film.segments import Segment
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

# Players round what they show to the file's own clock: make it fine, and a whole multiple of the video frame.
_CLOCK_MIN_HZ = 10_000
_METADATA = "metadata.txt"
_PIECES = "pieces.ffconcat"
_SUBTITLES = "subtitles.srt"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JoinInput:
    """What is joined: each segment's piece, in order, and the film's sound, if it has any."""

    segments: Sequence[Segment]
    pieces: Sequence[Path]
    sound: Path | None = None


async def join_pieces(reel: JoinInput, timeline: Timeline, target: Path, *, comment: str, folder: Path) -> None:
    """Write the film to `target`.

    Args:
        reel: what it is made of.
        timeline: its rate, its codec, its title, chapters and captions.
        target: where it goes.
        comment: a mark for its metadata.
        folder: an empty folder of ours to work in.

    Raises:
        FilmError: ffmpeg failed.
        StorageError: the film could not be written.
    """
    encoding = encoding_of(timeline.output.codec)
    (folder / _METADATA).write_text(film_metadata(timeline, comment=comment), encoding="utf-8")
    inputs = [*_pieces_input(reel, timeline, folder), *("-f", "ffmetadata", "-i", _METADATA)]
    streams = ["-map", "0:v", "-map_metadata", "1", "-map_chapters", "1"]
    if reel.sound and encoding.audio:
        inputs += ["-i", file_url(reel.sound)]
        streams += ["-map", "2:a", "-c:a", "copy"]
    if (captions := srt_text(timeline.holds, timeline.output.fps)) and encoding.subtitles:
        (folder / _SUBTITLES).write_text(captions, encoding="utf-8")
        place = 3 if reel.sound and encoding.audio else 2
        inputs += ["-f", "srt", "-i", _SUBTITLES]
        # There for who wants it: burned captions need no second showing.
        streams += ["-map", f"{place}:s", "-c:s", encoding.subtitles, "-disposition:s:0", "0"]
    arguments = [*inputs, *streams, *_video(timeline), file_url(target)]
    if encoding.piece == "h264":
        async with fed_ffmpeg(arguments, _bytes_of(reel.pieces), folder=folder):
            pass
    else:
        async with running_ffmpeg(arguments, folder=folder):
            pass


def _video(timeline: Timeline) -> list[str]:
    encoding, fps = encoding_of(timeline.output.codec), timeline.output.fps
    if not encoding.copies:
        return [*encoding.join, "-r", rate(fps), "-f", encoding.extension]
    pace = f"({rate(fps)})*TB"
    filters = [f"setts=ts=round(N/({pace})):duration=round(1/({pace}))"]
    if encoding.piece == "h264":
        # Delimiters, x264's notes and repeated headers go: an MP4 keeps the headers once, on its own.
        filters.insert(0, "filter_units=remove_types=6-9")
    clock_hz = str(fps.numerator * -(-_CLOCK_MIN_HZ // fps.numerator))
    clock = ["-video_track_timescale", clock_hz, "-movie_timescale", clock_hz] if encoding.extension != "webm" else []
    return [*encoding.join, "-bsf:v", ",".join(filters), *clock, "-f", encoding.extension]


def _pieces_input(reel: JoinInput, timeline: Timeline, folder: Path) -> list[str]:
    """Return the arguments that read the pieces.

    Raw streams are one when they are put one behind the other; ffmpeg would probe each of them for long.
    """
    if encoding_of(timeline.output.codec).piece == "h264":
        return ["-r", rate(timeline.output.fps), "-f", "h264", "-i", "pipe:0"]
    (folder / _PIECES).write_text("".join(_list_lines(reel, timeline, folder)), encoding="utf-8")
    return ["-f", "concat", "-safe", "0", "-i", _PIECES]


def _bytes_of(pieces: Sequence[Path]) -> Iterator[memoryview]:
    for piece in pieces:
        with piece.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield memoryview(chunk)


def _list_lines(reel: JoinInput, timeline: Timeline, folder: Path) -> Iterator[str]:
    """Yield the list of pieces; by links with plain names, for quotes and newlines in the user's."""
    encoding, fps = encoding_of(timeline.output.codec), timeline.output.fps
    links = folder / "pieces"
    links.mkdir()
    yield "ffconcat version 1.0\n"
    # The list counts in whole microseconds: cutting at rounded times keeps the error from adding up.
    ends = [segment.start + segment.length for segment in reel.segments]
    cuts_us = pairwise(round(video_frame * 1_000_000 / fps) for video_frame in [0, *ends])
    for number, (piece, (start_us, end_us)) in enumerate(zip(reel.pieces, cuts_us, strict=True)):
        name = f"pieces/{number}.{encoding.piece}"
        (folder / name).symlink_to(piece.absolute())
        yield f"file {name}\nduration {end_us - start_us}us\n"
