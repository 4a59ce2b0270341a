"""What a frame costs until a person can look at it: its thumbnail, its place on the contact sheet and in the report."""

import os
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.assembling import paint_sketches
from benchmarks.measure import BIN, Row, gallery_server, own_processor_s, ratio_row, run
from benchmarks.rendering import write_board

_FRAMES, _PAINTED = 240, 24
_ROUNDS = 3
_MODEL = ("--model", "sketch")
_FILM = ("segments", "*.mp4")
_OVERVIEW = ("thumbnails", "contact-sheet*.jpg", "report.html")
# The longest side of a thumbnail is 320 pixels.
_SMALL = (320, 183)
# A photograph's grain, in values of a channel: a drawing's PNG is decoded in half the time.
_GRAIN = 3.0


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    photos = _paint_photos(folder / "photos")
    board = write_board(folder / "overview.yaml", _FRAMES, aspect="16:9")
    with gallery_server(photos, (0, 0)) as url:
        endpoint = ("--endpoint", url)
        run([str(BIN / "storyreel"), "render", str(board), *_MODEL, *endpoint, "--rate-limit", "1000000"], cwd=folder)
    # Another port would be another endpoint, which changes nothing: nothing is left to ask for.
    rounds = [_round(board, endpoint) for _ in range(_ROUNDS)]
    with_film_s, alone_s = (statistics.median(each) / _FRAMES for each in zip(*rounds, strict=True))
    naive_s = _naive_s(photos)
    against = f"Pillow opening, shrinking and saving each picture ({1000 * naive_s:.1f} ms of processor)"
    name = "thumbnail, contact sheet and report of a frame"
    for named, ours_s, aim in ((name, with_film_s, "0.3"), (f"{name}, without the film", alone_s, "1")):
        yield ratio_row(named, ours_s / naive_s, against, aim, detail=f"{1000 * ours_s:.1f} ms")


def _round(board: Path, endpoint: tuple[str, ...]) -> tuple[float, float]:
    """Return what all thumbnails, the sheet and the report take: of pictures that the film reads, and alone."""
    again_s = _own_s(board, endpoint)
    alone_s = _own_s(board, endpoint, *_OVERVIEW)
    film_s = _own_s(board, endpoint, *_FILM)
    both_s = _own_s(board, endpoint, *_FILM, *_OVERVIEW)
    return both_s - film_s, alone_s - again_s


def _own_s(board: Path, endpoint: tuple[str, ...], *made_anew: str) -> float:
    """Return the processor time of a render that has nothing to generate, but to make some files anew."""
    for path in (path for pattern in made_anew for path in (board.parent / "outputs/overview").glob(pattern)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    command = [str(BIN / "python"), "-m", "benchmarks.own_cost", "render", str(board), "--json", *_MODEL, *endpoint]
    # The board's folder is where the outputs go; the benchmarks are imported from here.
    rendered = run(command, cwd=board.parent, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    return float(rendered.stdout.split()[-1])


def _naive_s(photos: Path) -> float:
    """Return the processor time of a picture that is read whole and shrunk, in this process."""
    began = own_processor_s()
    for path in sorted(photos.glob("*.png")):
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize(_SMALL, Image.Resampling.LANCZOS)
        small.save(path.with_suffix(".jpg"), quality=80)
    return (own_processor_s() - began) / _PAINTED


def _paint_photos(folder: Path) -> Path:
    """Paint sketches with a photograph's grain into a folder of their own; return it."""
    folder.mkdir()
    paint_sketches(folder, _PAINTED)
    rng = np.random.default_rng(0)
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as sketch:
            pixels = np.asarray(sketch.convert("RGB"))
        grainy = pixels + rng.normal(scale=_GRAIN, size=pixels.shape)
        Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(path)
    return folder
