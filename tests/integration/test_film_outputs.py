"""The films of a storyboard follow their frames: cut while these come, and only what changed is cut again."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from pipelines.common.errors import FilmError
from pipelines.common.geometry import Fit, Size
from pipelines.film.assembler import FilmAssembler
from pipelines.film.frame_picture import FramePicture
from pipelines.film.interchange import otio_text
from pipelines.film.outputs import Films, film_path
from pipelines.storyboard.model import Instant, Motion, MotionType, Output, Place, Sound, SoundMix, Span
from pipelines.storyboard.plan import Plan
from pipelines.storyboard.speech import Speech, Word
from pipelines.storyboard.timeline import Spoken, Timeline
from tests.support.film_samples import (
    COLOURS,
    SMALL,
    Watching,
    colour_runs,
    dissolved,
    fake_ffmpeg,
    flat_frames,
    timeline_of,
)

NAMES = list(COLOURS)


def plan_of(*timelines: Timeline) -> Plan:
    return Plan("harbor", "Harbor", "sketch", (), timelines)


def cut(plan: Plan, folder: Path, pictures: Sequence[Path]) -> None:
    """Cut the films of a plan, all frames at hand."""

    async def work() -> None:
        async with Films(plan, folder).working() as films:
            await films.cut(list(map(FramePicture, pictures)))

    asyncio.run(work())


def pieces(folder: Path) -> dict[str, int]:
    """Return the pieces in a folder, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "segments").iterdir()}


def test_another_take_encodes_its_hold_and_its_two_transitions(tmp_path: Path) -> None:
    """Three of nine pieces are new, the others stay as they are, and the old three are gone."""
    plan, frames = plan_of(dissolved([60] * 5)), flat_frames(tmp_path / "frames", NAMES[:5])
    cut(plan, tmp_path, frames)
    before = pieces(tmp_path)
    another = flat_frames(tmp_path / "another", ["yellow"])[0]

    cut(plan, tmp_path, [*frames[:2], another, *frames[3:]])

    after = pieces(tmp_path)
    assert len(before) == len(after) == 9
    assert len(after.keys() - before.keys()) == 3
    assert {name: before[name] for name in before.keys() & after.keys()}.items() <= after.items()


def test_a_frame_more_at_the_start_encodes_nothing_further_on(tmp_path: Path) -> None:
    """Pieces know their frames, not their numbers nor their place."""
    frames = flat_frames(tmp_path / "frames", NAMES[:4])
    cut(plan_of(dissolved([60] * 3)), tmp_path, frames[1:])
    before = pieces(tmp_path)

    cut(plan_of(dissolved([60] * 4)), tmp_path, frames)

    # The first hold of before is shorter by a transition now.
    assert len(before.keys() & pieces(tmp_path).keys()) == len(before) - 1
    assert len(pieces(tmp_path)) == len(before) + 2


def test_frames_that_come_are_encoded_before_the_last_is_there(tmp_path: Path) -> None:
    """All that they complete, and nothing else; cutting the film then finds it done."""
    plan, frames = plan_of(dissolved([60] * 4)), flat_frames(tmp_path / "frames", NAMES[:4])
    watching = Watching()

    async def work() -> int:
        async with Films(plan, tmp_path, observer=watching).working() as films:
            assert len(films) == 7
            for number in (0, 1, 3):
                films.arrived(number, FramePicture(frames[number]))
            async with asyncio.timeout(30):
                # Two ends, a middle and the transition between the first two; all that does not need frame 2.
                while len(watching.encoded) < 4:
                    await asyncio.sleep(0.01)
            early = len(pieces(tmp_path))
            await films.cut(list(map(FramePicture, frames)))
        return early

    assert asyncio.run(work()) == 4
    assert watching.joined == [tmp_path / "harbor.mp4"]
    assert sum(megapixels for megapixels, _ in watching.encoded) == Films(plan, tmp_path).megapixels
    assert [seconds is not None and seconds > 0 for _, seconds in watching.encoded] == [True] * 7
    assert len(pieces(tmp_path)) == 7


def test_two_segments_that_show_the_same_are_one_piece(tmp_path: Path) -> None:
    """Encoded once, for frames that came out alike too; both are told of."""
    plan, frames, watching = plan_of(timeline_of([60] * 3)), flat_frames(tmp_path / "f", ["red"] * 3), Watching()

    async def work() -> None:
        async with Films(plan, tmp_path, observer=watching).working() as films:
            await films.cut(list(map(FramePicture, frames)))

    asyncio.run(work())

    assert [seconds is not None for _, seconds in watching.encoded] == [True, False, False]
    assert colour_runs(tmp_path / "harbor.mp4") == [("red", 180)]
    assert len(pieces(tmp_path)) == 1


