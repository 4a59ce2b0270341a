"""Names and marks that say what a piece or a film was made of: what would come out the same is not made again.

A piece is named by the content of its pictures and by the build that encodes it, so it has one name on every machine.

Names are hashes of `repr`. So the names of the dataclasses that go into them, and of their fields, must stay as they
are: with another name every piece would be encoded again.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import FfmpegBuild, ffmpeg_build
from pipelines.common.lettering.layout import typefaces_of
from pipelines.film.captions import Highlighted, ScreenText, text_of
from pipelines.film.encoding import KEYFRAME_EVERY, encoder_arguments, keyframe_every
from pipelines.film.frame_picture import FramePictures, content_of
from pipelines.film.segments import Segment
from pipelines.film.spoken_captions import CaptionRun, CaptionTrack, cues_of
from pipelines.storyboard.model import CaptionStyle, SoundMix
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline

_MARKED = re.compile(rb"storyreel:([0-9a-f]{64})( draft)?")
# The mark is in the headers, which take a few bytes a video frame, or at the very end.
_HEADERS_MAX_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20
# Digits of a hash that people compare.
_SHORT = 6


@dataclass(frozen=True, slots=True)
class EncoderBuild:
    """The programs and fonts of this machine that its pieces depend on.

    Machines of which these differ don't use each other's pieces.

    Attributes:
        id: tells it from any other; short, in hex.
        text: for people: `ffmpeg 7.1 (5f3a9c), fonts 1a2b3c`.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class FilmMark:
    """The mark that a film bears in its metadata; its text is the comment there.

    Attributes:
        identity: tells all that went into the film; see `film_identity`.
        draft: whether the film holds pieces that come out otherwise in the final one.
    """

    identity: str
    draft: bool = False

    def __str__(self) -> str:
        return f"storyreel:{self.identity}{' draft' if self.draft else ''}"


_MOST_MARK_BYTES = len(str(FilmMark("0" * 64, draft=True)))


def encoder_build(timelines: Iterable[Timeline]) -> EncoderBuild:
    """Return what the pieces of films depend on here besides their pictures. Blocking.

    Args:
        timelines: the films; fonts count only where their captions are drawn.

    Raises:
        FilmError: ffmpeg is missing or does not run, or a font cannot be read.
    """
    build = ffmpeg_build()
    fonts = sorted({font for timeline in timelines for font in _fonts_of(timeline)})
    text = f"ffmpeg {build.version} ({build.id[:_SHORT]})"
    if fonts:
        text += f", fonts {_hash(fonts)[:_SHORT]}"
    return EncoderBuild(_hash((build.id, fonts))[: 2 * _SHORT], text)


def piece_name(segment: Segment, timeline: Timeline, frames: FramePictures, *, build: FfmpegBuild) -> str:
    """Return the file name of a segment's piece: a hash of all that goes into it. Blocking: files may have to be read.

    Args:
        segment: the segment.
        timeline: its film's size, rate, codec, quality and captions count; the name of the output does not.
        frames: the pictures of the segment's frames, by the frames' numbers.
        build: the ffmpeg that encodes it.

    Raises:
        FilmError: a picture without a hash, or a font, cannot be read.
    """
    output, style = replace(timeline.output, name=""), timeline.captions
    lettering = _lettering(_drawn(segment.captions, style), style)
    arguments = encoder_arguments(output, segment.kind)
    if (every := keyframe_every(output)) != KEYFRAME_EVERY:
        arguments.append(f"keyframes {every}")
    if output.delivery.max_bitrate is not None:
        arguments.append(f"bits {output.delivery.max_bitrate}")
    identities = {frame: frames[frame].identity() for frame in segment.frames}
    key = segment.key(identities, (output, arguments, build.id, lettering))
    return f"{key}.{encoding_of(output.codec).piece}"


def film_identity(timeline: Timeline, pieces: Sequence[Path], sound: Path | None) -> str:
    """Return the hex sha-256 of all that goes into a film: its timeline and its pieces, each named by its own key."""
    names = [piece.name for piece in pieces], sound.name if sound else None
    # The sound's own name says what is heard; the folders of its source files don't count.
    spoken = (timeline.spoken, cues_of(timeline)) if timeline.spoken else ()
    joined = () if timeline.output.delivery.edit_list else ("no edit list",)
    ingredients = replace(timeline, sound=SoundMix()), encoding_of(timeline.output.codec), names, *spoken, *joined
    return _hash(ingredients)


def _fonts_of(timeline: Timeline) -> list[str]:
    captions = CaptionTrack(timeline).between(0, timeline.video_frames)
    return _fonts(_drawn(captions, timeline.captions), timeline.captions)


def _lettering(drawn: Collection[ScreenText], style: CaptionStyle) -> object:
    """Return what tells how texts are drawn from any other way."""
    if not drawn:
        return None
    colours = [style.highlight] if any(isinstance(text, Highlighted) for text in drawn) else []
    # Colours were once converted otherwise, but for grays.
    colours += [colour for colour in (style.color, style.outline) if len({colour[1:3], colour[3:5], colour[5:7]}) > 1]
    return (style, _fonts(drawn, style), *colours)


def _drawn(captions: Iterable[CaptionRun], style: CaptionStyle) -> frozenset[ScreenText]:
    """Return what is drawn into pictures."""
    return frozenset(text for _, text in captions if text and style.burn)


def _fonts(drawn: Iterable[ScreenText], style: CaptionStyle) -> list[str]:
    """Return what tells the fonts that draw texts from others: their content, and the face in it."""
    texts = set(map(text_of, drawn))
    faces = {face for text in texts for face in typefaces_of(text, style.font_stack)}
    try:
        return sorted(f"{content_of(face.file)} {face.index}" for face in faces)
    except OSError as exc:
        raise FilmError(f"{exc.filename}: the font cannot be read: {exc.strerror}") from exc


def _hash(ingredients: object) -> str:
    return hashlib.sha256(repr(ingredients).encode()).hexdigest()


def mark_end(path: Path, mark: str) -> None:
    """Append the mark to a film whose format has no place for a comment; decoders stop before it."""
    with path.open("ab") as file:
        file.write(mark.encode())


def read_mark(path: Path) -> FilmMark | None:
    """Return the mark of the film at `path`; None where there is no film, or one without a mark."""
    try:
        with path.open("rb") as file:
            file.seek(-min(_MOST_MARK_BYTES, path.stat().st_size), os.SEEK_END)
            marked = _MARKED.search(file.read())
            file.seek(0)
            marked = marked or _search_headers(file)
    except OSError:
        return None
    return FilmMark(marked[1].decode(), draft=marked[2] is not None) if marked else None


def _search_headers(file: BinaryIO) -> re.Match[bytes] | None:
    """Return the first mark in the headers of a film; no more is read than is needed to find it."""
    read, end = b"", False
    while not end and file.tell() < _HEADERS_MAX_BYTES:
        chunk = file.read(_CHUNK_BYTES)
        end = len(chunk) < _CHUNK_BYTES
        # With what may be the beginning of a mark that the chunk before has cut off.
        read = read[-_MOST_MARK_BYTES:] + chunk
        marked = _MARKED.search(read)
        if marked and (end or marked.start() + _MOST_MARK_BYTES <= len(read)):
            return marked
    return None


def drafts_among(films: Iterable[Path]) -> frozenset[Path]:
    """Return which of some films say of themselves that they are drafts. Blocking."""
    marks = {path: read_mark(path) for path in films}
    return frozenset(path for path, mark in marks.items() if mark and mark.draft)
