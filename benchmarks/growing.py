"""A run of 10,000 frames: its memory over that of a run of 1,000."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.lanes import client_settings, render
from benchmarks.measure import Kind, Row, prefect_server, ratio_row
from benchmarks.rendering import write_board
from tests.campaigns.metered_seller import metered_seller

_FEW, _MANY = 1_000, 10_000
# As fast as the machine can.
_NO_LIMIT = 1_000_000


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    peaks, took_s = {}, {}
    with prefect_server(folder / "prefect-of-growing") as env, metered_seller() as seller:
        for frames in (_FEW, _MANY):
            at = folder / f"growing-{frames}"
            at.mkdir()
            settings = client_settings(seller.url, f"sqlite:///{at}/ledger.db", rate_limit=_NO_LIMIT)
            cost = render(write_board(at / "growing.yaml", frames), {**env, **settings})
            peaks[frames], took_s[frames] = cost.peak_mib, cost.wall_s
    beside = f"{peaks[_FEW]:.0f} MiB at {_FEW:,}"
    yield Row(f"peak memory, {_MANY:,} frames", peaks[_MANY], "MiB", Kind.MEMORY, beside)
    yield ratio_row(f"peak memory, {_MANY:,} frames over {_FEW:,}", peaks[_MANY] / peaks[_FEW], beside, "1.25")
    name, against = f"time of {_MANY:,} frames over {_FEW:,}", f"{took_s[_FEW]:.0f} s"
    yield ratio_row(name, took_s[_MANY] / took_s[_FEW], against, f"{_MANY / _FEW:g}", detail=f"{took_s[_MANY]:.0f} s")
