"""What a person sees of a run."""

import io
import threading
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from pipelines.display import LiveDisplay, PlainDisplay, closing_lines, display_for, draw, line
from pipelines.progress import Progress
from pipelines.summary import RunSummary


def halfway() -> Progress:
    """Return the progress of a run in the middle of its work, on a clock that stands."""
    now = [0.0]
    progress = Progress(clock=lambda: now[0])
    progress.storyboard, progress.stage = "harbor", "buying frames"
    progress.frames, progress.reused, progress.to_buy, progress.bought, progress.failed = 100, 10, 90, 30, 1
    progress.budget_usd, progress.cost_usd, progress.rate_limit = Decimal("0.25"), Decimal("0.0196"), 720
    for number in range(31):
        now[0] = number / 12
        progress.sent(again=number == 5)
    return progress


def drawn(progress: Progress) -> str:
    """Return what the live display shows, as plain text."""
    text = io.StringIO()
    Console(file=text, width=100, color_system=None).print(draw(progress))
    return text.getvalue()


def test_a_line_says_how_far_how_fast_and_how_dear() -> None:
    """Frames done, requests a minute against the limit, cost against the budget."""
    assert line(halfway()) == (
        "harbor: buying frames, 40 of 100 frames (10 reused, 1 failed, 1 sent again), 31 sent, 720 of 720 a minute, "
        "0.0196 of 0.25 USD"
    )


def test_the_live_display_says_it_in_lines() -> None:
    """With a bar and the time left."""
    shown = [" ".join(part.split()) for part in drawn(halfway()).splitlines()]

    assert shown[0] == "harbor buying frames"
    assert shown[2:] == [
        "frames 40 of 100 frames (10 reused, 1 failed, 1 sent again)",
        "requests 31 sent, 720 of 720 a minute",
        "cost 0.0196 of 0.25 USD",
        "time left 4 s",
    ]


def test_before_there_is_anything_to_say_only_the_stage_is_said() -> None:
    """Prefect takes a moment to start."""
    starting = Progress(stage="starting Prefect")

    assert (line(starting), drawn(starting).strip()) == ("starting Prefect", "storyreel  starting Prefect")


def test_long_waits_are_told_in_minutes() -> None:
    """Ten thousand frames at twelve a second."""
    progress = halfway()
    progress.frames = progress.to_buy = 10_000

    assert "13 min 50 s" in drawn(progress)


def test_the_display_suits_the_console() -> None:
    """Live on a terminal, lines elsewhere."""
    terminal = display_for(Progress(), Console(force_terminal=True, file=io.StringIO()))
    pipe = display_for(Progress(), Console(file=io.StringIO()))

    assert (type(terminal), type(pipe)) == (LiveDisplay, PlainDisplay)


def test_lines_are_printed_as_the_stage_changes() -> None:
    """Each stage once."""
    progress, printed = Progress(stage="one"), threading.Event()

    class Paper(io.StringIO):
        def write(self, text: str) -> int:
            printed.set()
            return super().write(text)

    paper = Paper()
    with PlainDisplay(progress, Console(file=paper)):
        assert printed.wait(10)
        printed.clear()
        progress.stage = "two"
        assert printed.wait(10)

    assert paper.getvalue().split() == ["one", "two"]


def test_a_live_display_leaves_nothing_behind() -> None:
    """What it drew is erased; the closing lines stand alone."""
    paper = io.StringIO()
    with LiveDisplay(halfway(), Console(file=paper, force_terminal=True, width=100)):
        pass

    assert "harbor" in paper.getvalue()


def test_the_closing_lines_name_everything_that_was_made() -> None:
    """State, frames, cost, film, ledger."""
    summary = RunSummary(
        storyboard="harbor",
        run_id="1",
        state="Completed",
        frames=3,
        reused=1,
        generated=2,
        failed=0,
        requests=2,
        cost_usd=Decimal("0.001304"),
        cost_thb=Decimal("0.04564"),
        neurons=Decimal("115.2"),
        simulated=True,
        video=Path("outputs/harbor/harbor.mp4"),
        video_seconds=6.0,
        ledger=Path("outputs/harbor/ledger.csv"),
        report=None,
        elapsed_s=2.25,
    )

    assert closing_lines(summary) == [
        "harbor: completed in 2.2 s",
        "  frames  3: 2 bought, 1 reused, 0 failed",
        "  cost    0.001304 USD, 0.04564 THB for 2 requests, simulated: sketches are free",
        "  film    outputs/harbor/harbor.mp4, 6.0 s",
        "  ledger  outputs/harbor/ledger.csv",
    ]
