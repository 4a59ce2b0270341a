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
STILL_AT_S = 4
# In the middle of a caption, and long enough for a transition.
MOVING_LENGTH_S, MOVING_FPS = 12, 8


def main() -> None:
    """Render the film, and make its small copies."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run_locally(load_storyboard(BOARD), Settings(output=Path(folder))))
        film = Path(folder) / BOARD.stem / f"{BOARD.stem}.mp4"
        shutil.copyfile(film.with_suffix(".vtt"), HERE / "first-film.vtt")
        make_copies(film)


def make_copies(film: Path) -> None:
    """Make the small copies of a film."""
    small, moving = f"scale={WIDTH}:-2:flags=lanczos", f"fps={MOVING_FPS},scale={MOVING_WIDTH}:-2:flags=lanczos"
    picture = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "27", "-pix_fmt", "yuv420p"]
    sound = ["-c:a", "aac", "-b:a", "80k", "-ac", "2"]
    encode(film, ["-map", "0:v", "-map", "0:a", "-vf", small, *picture, *sound, "-movflags", "+faststart"], "mp4")
    encode(film, ["-ss", str(STILL_AT_S), "-frames:v", "1", "-vf", small, "-q:v", "4"], "jpg")
    animation = ["-c:v", "libwebp_anim", "-quality", "55", "-compression_level", "6", "-loop", "0"]
    encode(film, ["-t", str(MOVING_LENGTH_S), "-an", "-vf", moving, *animation], "webp")


def encode(film: Path, options: list[str], ending: str) -> None:
    """Let ffmpeg make a file beside this script out of a film."""
    # Nothing that changes from run to run: the same film makes the same files.
    plain = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(film)]
    subprocess.run([*program, *options, *plain, str(HERE / f"first-film.{ending}")], check=True)


if __name__ == "__main__":
    main()
