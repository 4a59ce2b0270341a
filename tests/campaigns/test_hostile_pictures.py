"""Campaign: pictures made to be dear, or to pass for what they are not: none is, and none does."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.hostile_pictures import hostile_pictures
from tests.campaigns.tally import LONG, SEED, Tally

pytestmark = pytest.mark.slow

MAX_CPU_S = 2.0
MAX_MIB = 200
ROOT = Path(__file__).parents[2]


def test_hostile_pictures_are_cheap_to_look_at_and_refused(open_tally: Callable[[str], Tally], tmp_path: Path) -> None:
    """Within two seconds of processor time and 200 MB each, by the account of the process that looks."""
    tally = open_tally("hostile pictures: bombs, cuts, lies")
    pictures = {f"{n:04d}": picture for n, picture in enumerate(hostile_pictures(SEED, long=LONG))}
    for name, picture in pictures.items():
        (tmp_path / name).write_bytes(picture.data)

    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.hostile_pictures", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    looks = json.loads(done.stdout)
    broken = [
        f"{pictures[name].name}: {look}"
        for name, look in looks.items()
        if look["foreign"]
        or look["cpu_s"] > MAX_CPU_S
        or look["mib"] > MAX_MIB
        or pictures[name].refused not in (None, look["refused"])
    ]
    tally.trials, tally.unforeseen = len(looks), len(broken)
    tally.remarks = (
        f"{max(look['cpu_s'] for look in looks.values()):.1f} s and "
        f"{max(look['mib'] for look in looks.values()):.0f} MiB at most"
    )
    assert len(looks) == len(pictures)
    assert not tally.violations, "\n".join([*broken, tally.remarks])
