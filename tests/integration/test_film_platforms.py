"""Films for platforms are what these ask for: read back packet by packet, and picture by picture."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.common.geometry import Size
from pipelines.film.access_units import parameter_sets, units_of_file
from pipelines.film.assembler import assemble_film, cut_film
from pipelines.film.encoding import keyframe_every
from pipelines.storyboard.format.film_schema import OutputModel
from pipelines.storyboard.model import Delivery, Output, Sound, SoundMix, Span
from pipelines.storyboard.timeline import Timeline
from tests.support.film_kinds import PUSH, SIZE, all_kinds, grainy_frames
from tests.support.film_samples import ask_ffmpeg, pictures, timeline_of
from tests.support.sound_samples import NOWHERE, RATE_HZ, surf, write_wav
from tests.support.speeches import audible

PLATFORMS = ("youtube", "reel", "square")
NOISE = Size(320, 192)
BOUND = 1_000_000


def output_of(preset: str) -> Output:
    """Return a film of a preset, but of a size that is soon encoded."""
    return replace(OutputModel.model_validate({"preset": preset}).resolved(size=SIZE, name=""), size=SIZE)


def sounding(timeline: Timeline, folder: Path) -> Timeline:
    """Return a film with something to hear, from its first sample on."""
    length = RATE_HZ * int(timeline.duration_s)
    noise = surf(2 * length / RATE_HZ)[length // 2 :][:length]
    sides = np.stack([noise, noise[::-1]], axis=1)
    music = Sound(write_wav(folder / "noise.wav", sides), NOWHERE, span=Span())
    return replace(audible(timeline, folder), sound=SoundMix((music,)))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Frames that an encoder has to work on."""
    return grainy_frames(tmp_path_factory.mktemp("grainy") / "frames", 10)


@pytest.fixture(scope="module", params=PLATFORMS)
def delivered(request: pytest.FixtureRequest, frames: list[Path], tmp_path_factory: pytest.TempPathFactory) -> "Made":
    """A film of every kind of segment, with sound and words, for a platform."""
    return Made(output_of(request.param), frames, tmp_path_factory.mktemp(request.param))


class Made:
    """A film for a platform, and the same as it would be for none."""

    def __init__(self, output: Output, frames: list[Path], folder: Path) -> None:
        self.output = output
        timeline = sounding(replace(all_kinds(output.fps), output=output), folder)
        self.film = assemble_film(timeline, frames, folder / "film.mp4").path
        plain = replace(timeline, output=replace(output, delivery=Delivery()))
        self.plain = assemble_film(plain, frames, folder / "plain.mp4").path


def test_it_can_be_entered_as_often_as_asked(delivered: Made) -> None:
    """YouTube asks for a picture that needs no other every half second; each is one that resets the decoder."""
    places = [number for number, kind in enumerate(kinds_of(delivered.film)) if kind == "I"]
    distances = [after - before for before, after in pairwise([*places, 508])]

    assert max(distances) <= keyframe_every(delivered.output)
    assert keyframe_every(output_of("youtube")) == 15
    assert len(places) == len(keyframes_of(delivered.film))


def test_no_more_pictures_than_asked_stand_between_others(delivered: Made) -> None:
    """YouTube asks for two; a codec that could do with more has three."""
    runs = {len(list(run)) for kind, run in groupby(kinds_of(delivered.film)) if kind == "B"}

    assert max(runs) == (2 if delivered.output.delivery.bframes else 3)


def test_every_picture_is_as_it_would_be_for_no_platform(delivered: Made) -> None:
    """Each at its place: words over holds that are encoded anew every half second, moves, transitions."""
    shown, expected = (np.stack(pictures(path, SIZE)).astype(float) for path in (delivered.film, delivered.plain))

    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean(axis=(1, 2, 3)).max() < 2


def test_the_film_begins_with_its_index_and_has_no_edit_list(delivered: Made) -> None:
    """Neither for the pictures nor for the sound, the captions and the chapters."""
    kinds = list(boxes_of(delivered.film.read_bytes()))

    assert kinds.index(b"moov") < kinds.index(b"mdat")
    assert Counter(kinds)[b"trak"] == 4
    assert b"elst" not in kinds
    assert b"elst" in list(boxes_of(delivered.plain.read_bytes()))


def test_its_sound_is_as_asked(delivered: Made) -> None:
    """AAC-LC in stereo at 48 kHz, of about the bits that are asked for."""
    said = ask_ffmpeg("-loglevel", "info", "-i", str(delivered.film), "-c", "copy", "-f", "null", "-", stream="stderr")
    track = re.search(rb"Audio: (aac \(LC\)) .*?, (48000 Hz, stereo), .*?, (\d+) kb/s", said)

    assert track is not None
    assert int(track[3]) * 1000 == pytest.approx(delivered.output.delivery.audio_bitrate, rel=0.15)


