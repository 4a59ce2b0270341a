"""A film that would come out the same is not made again; any other is."""

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

from pipelines.film.assembler import assemble_film
from pipelines.film.identity import piece_name, read_identity
from pipelines.film.segments import cut_segments
from pipelines.storyboard.model import Motion, MotionType, Smooth, SmoothMethod
from tests.support.film_samples import colour_runs, flat_frames, timeline_of


def test_an_unchanged_film_is_left_as_it_is(tmp_path: Path) -> None:
    """The same timeline and frames write nothing a second time, and return the same film."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])
    first = assemble_film(timeline_of([3, 4]), frames, tmp_path / "film.mp4")
    before = first.path.stat().st_mtime_ns

    second = assemble_film(timeline_of([3, 4]), frames, tmp_path / "film.mp4")

    assert second == first
    assert second.path.stat().st_mtime_ns == before


def test_a_changed_frame_time_or_quality_makes_it_again(tmp_path: Path) -> None:
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


def test_a_retitled_film_is_made_again(tmp_path: Path) -> None:
    """The title is in the file."""
    frames = flat_frames(tmp_path / "frames", ["red"])
    assemble_film(timeline_of([3], title="Before"), frames, tmp_path / "film.mp4")

    film = assemble_film(dataclasses.replace(timeline_of([3]), title="After"), frames, tmp_path / "film.mp4")

    assert b"After" in film.path.read_bytes()


def test_a_file_without_identity_is_no_film_of_ours(tmp_path: Path) -> None:
    """Neither a missing file nor another program's is taken for the film."""
    (tmp_path / "other.mp4").write_bytes(b"storyreel:nonsense")

    assert (read_identity(tmp_path / "other.mp4"), read_identity(tmp_path / "none.mp4")) == (None, None)


def test_pieces_of_earlier_versions_are_found_again(tmp_path: Path) -> None:
    """The name of a piece never changes, for every kind of segment: else all films would be encoded again."""
    frames = [tmp_path / f"frame_{number:04d}.png" for number in range(4)]
    for frame in frames:
        frame.write_bytes(b"12345")
        os.utime(frame, ns=(0, 1_700_000_000_000_000_000))
    timeline = timeline_of([60, 60, 60, 60])
    changes: tuple[dict[str, object], ...] = (
        {"caption": "one", "transition": "dissolve", "half": 4},
        {"motion": Motion(MotionType.PUSH_IN, Fraction(1, 10))},
        {"smooth": Smooth(None, SmoothMethod.BLEND)},
        {},
    )
    holds = tuple(dataclasses.replace(hold, **change) for hold, change in zip(timeline.holds, changes, strict=True))  # type: ignore[arg-type]
    timeline = dataclasses.replace(timeline, holds=holds)

    names = [piece_name(segment, timeline, frames) for segment in cut_segments(timeline)]

    # As version 0.1 named them, but for the first two, whose captions it drew otherwise: they may only change where the
    # pieces themselves come out otherwise than before.
    assert [name[:16] for name in names] == [
        "00328dcaa6254e51",
        "550160c8d650e1f8",
        "dc65811e3462ca92",
        "61769c6b710bd36f",
        "fd8f541e322cd1b2",
        "748053961f14a310",
    ]
    assert {name[64:] for name in names} == {".h264"}
