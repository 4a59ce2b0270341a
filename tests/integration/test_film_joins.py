"""Pieces that are joined: each picture of the film beside the one that went into its encoder, and its times."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipelines.common.ffmpeg import ffmpeg_build
from pipelines.common.geometry import Size
from pipelines.film.assembler import cut_film
from pipelines.film.frame_picture import FramePicture
from pipelines.film.identity import piece_name
from pipelines.film.segments import cut_segments
from pipelines.storyboard.model import CaptionStyle, Motion, Quality, WordCaptions
from pipelines.storyboard.timeline import Spoken, Timeline
from tests.support.film_kinds import PUSH, SIZE, all_kinds, grainy_frames
from tests.support.film_samples import ask_ffmpeg, fake_ffmpeg, noisy_gradient, pictures, timeline_of
from tests.support.speeches import audible, spoken

Light = npt.NDArray[np.uint8]

PLANES = ("-pix_fmt", "yuv420p")
MPV = shutil.which("mpv")


def flickering(fps: Fraction) -> Timeline:
    """Return a film in which stills of one video frame stand between moves, at its beginning and at its end."""
    timeline = timeline_of([1, 1, 2, 50, 1, 50, 3, 1, 48, 1], size=SIZE, fps=fps)
    moving = (3, 5, 8)
    holds = [replace(hold, motion=PUSH if number in moving else None) for number, hold in enumerate(timeline.holds)]
    return replace(timeline, holds=tuple(holds))


def light_of(path: Path, size: Size) -> list[Light]:
    """Decode a film or a piece; return each picture's light, one byte a pixel."""
    raw = ask_ffmpeg("-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", *PLANES, "-")
    return list(np.frombuffer(raw, np.uint8).reshape(-1, size.height * 3 // 2, size.width)[:, : size.height])


def lossless(timeline: Timeline, frames: Sequence[Path], folder: Path) -> Iterator[Light]:
    """Yield the light of every picture of a film as it is before it is encoded."""
    # The pieces of an animation are lossless.
    as_gif = replace(timeline, output=replace(timeline.output, codec="gif"))
    asyncio.run(cut_film(as_gif, frames, folder / "film.gif", segments=folder / "lossless"))
    pictures_of = [FramePicture(frame) for frame in frames]
    build = ffmpeg_build()
    for segment in cut_segments(as_gif):
        yield from light_of(folder / "lossless" / piece_name(segment, as_gif, pictures_of, build=build), SIZE)


def error(one: Light, other: Light) -> float:
    """Return the mean square error between two pictures."""
    return float(((one.astype(float) - other) ** 2).mean())


def times_of(film: Path) -> tuple[list[Fraction], list[Fraction]]:
    """Return when each picture is decoded and when it is shown, in seconds, in the order of the file."""
    lines = ask_ffmpeg("-i", str(film), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
    tick_s = Fraction(next(line.split(":")[1] for line in lines if line.startswith("#tb")).strip())
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    return [int(row[1]) * tick_s for row in rows], [int(row[2]) * tick_s for row in rows]


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(24), Fraction(60000, 1001)], ids=str)
@pytest.mark.parametrize("film_of", [all_kinds, flickering])
@pytest.mark.parametrize("quality", Quality)
def test_every_picture_is_the_one_that_was_encoded(
    tmp_path: Path, film_of: object, fps: Fraction, quality: Quality
) -> None:
    """At its place, none twice and none missing, at exact times, over every kind of join."""
    assert callable(film_of)
    timeline = audible(film_of(fps), tmp_path)
    timeline = replace(timeline, output=replace(timeline.output, quality=quality))
    frames = grainy_frames(tmp_path / "frames", 10)
    film = asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4")).path

    references = list(lossless(timeline, frames, tmp_path))
    shown = light_of(film, SIZE)

    assert len(shown) == len(references) == timeline.video_frames
    for number, picture in enumerate(shown):
        own = error(picture, references[number])
        assert own < 12, number
        # As like as its neighbours are, where something moves there.
        near = [other for other in (number - 1, number + 1) if 0 <= other < len(references)]
        for other in near:
            assert own <= error(picture, references[other]) or error(references[number], references[other]) < 12, number
    decoded, seen = times_of(film)
    assert sorted(seen) == [number / fps for number in range(len(shown))]
    assert all(before < after for before, after in pairwise(decoded))
    assert all(decode <= show for decode, show in zip(decoded, seen, strict=True))
    # Otherwise this would not be about pictures that are predicted from later ones.
    assert seen != sorted(seen)


def test_the_same_film_has_the_same_bytes(tmp_path: Path) -> None:
    """Whenever and wherever it is cut."""
    timeline, frames = audible(all_kinds(), tmp_path), grainy_frames(tmp_path / "frames", 10)

    films = [asyncio.run(cut_film(timeline, frames, tmp_path / name / "film.mp4")).path for name in ("one", "other")]

    assert len({hashlib.sha256(film.read_bytes()).hexdigest() for film in films}) == 1


def test_no_picture_waits_for_its_time(tmp_path: Path) -> None:
    """The first is shown at 0, though it is decoded before; and players that look at the tags see where colours lie."""
    frames = grainy_frames(tmp_path / "frames", 1)
    timeline = timeline_of([30], size=SIZE)
    timeline = replace(timeline, holds=(replace(timeline.holds[0], motion=PUSH),))
    film = asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4")).path

    decoded, seen = times_of(film)

    assert seen[0] == 0
    assert decoded[0] == Fraction(-1, 24)
    tags = ask_ffmpeg(
        "-i",
        str(film),
        "-map",
        "0:v",
        "-c",
        "copy",
        "-bsf:v",
        "trace_headers",
        "-loglevel",
        "info",
        "-f",
        "null",
        "-",
        stream="stderr",
    )
    # 1 is the centre (ITU-T H.264, E.2.1).
    assert b"chroma_sample_loc_type_top_field" in tags
    assert all(line.split()[-1] == b"1" for line in tags.splitlines() if b"chroma_sample_loc_type" in line)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('"${@//lutyuv=y=128:u=128:v=128/noise=alls=90:allf=t}"', "makes no copies"),
        ('"${@//stitchable=1/stitchable=1:bframes=0}"', "numbers pictures in another way"),
    ],
    ids=["pictures that add something", "other numbers"],
)
def test_where_no_copies_are_to_be_had_holds_are_encoded_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: str, reason: str
) -> None:
    """The film is made all the same, and is right."""
    timeline, frames = flickering(Fraction(24)), grainy_frames(tmp_path / "frames", 10)
    expected = pictures(asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4")).path, SIZE)
    assert not caplog.text
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, f"set -- {change}")

    film = asyncio.run(cut_film(timeline, frames, tmp_path / "other.mp4")).path

    assert reason in caplog.text
    assert len(expected) == timeline.video_frames
    for one, other in zip(expected, pictures(film, SIZE), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4


def test_a_still_that_copies_cannot_hold_is_encoded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An x264 that predicts words over a still from later ones costs bytes, not the film."""
    timeline = replace(timeline_of([60, 60], size=SIZE), captions=CaptionStyle(words=WordCaptions.ONE_BY_ONE))
    timeline = replace(timeline, spoken=(Spoken(spoken("One two three four five six seven."), 0, 120),))
    timeline, frames = audible(timeline, tmp_path), grainy_frames(tmp_path / "frames", 2)
    # One worker takes both pieces.
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    expected = pictures(asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4")).path, SIZE)
    noting = f'case "$*" in *rawvideo*libx264*) echo $$ >> {tmp_path}/encoders ;; esac'
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch, noting, 'set -- "${@//-100/100}"')

    film = asyncio.run(cut_film(timeline, frames, tmp_path / "other.mp4")).path

    # One encoder for both, and one more for the piece that it could not make.
    assert len((tmp_path / "encoders").read_text().split()) == 2
    assert len(expected) == timeline.video_frames
    for one, other in zip(expected, pictures(film, SIZE), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4


def test_no_hold_of_grain_pulses(tmp_path: Path) -> None:
    """Neither its light nor its likeness to what it shows go up and down."""
    frame = tmp_path / "frame_0000.png"
    noisy_gradient(SIZE).save(frame)
    timeline = timeline_of([72], size=SIZE)
    timeline = replace(timeline, holds=(replace(timeline.holds[0], motion=PUSH),))
    film = asyncio.run(cut_film(timeline, [frame], tmp_path / "film.mp4")).path

    references = list(lossless(timeline, [frame], tmp_path))
    shown = light_of(film, SIZE)

    brighter = [float(one.mean() - other.mean()) for one, other in zip(shown, references, strict=True)]
    assert max(brighter) - min(brighter) < 0.5
    likeness_db = [10 * np.log10(255**2 / error(one, other)) for one, other in zip(shown, references, strict=True)]
    assert max(likeness_db) - min(likeness_db) < 3


@pytest.mark.skipif(b" libvmaf " not in ask_ffmpeg("-filters"), reason="this ffmpeg cannot tell banding (libvmaf)")
@pytest.mark.parametrize("motion", [None, PUSH], ids=["still", "moving"])
def test_no_drawn_sky_has_bands(tmp_path: Path, motion: Motion | None) -> None:
    """By Netflix's index of banding, of which 5 can be seen; it is 8 where this sky is encoded at crf 26."""
    size = Size(640, 360)
    sky(size).save(tmp_path / "sky.png")
    timeline = timeline_of([24], size=size)
    timeline = replace(timeline, holds=(replace(timeline.holds[0], motion=motion),))
    film = str(asyncio.run(cut_film(timeline, [tmp_path / "sky.png"], tmp_path / "film.mp4")).path)

    measure = f"libvmaf=log_fmt=json:log_path={tmp_path}/banding.json:feature=name=cambi"
    ask_ffmpeg("-i", film, "-i", film, "-lavfi", measure, "-f", "null", "-")

    assert json.loads((tmp_path / "banding.json").read_text())["pooled_metrics"]["cambi"]["mean"] < 1


def sky(size: Size) -> Image.Image:
    """Draw a clear sky, with a trace of grain as painters and models leave it."""
    x, y = np.meshgrid(np.linspace(0, 1, size.width), np.linspace(0, 1, size.height))
    slopes = np.stack([60 + 120 * y + 18 * x, 110 + 90 * y + 10 * x, 190 + 40 * y], axis=-1)
    grain = np.random.default_rng(3).normal(0, 0.7, (*x.shape, 1))
    return Image.fromarray(np.clip(slopes + grain, 0, 255).astype(np.uint8))


@pytest.mark.skipif(MPV is None, reason="mpv is not installed (Debian: apt-get install mpv)")
def test_another_player_finds_each_picture(tmp_path: Path) -> None:
    """Mpv seeks by the file's own index."""
    assert MPV is not None
    timeline, frames = audible(all_kinds(), tmp_path), grainy_frames(tmp_path / "frames", 10)
    film = asyncio.run(cut_film(timeline, frames, tmp_path / "film.mp4")).path
    expected = [picture.astype(float) for picture in pictures(film, SIZE)]

    for number in random.Random(5).sample(range(1, timeline.video_frames - 1), 6):
        folder = tmp_path / f"shown-{number}"
        writing = ("--vo=image", "--vo-image-format=png", f"--vo-image-outdir={folder}", "--frames=1", "--no-audio")
        seeking = ("--no-config", "--no-sub", "--hr-seek=yes", f"--start=+{(number - 0.5) / 24:.6f}")
        subprocess.run([MPV, *seeking, *writing, film], check=True, capture_output=True, timeout=120)

        [shown] = folder.iterdir()
        seen = np.asarray(Image.open(shown).convert("RGB"), float)
        unlike = {other: np.abs(seen - expected[other]).mean() for other in (number - 1, number, number + 1)}
        assert unlike[number] <= min(unlike.values()) + 0.05
        assert unlike[number] < 6
