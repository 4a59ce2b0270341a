"""The last steps of a film: its pieces are joined, and the result is checked before it takes its place."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.common.files import atomic_path
from pipelines.film.identity import mark_end
from pipelines.film.joining import JoinInput, join_pieces
from pipelines.film.probe import Film, read_animation, read_film
from pipelines.storyboard.presets import encoding_of
from pipelines.storyboard.timeline import Timeline


async def finish_film(joined: JoinInput, timeline: Timeline, target: Path, *, comment: str) -> Film:
    """Join pieces into the film at `target`, whole or not at all, and check it against its timeline.

    Args:
        joined: the pieces, and the sound.
        timeline: the film.
        target: where it goes.
        comment: the mark that it bears.

    Raises:
        FilmError: ffmpeg failed, or the film differs from the timeline.
        StorageError: it could not be written.
    """
    with atomic_path(target) as temporary, tempfile.TemporaryDirectory(prefix="storyreel-") as folder:
        await join_pieces(joined, timeline, temporary, comment=comment, folder=Path(folder))
        if not encoding_of(timeline.output.codec).copies:
            # GIF and WebP: ffmpeg writes no comment into these.
            mark_end(temporary, comment)
        film = await _read_back(temporary, timeline, name=target)
        _require_as_planned(film, timeline)
    return film


def planned_film(timeline: Timeline, path: Path) -> Film:
    """Return the record of a film that is exactly as its timeline says."""
    return Film(path, timeline.video_frames, timeline.duration_s, timeline.output.size, timeline.output.fps)


async def _read_back(path: Path, timeline: Timeline, *, name: Path) -> Film:
    fps = timeline.output.fps
    if encoding_of(timeline.output.codec).copies:
        return await read_film(path, fps=fps, name=name)
    # Pillow decodes every picture, and would hold up the event loop.
    return await asyncio.to_thread(read_animation, path, fps=fps, name=name)


def _require_as_planned(film: Film, timeline: Timeline) -> None:
    differences = list(_differences(film, planned_film(timeline, film.path)))
    if differences:
        raise FilmError(f"{film.path}: is not what was planned: {'; '.join(differences)}")


def _differences(film: Film, planned: Film) -> Iterator[str]:
    for name in ("video_frames", "duration_s", "size", "fps"):
        expected, found = getattr(planned, name), getattr(film, name)
        if expected != found:
            yield f"{name} should be {expected}, is {found}"