def test_its_sound_is_on_time(delivered: Made) -> None:
    """As where an edit list leaves out what the encoder puts before the first sample; it fades in within 21 ms."""
    sound, expected = (samples_of(path) for path in (delivered.film, delivered.plain))
    length = min(len(sound), len(expected)) - 2048
    middle = expected[2048:length]
    distance = {shift: np.abs(sound[2048 + shift : length + shift] - middle).mean() for shift in (-1024, 0, 1024)}

    assert distance[0] < 0.2 * min(distance[-1024], distance[1024])
    assert np.abs(sound[1024:2048] - expected[1024:2048]).mean() < 0.3 * np.abs(expected[1024:2048]).mean()


def test_noise_keeps_to_the_highest_bitrate(tmp_path: Path) -> None:
    """Stills and moves, one after another; a second in which pieces meet has the buffers of both."""
    frames, timeline = noisy_film(tmp_path)
    bounded = replace(timeline, output=replace(timeline.output, delivery=Delivery(max_bitrate=BOUND)))

    film = assemble_film(bounded, frames, tmp_path / "film.mp4").path
    free = assemble_film(timeline, frames, tmp_path / "free.mp4").path

    assert most_bits_in_a_second(free) > 3 * BOUND
    assert most_bits_in_a_second(film) < 1.25 * BOUND
    shown, expected = (np.stack(pictures(path, NOISE)).astype(float) for path in (film, free))
    assert np.abs(shown - expected).mean(axis=(1, 2, 3)).max() < 40


def test_a_bound_that_is_not_reached_changes_no_still(tmp_path: Path, frames: list[Path]) -> None:
    """Of what is encoded apart from its hold, only what would not fit becomes coarser."""
    plain = timeline_of([60, 60, 60], size=SIZE)
    bounded = replace(plain, output=replace(plain.output, delivery=Delivery(max_bitrate=25_000_000)))

    film = assemble_film(plain, frames[:3], tmp_path / "plain.mp4").path
    same = assemble_film(bounded, frames[:3], tmp_path / "bounded.mp4").path

    assert np.array_equal(pictures(film, SIZE), pictures(same, SIZE))


def test_all_pieces_state_the_level_that_the_bound_needs(tmp_path: Path) -> None:
    """Stills have a buffer of their own, and would have another level, and could not be joined."""
    frames, timeline = noisy_film(tmp_path)
    delivery = Delivery(max_bitrate=BOUND)

    bounded = replace(timeline, output=replace(timeline.output, delivery=delivery))
    asyncio.run(cut_film(bounded, frames, tmp_path / "film.mp4", segments=tmp_path / "segments"))

    pieces = list((tmp_path / "segments").glob("*.h264"))
    headers = {parameter_sets(next(units_of_file(piece))) for piece in pieces}
    assert len(pieces) == 4
    assert [sequence[3] for sequence, _ in headers] == [20]


def noisy_film(folder: Path) -> tuple[list[Path], Timeline]:
    """Return a film of noise: holds long and short, and a move, at a rate at which a second is not many pictures."""
    frames = [folder / f"noise_{number}.png" for number in range(5)]
    for number, path in enumerate(frames):
        noise = np.random.default_rng(number).integers(0, 255, (NOISE.height, NOISE.width, 3))
        Image.fromarray(noise.astype(np.uint8)).save(path)
    timeline = timeline_of([36, 6, 6, 36, 48], size=NOISE)
    holds = [replace(hold, motion=PUSH if hold.frame > 2 else None) for hold in timeline.holds]
    holds[3] = replace(holds[3], transition="dissolve", half=6)
    return frames, replace(timeline, holds=tuple(holds))


def most_bits_in_a_second(film: Path) -> int:
    """Return the bits of the most expensive second of a film's video, at 24 pictures a second."""
    lines = ask_ffmpeg("-i", str(film), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
    bits = [8 * int(line.split(",")[4]) for line in lines if not line.startswith("#")]
    return max(sum(bits[start : start + 24]) for start in range(len(bits) - 23))


def kinds_of(film: Path) -> list[str]:
    """Return for each picture, in the order in which they are shown, whether it is an I, P or B picture."""
    said = ask_ffmpeg("-loglevel", "info", "-i", str(film), "-vf", "showinfo", "-f", "null", "-", stream="stderr")
    return re.findall(r" type:([IPB]) ", said.decode())


def keyframes_of(film: Path) -> list[int]:
    """Return the numbers of the packets from which a player may start."""
    lines = ask_ffmpeg("-i", str(film), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
    packets = [line for line in lines if not line.startswith("#")]
    return [number for number, line in enumerate(packets) if "F=0x0" not in line]


def samples_of(film: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Decode the left channel of a film's sound."""
    raw = ask_ffmpeg("-i", str(film), "-map", "0:a", "-f", "f32le", "-")
    return np.frombuffer(raw, np.float32)[::2]


def boxes_of(data: bytes, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the kinds of an MP4's boxes, those of its tracks too."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        yield kind
        if kind in (b"moov", b"trak", b"edts"):
            yield from boxes_of(data, start + 8, start + size)
        start += size
