"""Looking at pictures as they arrive: an honest one beside decoding it, and the dearest of hostile ones beside that."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.measure import Row, own_processor_s, ratio_row, run
from pipelines.common.geometry import Size
from pipelines.endpoints.image_check import inspect_picture
from tests.campaigns.hostile_pictures import ASKED, hostile_pictures, photo

_ROUNDS = 20
_SEED = 1


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    decoded_ms = {}
    for kind in ("PNG", "JPEG"):
        honest = folder / f"honest.{kind.lower()}"
        _photo(ASKED).save(honest, kind)
        looked_ms, decoded_ms[kind] = _looked_ms(honest), _decoded_ms(honest)
        against, detail = f"Pillow decoding it ({decoded_ms[kind]:.1f} ms of processor)", f"{looked_ms:.1f} ms"
        yield ratio_row(
            f"looking at a {kind} of {ASKED} as it arrives", looked_ms / decoded_ms[kind], against, "1", detail=detail
        )
    yield from _hostile(folder / "hostile", decoded_ms["PNG"])


def _hostile(folder: Path, honest_ms: float) -> Iterator[Row]:
    """Look at hostile pictures, each in a process of its own, which measures itself."""
    folder.mkdir()
    for number, picture in enumerate(hostile_pictures(_SEED, long=False)):
        (folder / str(number)).write_bytes(picture.data)
    looks = json.loads(run([sys.executable, "-m", "tests.campaigns.hostile_pictures", str(folder)]).stdout).values()
    dearest_s, most_mib = max(look["cpu_s"] for look in looks), max(look["mib"] for look in looks)
    against, aim = f"Pillow decoding an honest PNG of {ASKED} ({honest_ms:.1f} ms)", "2 s, 200 MiB"
    name, detail = "the dearest hostile picture", f"{dearest_s:.2f} s, {most_mib:.0f} MiB, of {len(looks)}"
    yield ratio_row(name, 1000 * dearest_s / honest_ms, against, aim, detail=detail)


def _photo(size: Size) -> Image.Image:
    return photo((size.width, size.height))


def _looked_ms(path: Path) -> float:
    began = own_processor_s()
    for _ in range(_ROUNDS):
        inspect_picture(path, asked=ASKED)
    return 1000 * (own_processor_s() - began) / _ROUNDS


def _decoded_ms(path: Path) -> float:
    data = path.read_bytes()
    began = own_processor_s()
    for _ in range(_ROUNDS):
        Image.open(io.BytesIO(data)).load()
    return 1000 * (own_processor_s() - began) / _ROUNDS
