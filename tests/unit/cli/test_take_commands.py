"""The commands to choose among takes, as far as they need no run; the rest is in end_to_end/."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended


def test_takes_are_listed_for_people(invoke: Callable[..., Ended], first_take: Path) -> None:
    """An arrow marks the one that is shown; its path is one that a shell completes; frames without a take say so."""
    ended = invoke("takes", "harbor.yaml")

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert ended.stderr == (
        "frame_0000 main/shot-1\n"
        f"  -> take 1  0.000652 USD  outputs/harbor/takes/{first_take.name[:12]}*.png\n"
        "frame_0001 main/shot-2\n"
        "     none yet\n"
        "frame_0002 main/shot-3\n"
        "     none yet\n"
    )


def test_takes_are_listed_for_programs(invoke: Callable[..., Ended], first_take: Path) -> None:
    """One object; the cost as a decimal string."""
    listed = invoke("takes", "harbor.yaml", "--json").json

    assert (listed["storyboard"], listed["simulated"]) == ("harbor", True)
    assert listed["frames"][0] == {
        "frame": 0,
        "scene": "main",
        "shot": "shot-1",
        "shown": 1,
        "picked": None,
        "takes": [
            {
                "take": 1,
                "file": f"outputs/harbor/takes/{first_take.name}",
                "prompt": "a",
                "cost_usd": "0.000652",
                "remarks": [],
            }
        ],
    }


@pytest.mark.usefixtures("first_take")
def test_a_take_that_is_not_there_cannot_be_picked(invoke: Callable[..., Ended]) -> None:
    """Those that are there are named."""
    ended = invoke("pick", "harbor.yaml", "0", "2")

    assert (ended.exit_code, ended.stderr) == (2, "frame_0000 main/shot-1: there is no take 2; it has 1\n")
