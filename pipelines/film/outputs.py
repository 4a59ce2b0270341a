"""The films of one storyboard: one for each output, cut while frames come, and the files beside them."""

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from pipelines.common.files import write_atomic
from pipelines.film.assembler import FilmAssembler
from pipelines.film.claims import PieceClaims
from pipelines.film.effort import FilmObserver
from pipelines.film.frame_picture import FramePicture
from pipelines.film.painting import ReadFrame, read_frame
from pipelines.film.probe import Film
from pipelines.film.subtitles import srt_text, vtt_text
from pipelines.film.word_times import words_text
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline


class Films:
    """The films of a plan: frames are reported as they come, then all films are cut into the plan's folder."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        observer: FilmObserver | None = None,
        read: ReadFrame = read_frame,
        claims: PieceClaims | None = None,
    ) -> None:
        """Prepare to cut the films.

        Args:
            plan: the storyboard's frames, and a timeline for each film.
            folder: where the films go, and their pieces in a folder there.
            observer: hears of each piece once it is there, and when a film's pieces are joined.
            read: reads a frame; called from several threads at once.
            claims: on pieces, where other runs encode into the same folder.
        """
        self._plan = plan
        self._folder = folder
        self._segments = folder / "segments"
        self._assemblers = [
            FilmAssembler(timeline, self._segments, observer=observer, read=read, claims=claims)
            for timeline in plan.timelines
        ]

    def __len__(self) -> int:
        """Return how many pieces the films have."""
        return sum(map(len, self._assemblers))

    @property
    def paths(self) -> list[Path]:
        """Where the films go, or are, in the order of the outputs."""
        return film_paths(self._folder, self._plan)

    @property
    def megapixels(self) -> float:
        """The effort of encoding all pieces; see `effort.megapixels`."""
        return sum(assembler.megapixels for assembler in self._assemblers)

    @property
    def encoders(self) -> int:
        """How many encoders run side by side when a film is cut."""
        return max(assembler.encoders for assembler in self._assemblers)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator["Films"]:
        """Encode in the background what frames complete, for as long as the block lasts."""
        async with contextlib.AsyncExitStack() as stack:
            for assembler in self._assemblers:
                await stack.enter_async_context(assembler)
            yield self

    def arrived(self, frame: int, picture: FramePicture) -> None:
        """Take note of a frame's picture."""
        for assembler in self._assemblers:
            assembler.arrived(frame, picture)

    async def cut(self, pictures: Sequence[FramePicture]) -> list[Film]:
        """Cut every film, write the captions beside the first, and delete the pieces that no film uses any more.

        Only one run at a time may do this in a folder: the pieces of another film would be deleted.

        Args:
            pictures: that of each frame, by its number.

        Raises:
            FilmError: a film could not be cut; see `cut_film`.
            StorageError: a file could not be written.
        """
        # One after another: each already uses all processors.
        films = [
            await assembler.cut(pictures, target)
            for assembler, target in zip(self._assemblers, self.paths, strict=True)
        ]
        self._write_captions()
        drop_unused(self._segments, {piece for assembler in self._assemblers for piece in assembler.used})
        return films

    def write_otio(self, frames: Sequence[Path]) -> Path:
        """Write the first film's timeline as OpenTimelineIO; return the file.

        `frames[n]` is the picture of frame number n.

        Raises:
            StorageError: it could not be written.
        """
        # Only here: the package takes long to import, and few runs need it.
        from pipelines.film.interchange import otio_text

        path = self._folder / f"{self._plan.storyboard}.otio"
        write_atomic(path, otio_text(self._plan.timeline, frames, folder=self._folder).encode())
        return path

    def _write_captions(self) -> None:
        timeline = self._plan.timeline
        texts = {"srt": srt_text(timeline), "vtt": vtt_text(timeline), "words.json": words_text(self._plan)}
        for suffix, text in texts.items():
            path = self._folder / f"{self._plan.storyboard}.{suffix}"
            if text:
                write_atomic(path, text.encode())
            else:
                path.unlink(missing_ok=True)


def drop_unused(segments: Path, used: Collection[Path]) -> None:
    """Delete the pieces in a folder that no film uses any more, those of earlier versions too."""
    # Not those that begin with a dot: they are temporary, and being written.
    for piece in segments.glob("[!.]*"):
        if piece.is_file() and piece not in used:
            with contextlib.suppress(OSError):
                piece.unlink()


def film_paths(folder: Path, plan: Plan) -> list[Path]:
    """Return where a plan's films go, in the order of its outputs; see `film_path`."""
    return [film_path(folder, plan.storyboard, timeline) for timeline in plan.timelines]


def film_path(folder: Path, storyboard: str, timeline: Timeline) -> Path:
    """Return where a film goes: `<id>.mp4` for the first output, `<id>-<output>.mp4` for others, by its format."""
    output = timeline.output
    name = f"{storyboard}-{output.name}" if output.name else storyboard
    return folder / f"{name}.{encoding_of(output.codec).extension}"
