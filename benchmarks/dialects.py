"""The dialects beside each other: generating over what the rate limit alone takes, and the processor time of base64."""

import hashlib
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from sqlalchemy import select

from benchmarks.gallery import PATHS
from benchmarks.measure import BIN, Row, gallery_server, ratio_row, run
from benchmarks.rendering import time_to_generate, write_board
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import attempts

_MODELS = {"flux": "sketch", "cloudflare": "flux-1-schnell", "openai": "dall-e-3"}
# Two cores serve it, and the seller too.
_LIMIT_A_MINUTE = 240
_FRAMES = 120
_LATENCY_S = 0.3
_UNBOUND_A_MINUTE = 1_000_000
_ROUNDS = 5
_PICTURES = 60
_SIDE_PX = 1024
# With these, a JPEG of that side is about as long as a photograph is.
_GRAIN, _QUALITY = 30, 95


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    photos = folder / "photos"
    photos.mkdir()
    paint_photos(photos, _PICTURES)
    with gallery_server(photos, (_LATENCY_S, _LATENCY_S)) as url:
        for dialect in PATHS:
            yield _over_ideal(folder / f"limit-{dialect}", url, dialect)
    with gallery_server(photos, (0, 0)) as url:
        yield from _processor(folder, url, photos)


def paint_photos(folder: Path, number: int) -> None:
    """Paint pictures that compress as badly as photographs, no two of the same bytes."""
    grain = [Image.effect_noise((_SIDE_PX, _SIDE_PX), _GRAIN) for _ in "RGB"]
    photo = Image.merge("RGB", grain)
    for index in range(number):
        photo.save(folder / f"{index:03}.jpg", quality=_QUALITY, comment=f"photo {index}")


def _over_ideal(at: Path, url: str, dialect: str) -> Row:
    """Measure what generating takes beyond the limit and the last image's latency."""
    _, board = _generated(at, url, dialect, frames=_FRAMES, rate_limit=_LIMIT_A_MINUTE)
    took_s, last_latency_s = time_to_generate(at / "outputs" / board.stem / "ledger.csv")
    ideal_s = _FRAMES * 60 / _LIMIT_A_MINUTE + last_latency_s
    name = f"{dialect}: {_FRAMES} frames at {_LIMIT_A_MINUTE}/min: generating over ideal"
    return ratio_row(name, took_s / ideal_s, f"{ideal_s:.1f} s", "1.03")


def _processor(folder: Path, url: str, photos: Path) -> Iterator[Row]:
    """Measure the dialects in turn, all with the same pictures: what decoding base64 costs beside all of the rest."""
    rounds: list[dict[str, float]] = []
    for number in range(_ROUNDS):
        rounds.append({})
        for dialect in PATHS:
            at = folder / f"processor-{dialect}-{number}"
            spent_s, board = _generated(at, url, dialect, frames=_PICTURES, rate_limit=_UNBOUND_A_MINUTE)
            _require_kept(board, photos)
            rounds[-1][dialect] = spent_s
    flux_ms = 1000 * statistics.median(spent["flux"] for spent in rounds) / _PICTURES
    mb = sum(path.stat().st_size for path in photos.iterdir()) / _PICTURES / 1e6
    for dialect in list(PATHS)[1:]:
        ratio = statistics.median(spent[dialect] / spent["flux"] for spent in rounds)
        name = f"{dialect}: client processor time a frame over flux"
        yield ratio_row(name, ratio, f"{flux_ms:.1f} ms, pictures of {mb:.1f} MB", "1.25")


def _generated(at: Path, url: str, dialect: str, *, frames: int, rate_limit: int) -> tuple[float, Path]:
    """Generate the frames of a new storyboard; return the client's own processor time in seconds, and the board."""
    at.mkdir()
    board = write_board(at / f"{dialect}.yaml", frames)
    settings = {
        "STORYREEL_ENDPOINT": f"{url}{PATHS[dialect]}",
        "STORYREEL_MODEL": _MODELS[dialect],
        "STORYREEL_RATE_LIMIT": str(rate_limit),
        # The board's folder is where the outputs go; the benchmarks are imported from here.
        "PYTHONPATH": str(Path.cwd()),
    }
    command = [str(BIN / "python"), "-m", "benchmarks.generating", board.name]
    return float(run(command, cwd=at, env={**os.environ, **settings}).stdout), board


def _require_kept(board: Path, photos: Path) -> None:
    """Require that each picture was kept once, to the byte: else there would be nothing to compare."""
    query = select(attempts.c.body_sha256).where(attempts.c.status == "ok")
    with Ledger.open(f"sqlite:///{board.parent}/outputs/storyreel.db") as ledger, ledger.database.reading() as reading:
        kept = sorted(reading.scalars(query))
    if kept != sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in photos.iterdir()):
        raise SystemExit(f"{board}: {len(kept)} pictures were kept, or not those that were sent")
