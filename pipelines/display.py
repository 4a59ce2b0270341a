"""What a person sees of a run: a live display on a terminal, plain lines elsewhere. All of it on stderr."""

import threading
import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.pricing import plain
from pipelines.progress import Progress
from pipelines.summary import RunSummary

_REFRESH_HZ = 4
_LINE_EVERY_S = 10.0


class LiveDisplay:
    """Redraws a few lines in place while the block runs."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._live = Live(
            get_renderable=lambda: draw(progress), console=console, refresh_per_second=_REFRESH_HZ, transient=True
        )

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.__exit__(kind, error, tb)


class PlainDisplay:
    """Prints a line when the run comes to another stage, and every ten seconds."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._print, name="display", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _print(self) -> None:
        stage, printed = "", 0.0
        while not self._over.wait(1 / _REFRESH_HZ):
            now = time.monotonic()
            if self._progress.stage != stage or now - printed > _LINE_EVERY_S:
                stage, printed = self._progress.stage, now
                self._console.print(line(self._progress), highlight=False, markup=False, soft_wrap=True)


def display_for(progress: Progress, console: Console) -> LiveDisplay | PlainDisplay:
    """Return the display that suits the console."""
    return LiveDisplay(progress, console) if console.is_terminal else PlainDisplay(progress, console)


def line(progress: Progress) -> str:
    """Return the state of a run in one line."""
    if not progress.frames:
        return progress.stage
    parts = [f"{progress.storyboard}: {progress.stage}", _frames(progress)]
    if progress.to_buy:
        parts += [_rate(progress), _cost(progress)]
    if progress.pieces_done:
        parts.append(_film(progress))
    return ", ".join(parts)


def draw(progress: Progress) -> RenderableType:
    """Return the state of a run as a few lines with a bar."""
    title = Text.assemble((progress.storyboard or "storyreel", "bold"), "  ", progress.stage)
    if not progress.frames:
        return title
    grid = Table.grid(padding=(0, 2))
    grid.add_row("", ProgressBar(total=progress.frames, completed=progress.done, width=48))
    grid.add_row("frames", _frames(progress))
    grid.add_row("requests", _rate(progress))
    grid.add_row("cost", _cost(progress))
    if progress.pieces_done:
        grid.add_row("film", _film(progress))
    grid.add_row("time left", _time_left(progress))
    return Group(title, grid)


def closing_lines(summary: RunSummary) -> list[str]:
    """Return what is said when a run has ended."""
    requests = f"{summary.requests} request{'' if summary.requests == 1 else 's'}"
    simulated = ", simulated: sketches are free" if summary.simulated else ""
    film = f"{summary.video}, {summary.video_seconds:.1f} s" if summary.video else "not made"
    return [
        f"{summary.storyboard}: {summary.state.lower()} in {summary.elapsed_s:.1f} s",
        f"  frames  {summary.frames}: {summary.generated} bought, {summary.reused} reused, {summary.failed} failed",
        f"  cost    {plain(summary.cost_usd)} USD, {plain(summary.cost_thb)} THB for {requests}{simulated}",
        f"  film    {film}",
        *(f"          {path}" for path in summary.more_videos),
        *(f"  take    {take.spec.take} of {take.spec.label}: {take.path}" for take in summary.new_takes),
        f"  ledger  {summary.ledger}",
        *([f"  report  {summary.report}"] if summary.report else []),
        *(f"  note    {remark}" for remark in summary.remarks),
    ]


def _frames(progress: Progress) -> str:
    text = f"{progress.done - progress.failed} of {progress.frames} frames"
    details = [f"{progress.reused} reused"] if progress.reused else []
    details += [f"{progress.failed} failed"] if progress.failed else []
    details += [f"{progress.resends} sent again"] if progress.resends else []
    return f"{text} ({', '.join(details)})" if details else text


def _rate(progress: Progress) -> str:
    slowed = f", slowed to {progress.pace:.0%}" if progress.pace < 1 else ""
    return f"{progress.requests} sent, {progress.requests_per_minute:.0f} of {progress.rate_limit} a minute{slowed}"


def _cost(progress: Progress) -> str:
    simulated = " simulated" if progress.simulated else ""
    budget = f" of {plain(progress.budget_usd)}" if progress.budget_usd is not None else ""
    return f"{plain(progress.cost_usd)}{budget} USD{simulated}"


def _film(progress: Progress) -> str:
    return f"{progress.pieces_done} of {progress.pieces} segments"


def _time_left(progress: Progress) -> str:
    left = progress.seconds_left
    if left is None:
        return ""
    minutes, seconds = divmod(int(left), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
