"""Make the film that the README and the docs' first page show: `python docs/make_first_film.py`.

It renders `configs/storyboards/cat-in-a-garden.yaml` on the embedded endpoint, and leaves beside this script
`first-film.mp4` in a small size, its captions as `first-film.vtt`, a still of it as `first-film.jpg`, and the beginning
as a moving picture without sound, `first-film.webp`, for pages that play no films.
"""

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

from pipelines.common.settings import Settings
from pipelines.run.local import run_locally
from pipelines.storyboard.loader import load_storyboard

HERE = Path(__file__).parent
BOARD = HERE.parent / "configs/storyboards/cat-in-a-garden.yaml"
# Pixels.
WIDTH, MOVING_WIDTH = 640, 480
# Seconds: in the middle of a caption; and from the first word over the first transition.
STILL_AT_S = 6
MOVING_FROM_S, MOVING_LENGTH_S, MOVING_FPS = 2, 8, 6


def main() -> None:
    """Render the film, and make its small copies."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run_locally(load_storyboard(BOARD), Settings(output=Path(folder))))
        film = Path(folder) / BOARD.stem / f"{BOARD.stem}.mp4"
        shutil.copyfile(film.with_suffix(".vtt"), HERE / "first-film.vtt")
        make_copies(film)


def make_copies(film: Path) -> None:
    """Make the small copies of a film: the others out of the first, whose pictures have little grain."""
    small, copy = f"scale={WIDTH}:-2:flags=lanczos,setsar=1", HERE / "first-film.mp4"
    picture = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "27", "-pix_fmt", "yuv420p"]
    sound = ["-c:a", "aac", "-b:a", "80k", "-ac", "2"]
    encode(film, ["-map", "0:v", "-map", "0:a", "-vf", small, *picture, *sound, "-movflags", "+faststart"], copy)
    encode(copy, ["-ss", str(STILL_AT_S), "-frames:v", "1", "-q:v", "4"], copy.with_suffix(".jpg"))
    moving = f"fps={MOVING_FPS},scale={MOVING_WIDTH}:-2:flags=lanczos"
    part = ["-ss", str(MOVING_FROM_S), "-t", str(MOVING_LENGTH_S), "-an", "-vf", moving]
    encode(copy, [*part, "-c:v", "libwebp_anim", "-quality", "45", "-loop", "0"], copy.with_suffix(".webp"))


def encode(film: Path, options: list[str], made: Path) -> None:
    """Let ffmpeg make a file out of a film."""
    # Nothing that changes from run to run: the same film makes the same files.
    plain = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(film)]
    subprocess.run([*program, *options, *plain, str(made)], check=True)


if __name__ == "__main__":
    main()
