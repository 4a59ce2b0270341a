"""What a person sees of a run: a live display on a terminal, plain lines elsewhere. All of it on stderr."""

import queue
import threading
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.common.formatting import format_decimal, format_duration
from pipelines.run.progress import Progress, SceneProgress
from pipelines.run.result import RunResult

_REFRESH_HZ = 4
_LINE_EVERY_S = 10.0
_BAR_WIDTH = 48
_SCENE_BAR_WIDTH = 24
_MOST_SCENES = 8
# The lowest stands for any rate above none.
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "._-~=+*#"


class LiveDisplay:
    """Redraws a few lines in place while the block runs."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._live = Live(
            Drawing(progress),
            console=console,
            refresh_per_second=_REFRESH_HZ,
            transient=True,
            # No more lines than the terminal has: those that scrolled away could not be erased.
            vertical_overflow="crop",
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
        # The run says its lines here; printing them, to a pipe that nobody reads perhaps, is not its affair.
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, name="display", daemon=True)

    def __enter__(self) -> None:
        self._say()
        self._progress.listen(self._say)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._said.put(None)
        self._thread.join()

    def _say(self) -> None:
        self._said.put(line(self._progress))

    def _print(self) -> None:
        while (said := self._next_line()) is not None:
            self._console.print(said, highlight=False, markup=False, soft_wrap=True)

    def _next_line(self) -> str | None:
        try:
            return self._said.get(timeout=_LINE_EVERY_S)
        except queue.Empty:
            return line(self._progress)


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


class Drawing:
    """The state of a run as a few lines with bars, drawn anew for whatever room there is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the run as a whole, and as many of its scenes as there are lines left for."""
        progress = self._progress
        title = Text.assemble((progress.storyboard or "storyreel", "bold"), "  ", progress.stage)
        yield title
        if not progress.frames:
            return
        figures = _figures(progress, options)
        yield figures
        scenes = list(progress.scenes.values())
        # One line for the cursor, and one between.
        room = options.size.height - len(console.render_lines(Group(title, figures), options)) - 2
        shown = scenes_to_show(scenes, min(room, _MOST_SCENES + 1))
        if shown and len(scenes) > 1:
            yield ""
            yield _scenes(shown, options)
            if len(shown) < len(scenes):
                yield Text(f"and {len(scenes) - len(shown)} more", style="dim")


def scenes_to_show(scenes: Sequence[SceneProgress], lines: int) -> list[SceneProgress]:
    """Return the scenes that fit into so many lines: those in work and the next ones, then those just done.

    A line is kept for how many there are beyond.
    """
    if len(scenes) <= lines:
        return list(scenes)
    numbered = list(enumerate(scenes))
    numbered.sort(key=lambda each: (0, each[0]) if each[1].done < each[1].frames else (1, -each[0]))
    return [scene for _, scene in sorted(numbered[: max(lines - 1, 0)], key=lambda each: each[0])]


def sparkline(rates: Sequence[float], *, top: float, blocks: str = _BLOCKS) -> str:
    """Return a column for each rate, the highest from `top` on; a rate of none leaves a gap."""
    highest = len(blocks) - 1
    return "".join(blocks[min(round(highest * rate / top), highest)] if rate else " " for rate in rates)


def _figures(progress: Progress, options: ConsoleOptions) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    room = max(options.max_width - len("time left") - 2, 1)
    bar = ProgressBar(total=progress.frames, completed=progress.done, width=min(room, _BAR_WIDTH))
    grid.add_row("", bar)
    grid.add_row("frames", _frames(progress))
    grid.add_row("requests", f"{progress.requests} sent")
    grid.add_row("rate", _drawn_rate(progress, options, room=room))
    grid.add_row("cost", _cost(progress))
    if progress.pieces_done:
        grid.add_row("film", _film(progress))
    grid.add_row("time left", _time_left(progress))
    return grid


def _drawn_rate(progress: Progress, options: ConsoleOptions, *, room: int) -> str:
    """Return the last minute as columns, as many of the latest as there is room for, and the figures."""
    figures = _pace(progress)
    columns = max(room - len(figures) - 2, 0)
    rates = progress.recent_rates()[-columns:] if columns and progress.rate_limit else []
    drawn = sparkline(rates, top=progress.rate_limit, blocks=_ASCII_BLOCKS if options.ascii_only else _BLOCKS)
    return f"{drawn}  {figures}" if drawn else figures


def _scenes(scenes: Sequence[SceneProgress], options: ConsoleOptions) -> Table:
    name_width = min(max(len(scene.name) for scene in scenes), max(options.max_width // 3, 1))
    counts = [_scene_count(scene) for scene in scenes]
    bar_width = min(options.max_width - name_width - max(map(len, counts)) - 4, _SCENE_BAR_WIDTH)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=name_width, no_wrap=True, overflow="crop" if options.ascii_only else "ellipsis")
    for scene, count in zip(scenes, counts, strict=True):
        bar = [ProgressBar(total=scene.frames, completed=scene.done, width=bar_width)] if bar_width > 3 else []
        grid.add_row(Text(scene.name), *bar, Text(count, no_wrap=True))
    return grid


def _scene_count(scene: SceneProgress) -> str:
    failed = f", {scene.failed} failed" if scene.failed else ""
    return f"{scene.done - scene.failed} of {scene.frames}{failed}"


def summary_lines(summary: RunResult) -> list[str]:
    """Return what is said when a run has ended."""
    requests = f"{summary.requests} request{'' if summary.requests == 1 else 's'}"
    simulated = ", simulated: sketches are free" if summary.simulated else ""
    cost = f"{format_decimal(summary.cost_usd)} USD, {format_decimal(summary.cost_thb)} THB"
    film = f"{summary.video}, {summary.video_seconds:.1f} s" if summary.video else "not made"
    return [
        f"{summary.storyboard}: {summary.state.lower()} in {summary.elapsed_s:.1f} s",
        f"  frames  {summary.frames}: {summary.generated} bought, {summary.reused} reused, {summary.failed} failed",
        f"  cost    {cost} for {requests}{simulated}",
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
    return f"{progress.requests} sent, {_pace(progress)}"


def _pace(progress: Progress) -> str:
    slowed = f", slowed to {progress.pace:.0%}" if progress.pace < 1 else ""
    return f"{progress.requests_per_minute:.0f} of {progress.rate_limit} a minute{slowed}"


def _cost(progress: Progress) -> str:
    simulated = " simulated" if progress.simulated else ""
    budget = f" of {format_decimal(progress.budget_usd)}" if progress.budget_usd is not None else ""
    return f"{format_decimal(progress.cost_usd)}{budget} USD{simulated}"


def _film(progress: Progress) -> str:
    return f"{progress.pieces_done} of {progress.pieces} segments"


def _time_left(progress: Progress) -> str:
    left = progress.seconds_left
    return "" if left is None else format_duration(left)