def test_an_early_failure_is_raised_when_the_film_is_cut(tmp_path: Path) -> None:
    """A frame that cannot be read does not stop the generation of others."""
    plan, frames = plan_of(timeline_of([60, 60])), flat_frames(tmp_path / "frames", NAMES[:2])
    frames[1].write_text("no picture")

    async def work() -> None:
        async with Films(plan, tmp_path).working() as films:
            films.arrived(0, FramePicture(frames[0]))
            films.arrived(1, FramePicture(frames[1]))
            async with asyncio.timeout(30):
                while not pieces(tmp_path) if (tmp_path / "segments").exists() else True:
                    await asyncio.sleep(0.01)
            with pytest.raises(FilmError, match=r"frame_0001\.png: cannot be read"):
                await films.cut(list(map(FramePicture, frames)))

    asyncio.run(work())


def test_leaving_early_ends_every_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped leaves no ffmpeg behind and no half piece."""
    pids = fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, 'case "$*" in *rawvideo*) exec sleep 60 ;; esac')
    frames = flat_frames(tmp_path / "frames", NAMES[:2])

    async def work() -> None:
        async with FilmAssembler(timeline_of([60, 60]), tmp_path / "segments") as assembler:
            assembler.arrived(0, FramePicture(frames[0]))
            assembler.arrived(1, FramePicture(frames[1]))
            async with asyncio.timeout(30):
                while not pids.exists() or len(pids.read_text().split()) < 2:
                    await asyncio.sleep(0.01)

    asyncio.run(work())

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.read_text().split())
    assert list(tmp_path.glob("segments/*")) == []


def test_each_output_is_a_film(tmp_path: Path) -> None:
    """Under its own name, at its own rate and size; the pieces of all of them are kept."""
    small = timeline_of([4, 6], fps=Fraction(12), size=Size(32, 24))
    named = replace(small, output=replace(small.output, name="reel"))
    plan, frames = plan_of(timeline_of([8, 12]), named), flat_frames(tmp_path / "frames", ["red", "blue"])

    cut(plan, tmp_path, frames)

    films = [film_path(tmp_path, "harbor", timeline) for timeline in plan.timelines]
    assert [film.name for film in films] == ["harbor.mp4", "harbor-reel.mp4"]
    assert colour_runs(films[0]) == [("red", 8), ("blue", 12)]
    assert len(pieces(tmp_path)) == 2


def test_captions_lie_beside_the_film_and_go_with_the_last(tmp_path: Path) -> None:
    """The .srt follows the storyboard."""
    timeline, frames = timeline_of([24, 36]), flat_frames(tmp_path / "frames", ["red", "blue"])
    captioned = replace(timeline, holds=(timeline.holds[0], replace(timeline.holds[1], caption="One\n\nTwo")))

    cut(plan_of(captioned), tmp_path, frames)
    text = (tmp_path / "harbor.srt").read_text()
    cut(plan_of(timeline), tmp_path, frames)

    assert text == "1\n00:00:01,000 --> 00:00:02,500\nOne\nTwo\n"
    assert not (tmp_path / "harbor.srt").exists()


def test_an_editor_reads_the_timeline(tmp_path: Path) -> None:
    """Clips keep their lengths, transitions reach half into each, sounds and chapters are at their time."""
    frames = flat_frames(tmp_path / "frames", ["red", "blue", "green"])
    timeline = dissolved([48, 24, 36], half=6)
    moving = replace(timeline.holds[1], motion=Motion(MotionType.PAN_UP, Fraction(1, 5)), caption="Up")
    sound = Sound(tmp_path / "a bell.wav", Place(1, 1, ""), frame=1, offset_s=Fraction(1, 2))
    timeline = replace(
        timeline, holds=(timeline.holds[0], moving, timeline.holds[2]), sound=SoundMix((sound,)), title="At dawn"
    )

    film = otio.adapters.read_from_string(otio_text(timeline, frames, folder=tmp_path), "otio_json")

    pictures, captions, heard = film.tracks
    clips = [item for item in pictures if isinstance(item, otio.schema.Clip)]
    crossings = [item for item in pictures if isinstance(item, otio.schema.Transition)]
    assert film.name == "At dawn"
    assert film.duration() == otio.opentime.RationalTime(108, 24)
    assert [clip.duration().value for clip in clips] == [48, 24, 36]
    assert [(item.in_offset.value, item.out_offset.value) for item in crossings] == [(6, 6), (6, 6)]
    assert [clip.media_reference.target_url for clip in clips] == [f"frames/frame_000{n}.png" for n in range(3)]
    assert clips[1].metadata["storyreel"]["motion"]["type"] == "pan_up"
    assert clips[1].metadata["storyreel"]["caption"] == "Up"
    [gap, caption] = captions
    assert (gap.duration().value, caption.duration().value) == (48, 24)
    assert caption.media_reference.parameters["text"] == caption.name == "Up"
    assert (heard[0].duration().value, heard[1].source_range.start_time.value) == (48, 12)
    assert heard[1].media_reference.target_url == "a%20bell.wav"
    assert [(marker.name, marker.marked_range.duration.value) for marker in film.tracks.markers] == [("All", 108)]
    json.loads(otio_text(timeline, frames, folder=tmp_path))


def test_the_voice_is_a_track_with_the_times_of_its_words(tmp_path: Path) -> None:
    """Each narration at its cut, up to where it must have ended; what is not spoken any more is no word of it."""
    words = (Word("Nobody", 0, Fraction(0), Fraction(1, 2)), Word("is", 7, Fraction(3, 4), Fraction(1)))
    speech = Speech("key", tmp_path / "voice/key.wav", Fraction(23, 20), words)
    spoken = (Spoken(speech, 24, 96), Spoken(speech, 96, 112))
    timeline = replace(timeline_of([24, 72, 16]), spoken=spoken)
    frames = flat_frames(tmp_path / "frames", ["red", "blue", "green"])

    film = otio.adapters.read_from_string(otio_text(timeline, frames, folder=tmp_path), "otio_json")

    [voice] = [track for track in film.tracks if track.name == "voice"]
    gap, first, pause, second = voice
    assert voice.kind == "Audio"
    assert [item.duration().value for item in voice] == [24, pytest.approx(27.6), pytest.approx(44.4), 16]
    assert [first.name, second.name] == ["Nobody is", "Nobody"]
    assert {clip.media_reference.target_url for clip in (first, second)} == {"voice/key.wav"}
    assert list(map(dict, first.metadata["storyreel"]["words"])) == [
        {"text": "Nobody", "start_s": 0.0, "end_s": 0.5},
        {"text": "is", "start_s": 0.75, "end_s": 1.0},
    ]
    assert isinstance(gap, otio.schema.Gap)
    assert isinstance(pause, otio.schema.Gap)


def test_phrases_and_music_are_where_they_are_read_and_heard(tmp_path: Path) -> None:
    """What is spoken is a caption phrase by phrase; music comes while the music before it still goes."""
    words = (Word("Nobody", 0, Fraction(0), Fraction(1, 2)), Word("is", 7, Fraction(3, 4), Fraction(1)))
    speech = Speech("key", tmp_path / "voice/key.wav", Fraction(23, 20), words)
    second = Span(start=Instant(time_s=Fraction(2)))
    music = [Sound(tmp_path / f"{n}.mp3", Place(1, 1, ""), span=span) for n, span in enumerate([Span(), second])]
    timeline = replace(timeline_of([24, 72]), spoken=(Spoken(speech, 24, 96),), sound=SoundMix(tuple(music)))
    frames = flat_frames(tmp_path / "frames", ["red", "blue"])

    film = otio.adapters.read_from_string(otio_text(timeline, frames, folder=tmp_path), "otio_json")

    _, captions, _, before, after = film.tracks
    [_, caption] = captions
    assert (captions.name, caption.name, caption.range_in_parent().start_time.value) == ("captions", "Nobody is", 24)
    # Half of a crossfade of two seconds on both sides of the second one.
    assert [clip.duration().value for clip in before] == [72]
    assert [clip.duration().value for clip in after] == [24, 72]
    assert before[0].metadata["storyreel"]["crossfade_out_s"] == "2"
    assert after[1].metadata["storyreel"]["crossfade_in_s"] == "2"


def test_the_output_of_a_piece_is_not_named(tmp_path: Path) -> None:
    """Two outputs that differ by their name alone share their pieces."""
    timeline = timeline_of([60])
    twin = replace(timeline, output=Output(timeline.output.fps, SMALL, "h264", 18, Fit.COVER, name="twin"))

    cut(plan_of(timeline, twin), tmp_path, flat_frames(tmp_path / "frames", ["red"]))

    assert len(pieces(tmp_path)) == 1
