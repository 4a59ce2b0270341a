"""Pieces become the film: joined without encoding again, each picture at its time, with sound, captions, chapters."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipelines.common.ffmpeg import fed_ffmpeg, file_url, running_ffmpeg
from pipelines.common.languages import iso_639_2
from pipelines.film.encoding import rate
from pipelines.film.ivf import ivf_of
from pipelines.film.metadata import film_metadata
from pipelines.film.mp4 import disable_subtitles
from pipelines.film.segments import Segment
from pipelines.film.subtitles import ass_text, vtt_text
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

# Players round times to the file's own clock: it is made fine, and a video frame a whole multiple of its tick.
_CLOCK_MIN_HZ = 10_000
_METADATA = "metadata.txt"
_PIECES = "pieces.ffconcat"
_SUBTITLES = "subtitles"
_WEBVTT = "webvtt"
_MP4_EXTENSIONS = ("mp4", "mov")


@dataclass(frozen=True, slots=True)
class JoinInput:
    """The parts of one film.

    Attributes:
        segments: in order.
        pieces: the encoded file of each.
        sound: the mixed sound; None where the film has none.
    """

    segments: Sequence[Segment]
    pieces: Sequence[Path]
    sound: Path | None = None


async def join_pieces(joined: JoinInput, timeline: Timeline, target: Path, *, comment: str, folder: Path) -> None:
    """Write the film to `target`.

    Args:
        joined: its pieces and its sound.
        timeline: its rate, its codec, its title, chapters and captions.
        target: where it goes.
        comment: a mark for its metadata.
        folder: an empty folder to work in.

    Raises:
        FilmError: ffmpeg failed.
        StorageError: the film could not be written.
    """
    encoding = encoding_of(timeline.output.codec)
    (folder / _METADATA).write_text(film_metadata(timeline, comment=comment), encoding="utf-8")
    inputs = [*_pieces_input(joined, timeline, folder), *("-f", "ffmetadata", "-i", _METADATA)]
    # Inputs by number: 0 the pieces, 1 the metadata, then the sound and the captions where there are any.
    streams = ["-map", "0:v", "-map_metadata", "1", "-map_chapters", "1"]
    if joined.sound and encoding.audio:
        inputs += ["-i", file_url(joined.sound)]
        streams += ["-map", "2:a", "-c:a", "copy"]
        if not timeline.output.delivery.edit_list:
            # An encoder's first packet of sound is heard before the film begins: only an edit list can say so. Without
            # the packet the sound is on time, and fades in during its first 21 ms.
            streams += ["-bsf:a", "noise=drop=eq(n\\,0)"]
    if subtitles := _subtitles_input(timeline, folder):
        place = 3 if joined.sound and encoding.audio else 2
        inputs += subtitles
        streams += ["-map", f"{place}:s", *_subtitles(timeline)]
    arguments = [*inputs, *streams, *_video(timeline), file_url(target)]
    if encoding.piece == "h264":
        pictures = ivf_of(joined.pieces, size=timeline.output.size, fps=timeline.output.fps)
        async with fed_ffmpeg(arguments, pictures, folder=folder):
            pass
    else:
        async with running_ffmpeg(arguments, folder=folder):
            pass
    if subtitles and timeline.captions.burn and encoding.extension in _MP4_EXTENSIONS:
        await asyncio.to_thread(disable_subtitles, target)


def _subtitles_input(timeline: Timeline, folder: Path) -> list[str]:
    """Return the arguments that read the captions, once they are written; none where there is no subtitle track."""
    codec = encoding_of(timeline.output.codec).subtitles
    if codec is None:
        return []
    # On their way to an MP4, ffmpeg would change some captions of WebVTT or SubRip; those of ASS it takes as they are.
    kind, text = (codec, vtt_text(timeline)) if codec == _WEBVTT else ("ass", ass_text(timeline))
    (folder / _SUBTITLES).write_text(text, encoding="utf-8")
    return ["-f", kind, "-i", _SUBTITLES] if text else []


def _subtitles(timeline: Timeline) -> list[str]:
    """Return the arguments that write the subtitle track; players show it by themselves unless captions are drawn."""
    codec, style = encoding_of(timeline.output.codec).subtitles, timeline.captions
    language = ["-metadata:s:s:0", f"language={iso_639_2(style.language)}"] if style.language else []
    written = "copy" if codec == _WEBVTT else str(codec)
    return ["-c:s", written, *language, "-disposition:s:0", "0" if style.burn else "default"]


def _video(timeline: Timeline) -> list[str]:
    encoding, fps = encoding_of(timeline.output.codec), timeline.output.fps
    if not encoding.copies:
        return [*encoding.join, "-r", rate(fps), "-f", encoding.extension]
    if encoding.piece == "h264":
        # A clock that ticks once a video frame. A picture is decoded at most one video frame before it is shown: the
        # file's edit list says so, and the first is shown at 0.
        # Drop delimiters, x264's notes and repeated headers (H.264, table 7-1): an MP4 keeps the headers apart, once.
        filters = "filter_units=remove_types=6-9,setts=pts=PTS:dts=N-1:duration=1"
    else:
        # The list counts in microseconds: every picture gets the time of the video frame that it is, exact to the
        # clock's tick. Pictures come in the order in which they are decoded.
        pace = f"({rate(fps)})*TB"
        shown, decoded = f"round(PTS*{pace})", f"(N-{encoding.decoded_ahead})"
        filters = f"setts=pts=round({shown}/({pace})):dts=round({decoded}/({pace})):duration=round(1/({pace}))"
    # WebM has no such options: its clock has milliseconds.
    clock_hz = str(fps.numerator * -(-_CLOCK_MIN_HZ // fps.numerator))
    clock = ["-video_track_timescale", clock_hz, "-movie_timescale", clock_hz] if encoding.extension != "webm" else []
    if not timeline.output.delivery.edit_list:
        # In place of an edit list: the first picture is decoded at 0, and some are shown before they would be decoded.
        clock += ["-movflags", "+negative_cts_offsets", "-use_editlist", "0"]
    return [*encoding.join, "-bsf:v", filters, *clock, "-f", encoding.extension]


def _pieces_input(joined: JoinInput, timeline: Timeline, folder: Path) -> list[str]:
    """Return the arguments that read the pieces."""
    if encoding_of(timeline.output.codec).piece == "h264":
        # Written as one stream; from a list, ffmpeg would probe each piece for long.
        return ["-f", "ivf", "-i", "pipe:0"]
    (folder / _PIECES).write_text("".join(_list_lines(joined, timeline, folder)), encoding="utf-8")
    return ["-f", "concat", "-safe", "0", "-i", _PIECES]


def _list_lines(joined: JoinInput, timeline: Timeline, folder: Path) -> Iterator[str]:
    """Yield the lines of ffmpeg's list of the pieces (ffmpeg-formats, "concat")."""
    encoding, fps = encoding_of(timeline.output.codec), timeline.output.fps
    # By links with plain names: those of the user's folders may hold quotes and newlines.
    links = folder / "pieces"
    links.mkdir()
    yield "ffconcat version 1.0\n"
    # The list counts in whole microseconds: cutting at rounded times keeps the error from adding up.
    ends = [segment.start + segment.length for segment in joined.segments]
    cuts_us = pairwise(round(video_frame * 1_000_000 / fps) for video_frame in [0, *ends])
    for number, (piece, (start_us, end_us)) in enumerate(zip(joined.pieces, cuts_us, strict=True)):
        name = f"pieces/{number}.{encoding.piece}"
        (folder / name).symlink_to(piece.absolute())
        yield f"file {name}\nduration {end_us - start_us}us\n"
