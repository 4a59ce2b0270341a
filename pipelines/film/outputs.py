"""The films of one storyboard: one for each output, cut while frames come, and what lies beside them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from pipelines.common.files import write_atomic
from pipelines.film.assembler import Film, FilmAssembler
from pipelines.film.captions import srt_text
from pipelines.film.painting import ReadFrame, read_frame
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline


class Films:
    """Cuts the films of a plan into its folder. Enter it, tell it of frames as they come, and let it cut."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        on_encoded: Callable[[], None] = lambda: None,
        read: ReadFrame = read_frame,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._segments = folder / "segments"
        self._cutters = [
            FilmAssembler(timeline, self._segments, told=on_encoded, read=read) for timeline in plan.timelines
        ]

    def __len__(self) -> int:
        """Return how many pieces the films have."""
        return sum(map(len, self._cutters))

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator["Films"]:
        """Encode in the background what frames complete, for as long as the block lasts."""
        async with contextlib.AsyncExitStack() as stack:
            for cutter in self._cutters:
                await stack.enter_async_context(cutter)
            yield self

    def arrived(self, frame: int, picture: Path) -> None:
        """Take note of a frame's picture."""
        for cutter in self._cutters:
            cutter.arrived(frame, picture)

    async def cut(self, pictures: Sequence[Path]) -> list[Film]:
        """Cut every film, write the captions beside the first, and drop the pieces that no film uses any more.

        For one run at a time.

        Raises:
            FilmError: a film could not be cut; see `cut_film`.
            StorageError: a file could not be written.
        """
        targets = [film_path(self._folder, self._plan.storyboard, timeline) for timeline in self._plan.timelines]
        films = [await cutter.cut(pictures, target) for cutter, target in zip(self._cutters, targets, strict=True)]
        self._write_captions()
        self._drop_unused({piece for cutter in self._cutters for piece in cutter.used})
        return films

    def write_otio(self, frames: Sequence[Path]) -> Path:
        """Write the first film's timeline as OpenTimelineIO, with its numbered frames.

        Raises:
            StorageError: it could not be written.
        """
        from pipelines.film.interchange import otio_text

        path = self._folder / f"{self._plan.storyboard}.otio"
        write_atomic(path, otio_text(self._plan.timeline, frames, folder=self._folder).encode())
        return path

    def _write_captions(self) -> None:
        path = self._folder / f"{self._plan.storyboard}.srt"
        if text := srt_text(self._plan.timeline.holds, self._plan.timeline.output.fps):
            write_atomic(path, text.encode())
        else:
            path.unlink(missing_ok=True)

    def _drop_unused(self, used: set[Path]) -> None:
        for piece in self._segments.glob("[!.]*"):
            if piece.is_file() and piece not in used:
                with contextlib.suppress(OSError):
                    piece.unlink()


def film_path(folder: Path, storyboard: str, timeline: Timeline) -> Path:
    """Return where a film goes: the first output's bears the storyboard's name alone."""
    output = timeline.output
    name = f"{storyboard}-{output.name}" if output.name else storyboard
    return folder / f"{name}.{encoding_of(output.codec).extension}"
