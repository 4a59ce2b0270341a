"""A film that would come out the same is not made again; any other is."""

import dataclasses
import os
from pathlib import Path

from pipelines.film.assembler import assemble_film
from pipelines.film.identity import read_identity
from tests.support.film_samples import colour_runs, flat_frames, timeline_of


def test_an_unchanged_film_is_left_as_it_is(tmp_path: Path) -> None:
    """The same timeline and frames write nothing a second time, and return the same film."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])
    first = assemble_film(timeline_of([3, 4]), frames, tmp_path / "film.mp4")
    before = first.path.stat().st_mtime_ns

    second = assemble_film(timeline_of([3, 4]), frames, tmp_path / "film.mp4")

    assert second == first
    assert second.path.stat().st_mtime_ns == before


def test_a_changed_frame_a_changed_time_and_a_changed_quality_make_it_anew(tmp_path: Path) -> None:
    """Whatever goes into the film goes into its identity."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])
    target = tmp_path / "film.mp4"
    identities = []
    for timeline in (timeline_of([3, 4]), timeline_of([4, 3]), timeline_of([4, 3], crf=30)):
        assemble_film(timeline, frames, target)
        identities.append(read_identity(target))
    flat_frames(tmp_path / "frames", ["green", "blue"])
    os.utime(frames[0], ns=(0, 0))
    film = assemble_film(timeline_of([4, 3], crf=30), frames, target)

    assert len({*identities, read_identity(target)}) == 4
    assert colour_runs(film.path) == [("green", 4), ("blue", 3)]


def test_a_retitled_film_is_made_anew(tmp_path: Path) -> None:
    """The title stands in the file."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    assemble_film(timeline_of([3], title="Before"), frames, tmp_path / "film.mp4")

    film = assemble_film(dataclasses.replace(timeline_of([3]), title="After"), frames, tmp_path / "film.mp4")

    assert b"After" in film.path.read_bytes()


def test_a_file_without_identity_is_no_film_of_ours(tmp_path: Path) -> None:
    """Neither a missing file nor somebody else's passes for the film."""
    (tmp_path / "other.mp4").write_bytes(b"storyreel:nonsense")

    assert (read_identity(tmp_path / "other.mp4"), read_identity(tmp_path / "none.mp4")) == (None, None)
