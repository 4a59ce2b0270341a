"""The display of a run: bars redrawn in place on a terminal, plain lines elsewhere; and its last lines."""

import contextlib
import queue
import threading
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.cli.quotes import simulated_suffix
from pipelines.common.formatting import counted, format_decimal, format_duration, format_spent
from pipelines.common.printable import printable, printable_name
from pipelines.run.progress import Progress, SceneProgress
from pipelines.run.result import RunResult

_REFRESH_HZ = 4
_LINE_EVERY_S = 10.0
# A run that is being stopped has one figure to tell, and whoever stopped it waits for it.
_STOPPING_LINE_EVERY_S = 2.0
# Widths in columns of the terminal, at most.
_BAR_WIDTH = 48
_SCENE_BAR_WIDTH = 24
# A storyboard may have hundreds of scenes; more lines than these cannot be read at a glance.
_MOST_SCENES = 8
# The lowest block is for any rate above zero: a trickle must not look like a pause.
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "._-~=+*#"


class LiveDisplay:
    """A few lines that are redrawn in place for as long as the block runs."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._live = Live(
            ProgressView(progress),
            console=console,
            refresh_per_second=_REFRESH_HZ,
            transient=True,
            # Lines that have scrolled out of the terminal cannot be erased: draw no more than it has.
            vertical_overflow="crop",
        )

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.__exit__(kind, error, tb)


class PlainDisplay:
    """A line at each new stage of the run, and every ten seconds; every two while the run is being stopped."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        # Listeners run in the run's own thread. A pipe that is not read blocks whatever prints to it, so another
        # thread prints. None ends it.
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, name="display", daemon=True)

    def __enter__(self) -> None:
        self._queue_line()
        self._progress.listen(self._queue_line)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._lines.put(None)
        self._thread.join()

    def _queue_line(self) -> None:
        self._lines.put(progress_line(self._progress))

    def _print(self) -> None:
        before = ""
        while (line := self._next_line()) is not None:
            # The same once more is no news.
            if line != before:
                print_lines(self._console, line)
            before = line

    def _next_line(self) -> str | None:
        try:
            return self._lines.get(timeout=_STOPPING_LINE_EVERY_S if self._progress.stopping else _LINE_EVERY_S)
        except queue.Empty:
            # A long stage: its figures as they are now.
            return progress_line(self._progress)


def print_lines(console: Console, text: str) -> None:
    """Print text as it is, but for what a terminal would obey; rich would colour it and break its lines."""
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def display_for(progress: Progress, console: Console) -> LiveDisplay | PlainDisplay | contextlib.nullcontext[None]:
    """Return the display for a console: live on a terminal, lines on a pipe or in a file, none on a quiet one."""
    # A live display on a quiet console would still take what others write to stderr, and print none of it.
    if console.quiet:
        return contextlib.nullcontext()
    return LiveDisplay(progress, console) if console.is_terminal else PlainDisplay(progress, console)


def progress_line(progress: Progress) -> str:
    """Return the state of a run in one line."""
    if not progress.frames:
        return progress.headline
    if progress.stopping:
        return f"{progress.storyboard}: {progress.headline}"
    parts = [f"{progress.storyboard}: {progress.stage}", _frames(progress)]
    if progress.to_generate:
        parts += [_rate(progress), _cost(progress)]
    if progress.segments_done:
        parts.append(_film(progress))
    return ", ".join(parts)


class ProgressView:
    """The state of a run as a few lines with bars; fits itself into the console's width and height."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the run as a whole, then as many of its scenes as there are lines left for."""
        progress = self._progress
        name = printable_name(progress.storyboard or "storyreel")
        title = Text.assemble((name, "bold"), "  ", printable_name(progress.headline))
        yield title
        if not progress.frames:
            return
        figures = _figures(progress, options)
        yield figures
        scenes = list(progress.scenes.values())
        # Less one line for the cursor, and an empty one before the scenes.
        lines_left = options.size.height - len(console.render_lines(Group(title, figures), options)) - 2
        shown = scenes_to_show(scenes, min(lines_left, _MOST_SCENES + 1))
        if shown and len(scenes) > 1:
            yield ""
            yield _scenes(shown, options)
            if len(shown) < len(scenes):
                yield Text(f"and {len(scenes) - len(shown)} more", style="dim")


def scenes_to_show(scenes: Sequence[SceneProgress], lines: int) -> list[SceneProgress]:
    """Return the scenes that fit into so many lines, in the order of the storyboard.

    Scenes that are not done come before done ones, the latest of the done before earlier ones. Where not all fit, one
    line is kept free, for the number of the others.
    """
    if len(scenes) <= lines:
        return list(scenes)
    numbered = list(enumerate(scenes))
    # The most important first: not done, in order; then done, backwards.
    numbered.sort(key=lambda each: (0, each[0]) if each[1].done < each[1].frames else (1, -each[0]))
    return [scene for _, scene in sorted(numbered[: max(lines - 1, 0)], key=lambda each: each[0])]


