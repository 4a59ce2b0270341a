"""The film with moves and dissolves: beside one hand-written ffmpeg command, while frames come, after a re-roll."""

import asyncio
import csv
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

from benchmarks.assembling import paint_sketches
from benchmarks.measure import BIN, Cost, Kind, Row, gallery_server, prefect_server, ratio_row, run
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.film.assembler import cut_film
from pipelines.storyboard.model import Motion, MotionType, Output
from pipelines.storyboard.timeline import Hold, Timeline

_FPS = 24
_HOLDS, _HOLD = 60, 48
_HALF = 6
_ZOOM = 0.1
_SIZE = AspectRatio.LANDSCAPE.size
_ENCODING = ("-c:v", "libx264", "-preset", "superfast", "-crf", "18", "-pix_fmt", "yuv420p")
_FRAMES = 120


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    yield from _beside_others(folder)
    yield from _memory(folder)
    with prefect_server(folder / "prefect") as env:
        yield from _after_the_last_frame(folder, env)


def _beside_others(folder: Path) -> Iterator[Row]:
    frames = folder / "moving"
    frames.mkdir()
    paint_sketches(frames, _HOLDS)
    ours = run(_cut_command(frames, _HOLDS, "keep"))
    theirs = run(_one_command(frames))
    film = f"film of {_HOLDS} holds of {_HOLD / _FPS:g} s, push-ins and dissolves"
    beside = f"one hand-written ffmpeg command ({theirs.wall_s:.1f} s, {theirs.peak_mib:.0f} MiB)"
    name, ratio = f"{film}: beside one command", ours.wall_s / theirs.wall_s
    yield ratio_row(name, ratio, beside, "1.1", detail=f"{ours.wall_s:.1f} s")
    by_picture_s = _picture_by_picture(frames, holds=3) * _HOLDS / 3
    beside = f"picture by picture in Python, piped as RGB, as moviepy does ({by_picture_s:.0f} s, from 3 holds)"
    yield ratio_row(f"{film}: beside Python, picture by picture", ours.wall_s / by_picture_s, beside, "1")
    piped_s = _piped(frames, pictures=96) * _HOLDS * _HOLD / 96
    beside = f"piping RGBA pictures that cost nothing to draw, as editly does ({piped_s:.0f} s, from 96 pictures)"
    yield ratio_row(f"{film}: beside piped RGBA pictures", ours.wall_s / piped_s, beside, "1")
    # Another take of one frame: its segment and two transitions.
    (frames / "frame_0030.png").write_bytes((frames / "frame_0000.png").read_bytes())
    again = run(_cut_command(frames, _HOLDS, "keep"))
    name, ratio = f"{film}: cut again after one re-roll", again.wall_s / ours.wall_s
    yield ratio_row(name, ratio, "cutting all of it", "0.10", detail=f"{again.wall_s:.1f} s")


def _memory(folder: Path) -> Iterator[Row]:
    peaks = {}
    for count in (100, 5000):
        frames = folder / f"small-{count}"
        frames.mkdir()
        for number in range(count):
            colour = (number % 251, number // 251 * 12 % 256, 90)
            Image.new("RGB", (320, 180), colour).save(frames / f"frame_{number:04d}.png", compress_level=1)
        peaks[count] = run(_cut_command(frames, count, "drop", hold=2, half=0, size=Size(320, 180))).peak_mib
    name = "peak memory of a film of 5,000 frames"
    yield Row(name, peaks[5000], "MiB", Kind.MEMORY, f"{peaks[100]:.0f} MiB at 100")
    yield ratio_row(f"{name} over one of 100", peaks[5000] / peaks[100], f"{peaks[100]:.0f} MiB", "flat")


def _after_the_last_frame(folder: Path, env: dict[str, str]) -> Iterator[Row]:
    painted = folder / "painted"
    painted.mkdir()
    paint_sketches(painted, _FRAMES)
    bare = run(_bare_command(painted, _FRAMES))
    for transition in ("cut", "dissolve"):
        board = _write_board(folder / f"{transition}.yaml", transition)
        with gallery_server(painted, (3, 10)) as url:
            _render(board, env, url)
        left_s = _since_last_frame_s(folder / "outputs" / transition)
        whole = run(_cut_command(painted, _FRAMES, "drop", hold=96, move=False, half=_HALF * (transition != "cut")))
        name = f"{_FRAMES} frames at 12 a second, each {transition}: from the last frame to the film"
        against = f"cutting it all then: {whole.wall_s:.1f} s; ffmpeg, hard cuts: {bare.wall_s:.1f} s"
        yield Row(name, left_s, "s", Kind.TIME, against, "5 s")


def _write_board(path: Path, transition: str) -> Path:
    # Other prompts for each: what was generated for one storyboard serves the next.
    prompts = "\n".join(f"  - a harbor, {transition}, view {number}" for number in range(_FRAMES))
    path.write_text(f"title: Arriving\ndefaults: {{hold: 4s, transition: {transition}}}\nprompts:\n{prompts}\n")
    return path


def _cut_command(
    frames: Path,
    count: int,
    keep: str,
    *,
    hold: int = _HOLD,
    half: int = _HALF,
    size: Size = _SIZE,
    move: bool = True,
) -> list[str]:
    moves = "move" if move else "still"
    command = [str(BIN / "python"), "-m", "benchmarks.filming", str(frames)]
    return [*command, str(count), str(hold), str(half), str(size), moves, keep]


def _cut(frames: Path, count: int, hold: int, half: int, size: Size, *, move: bool, keep: bool) -> None:
    output = Output(Fraction(_FPS), size, "h264", 18, Fit.COVER)
    motion = Motion(MotionType.PUSH_IN, Fraction(str(_ZOOM))) if move else None
    holds = [Hold(n, n * hold, hold, "dissolve" if half else None, half, motion) for n in range(count)]
    holds[-1] = replace(holds[-1], transition=None, half=0)
    pictures = [frames / f"frame_{number:04d}.png" for number in range(count)]
    target = frames.parent / "ours.mp4"
    target.unlink(missing_ok=True)
    kept = frames / "segments" if keep else None
    asyncio.run(cut_film(Timeline("Bench", output, tuple(holds), ()), pictures, target, segments=kept))


def _one_command(frames: Path) -> list[str]:
    """Return the ffmpeg command for the same film. Drawn from twice the size: zoompan steps in whole pixels."""
    inputs: list[str] = []
    chains: list[str] = []
    for number in range(_HOLDS):
        length = _HOLD + _HALF * ((number > 0) + (number < _HOLDS - 1))
        inputs += ["-i", str(frames / f"frame_{number:04d}.png")]
        chains.append(
            f"[{number}]scale=2*iw:2*ih:flags=bicubic,zoompan=z='1+{_ZOOM}*(on+0.5)/{length}':x='(iw-iw/zoom)/2':"
            f"y='(ih-ih/zoom)/2':d={length}:s={_SIZE}:fps={_FPS},setsar=1,format=yuv420p[v{number}]"
        )
    last = "v0"
    for number in range(1, _HOLDS):
        offset = (number * _HOLD - _HALF) / _FPS
        chains.append(f"[{last}][v{number}]xfade=duration={2 * _HALF / _FPS}:offset={offset}[x{number}]")
        last = f"x{number}"
    graph = ["-filter_complex", ";".join(chains), "-map", f"[{last}]"]
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *inputs, *graph, *_ENCODING, str(frames / "one.mp4")]