def sparkline(rates: Sequence[float], *, top: float, blocks: str = _BLOCKS) -> str:
    """Return one block for each rate: the highest for `top` and more, a space for 0.

    Args:
        rates: in any unit.
        top: the rate of the highest block, in the same unit; above 0.
        blocks: characters from the lowest to the highest.
    """
    highest = len(blocks) - 1
    return "".join(blocks[min(round(highest * rate / top), highest)] if rate else " " for rate in rates)


def _figures(progress: Progress, options: ConsoleOptions) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    # What the widest label and the padding leave.
    width = max(options.max_width - len("time left") - 2, 1)
    bar = ProgressBar(total=progress.frames, completed=progress.done, width=min(width, _BAR_WIDTH))
    grid.add_row("", bar)
    grid.add_row("frames", _frames(progress))
    grid.add_row("requests", f"{progress.requests} sent")
    grid.add_row("rate", _rate_with_sparkline(progress, options, width=width))
    grid.add_row("cost", _cost(progress))
    if progress.segments_done:
        grid.add_row("film", _film(progress))
    if not progress.stopping:
        grid.add_row("time left", _time_left(progress))
    return grid


def _rate_with_sparkline(progress: Progress, options: ConsoleOptions, *, width: int) -> str:
    """Return the rates of the last minute as a sparkline, the latest that fit into the width, and the present one."""
    figures = _pace(progress)
    columns = max(width - len(figures) - 2, 0)
    # [-0:] would be all of them.
    rates = progress.recent_rates()[-columns:] if columns and progress.rate_limit else []
    line = sparkline(rates, top=progress.rate_limit, blocks=_ASCII_BLOCKS if options.ascii_only else _BLOCKS)
    return f"{line}  {figures}" if line else figures


def _scenes(scenes: Sequence[SceneProgress], options: ConsoleOptions) -> Table:
    name_width = min(max(len(scene.name) for scene in scenes), max(options.max_width // 3, 1))
    counts = [_scene_count(scene) for scene in scenes]
    bar_width = min(options.max_width - name_width - max(map(len, counts)) - 4, _SCENE_BAR_WIDTH)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=name_width, no_wrap=True, overflow="crop" if options.ascii_only else "ellipsis")
    for scene, count in zip(scenes, counts, strict=True):
        # A bar of less than four columns tells nothing; the count alone is enough then.
        bar = [ProgressBar(total=scene.frames, completed=scene.done, width=bar_width)] if bar_width > 3 else []
        grid.add_row(Text(printable_name(scene.name)), *bar, Text(count, no_wrap=True))
    return grid


def _scene_count(scene: SceneProgress) -> str:
    failed = f", {scene.failed} failed" if scene.failed else ""
    return f"{scene.done - scene.failed} of {scene.frames}{failed}"


def summary_lines(summary: RunResult) -> list[str]:
    """Return the last lines about a run: its state, counts and cost, and every file that it made."""
    counts = f"{summary.generated} generated, {summary.reused} reused, {summary.failed} failed"
    amounts = f"{format_spent(summary.cost_usd, summary.uncertain_usd)}, {format_decimal(summary.cost_thb)} THB"
    requests = f"{counted(summary.requests, 'request')}{simulated_suffix(summary.simulated)}"
    film = f"{summary.video}, {summary.video_seconds:.1f} s" if summary.video else "not made"
    return [
        f"{summary.storyboard}: {summary.state.phrase} after {summary.elapsed_s:.1f} s",
        f"  frames  {summary.frames}: {counts}",
        f"  cost    {amounts} for {requests}",
        f"  film    {film}",
        *(f"          {path}" for path in summary.more_videos),
        *(f"  take    {take.spec.number} of {take.spec.label}: {take.path}" for take in summary.new_takes),
        f"  ledger  {summary.ledger}",
        *([f"  report  {summary.report}"] if summary.report else []),
        *(f"  note    {remark}" for remark in summary.remarks),
    ]


def _frames(progress: Progress) -> str:
    # Failed frames are done in the sense that nothing more is tried for them, but there is nothing to show.
    text = f"{progress.done - progress.failed} of {counted(progress.frames, 'frame')}"
    details = [f"{progress.reused} reused"] if progress.reused else []
    details += [f"{progress.failed} failed"] if progress.failed else []
    details += [f"{progress.resends} sent again"] if progress.resends else []
    return f"{text} ({', '.join(details)})" if details else text


def _rate(progress: Progress) -> str:
    return f"{counted(progress.requests, 'request')}, {_pace(progress)}"


def _pace(progress: Progress) -> str:
    slowed = f", slowed to {progress.pace:.0%}" if progress.pace < 1 else ""
    return f"{progress.requests_per_minute:.0f} of {progress.rate_limit} a minute{slowed}"


def _cost(progress: Progress) -> str:
    simulated = " simulated" if progress.simulated else ""
    spent = format_spent(progress.cost_usd, progress.uncertain_usd, budget_usd=progress.budget_usd)
    return f"{spent}{simulated}"


def _film(progress: Progress) -> str:
    return f"{progress.segments_done} of {counted(progress.segments, 'segment')}"


def _time_left(progress: Progress) -> str:
    left = progress.seconds_left
    return "" if left is None else format_duration(left)