def _bare_command(frames: Path, count: int) -> list[str]:
    listed = "".join(f"file frame_{number:04d}.png\nduration 4\n" for number in range(count))
    # Without its last file a second time, ffmpeg drops the last hold.
    (frames / "list.ffconcat").write_text(f"ffconcat version 1.0\n{listed}file frame_{count - 1:04d}.png\n")
    source = ["-f", "concat", "-safe", "0", "-i", str(frames / "list.ffconcat"), "-fps_mode", "cfr", "-r", str(_FPS)]
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *source, *_ENCODING, str(frames / "bare.mp4")]


def _picture_by_picture(frames: Path, *, holds: int) -> float:
    """Return the seconds that a few holds take when every picture is resized, cropped, mixed and piped in turn."""
    sources = [Image.open(frames / f"frame_{number:04d}.png").convert("RGB") for number in range(holds + 1)]

    def picture(source: Image.Image, progress: float) -> np.ndarray:
        zoom = 1 + _ZOOM * progress
        large = source.resize((round(_SIZE.width * zoom), round(_SIZE.height * zoom)), Image.Resampling.BICUBIC)
        left, top = (large.width - _SIZE.width) // 2, (large.height - _SIZE.height) // 2
        return np.asarray(large.crop((left, top, left + _SIZE.width, top + _SIZE.height)))

    def pictures() -> Iterator[bytes]:
        for number in range(holds):
            for video_frame in range(_HOLD):
                mixed = picture(sources[number], video_frame / _HOLD)
                if video_frame >= _HOLD - 2 * _HALF:
                    share = (video_frame - _HOLD + 2 * _HALF) / (2 * _HALF)
                    mixed = (mixed * (1 - share) + picture(sources[number + 1], 0) * share).astype(np.uint8)
                yield mixed.tobytes()

    return _encoded_s(pictures(), "rgb24")


def _piped(frames: Path, *, pictures: int) -> float:
    raw = Image.open(frames / "frame_0000.png").convert("RGBA")
    return _encoded_s((raw.tobytes() for _ in range(pictures)), "rgba")


def _encoded_s(pictures: Iterator[bytes], layout: str) -> float:
    source = ["-f", "rawvideo", "-pix_fmt", layout, "-video_size", str(_SIZE), "-framerate", str(_FPS), "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *_ENCODING, "-f", "null", "-"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for picture in pictures:
            encoder.stdin.write(picture)
        encoder.stdin.close()
        encoder.wait()
    return time.perf_counter() - started


def _render(board: Path, env: dict[str, str], url: str) -> Cost:
    command = [str(BIN / "storyreel"), "render", str(board), "--model", "sketch", "--json", "--endpoint", url]
    cost = run(command, cwd=board.parent, env=env)
    assert json.loads(cost.stdout)["generated"] == _FRAMES
    return cost


def _since_last_frame_s(folder: Path) -> float:
    """Return how long after the last attempt the film was there."""
    with (folder / "ledger.csv").open(newline="") as file:
        last = max(datetime.datetime.fromisoformat(row["finished_at"]) for row in csv.DictReader(file))
    return (folder / f"{folder.name}.mp4").stat().st_mtime - last.timestamp()


def _main(arguments: Sequence[str]) -> None:
    frames, count, hold, half, size, moves, keep = arguments
    lengths = int(count), int(hold), int(half)
    _cut(Path(frames), *lengths, Size.parse(size), move=moves == "move", keep=keep == "keep")


if __name__ == "__main__":
    _main(sys.argv[1:])
