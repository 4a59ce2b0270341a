"""The display of a run: bars redrawn in place on a terminal, plain lines elsewhere; and its last lines."""

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.cli.quotes import simulated_suffix
from pipelines.cli.waiting import can_be_redrawn
from pipelines.common.formatting import counted, format_decimal, format_duration, format_spent
from pipelines.common.printable import printable, printable_name
from pipelines.report.lanes import costs_text, lane_rates, lanes_title, sum_up_group
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
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
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
            # The same once more is no news, though time goes on.
            if line.news != before:
                print_lines(self._console, str(line))
            before = line.news

    def _next_line(self) -> "Line | None":
        try:
            return self._lines.get(timeout=_STOPPING_LINE_EVERY_S if self._progress.stopping else _LINE_EVERY_S)
        except queue.Empty:
            # A long stage: its figures as they are now.
            return progress_line(self._progress)


def print_lines(console: Console, text: str) -> None:
    """Print text as it is, but for what a terminal would obey; rich would colour it and break its lines."""
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def display_for(progress: Progress, console: Console) -> LiveDisplay | PlainDisplay | contextlib.nullcontext[None]:
    """Return the display for a console: live on a terminal that can be redrawn, none on a quiet one, else lines."""
    # A live display on a quiet console would still take what others write to stderr, and print none of it.
    if console.quiet:
        return contextlib.nullcontext()
    return LiveDisplay(progress, console) if can_be_redrawn(console) else PlainDisplay(progress, console)


@dataclass(frozen=True, slots=True)
class Line:
    """The state of a run in one line.

    Attributes:
        news: what it is at, and how far.
        figures: its pace and its times, which change though nothing happens.
    """

    news: str
    figures: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join((self.news, *self.figures))


def progress_line(progress: Progress) -> Line:
    """Return the state of a run in one line."""
    if not progress.frames:
        return Line(progress.headline)
    if progress.stopping:
        return Line(f"{progress.storyboard}: {progress.headline}")
    parts = [f"{progress.storyboard}: {progress.news}", _frames(progress)]
    if progress.to_generate:
        parts += [counted(progress.requests, "request"), _cost(progress)]
    if progress.segments_done:
        parts.append(_film(progress))
    return Line(", ".join(parts), tuple(_line_figures(progress)))


def _line_figures(progress: Progress) -> Iterator[str]:
    if progress.time_left.takes.left and progress.requests:
        yield _pace(progress)
    if progress.time_left.takes.left and progress.members:
        yield f"{lanes_title(progress.members)} {_lanes(progress)}"
    yield f"{format_duration(progress.elapsed_s)} elapsed"
    if progress.seconds_left is not None:
        yield f"{format_duration(progress.seconds_left)} left"


class ProgressView:
    """The state of a run as a few lines with bars; fits itself into the console's width and height."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the run as a whole, then as many of its scenes as there are lines left for."""
        progress = self._progress
        name = printable_name(progress.storyboard or "storyreel")
        title = Text.assemble((name, "bold"), "  ", printable_name(progress.headline))
        if not progress.frames:
            # Prefect is being started, or the storyboard's takes are looked for.
            yield title.append(f", {format_duration(progress.elapsed_s)} so far", "dim")
            return
        yield title
        figures = _figures(progress, options)
        yield figures
        notice = Text(_interruption(progress), style="dim")
        if notice:
            yield notice
        scenes = list(progress.scenes.values())
        # Less one line for the cursor, and an empty one before the scenes.
        above = Group(title, figures, *([notice] if notice else []))
        lines_left = options.size.height - len(console.render_lines(above, options)) - 2
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
    # A low terminal crops the last rows: what matters most comes first.
    grid.add_row(f"{progress.time_left.share:.0%}", _bar(progress.time_left.share, 1, width=min(width, _BAR_WIDTH)))
    if left := _time_left(progress):
        grid.add_row("time left", left)
    grid.add_row("elapsed", format_duration(progress.elapsed_s))
    grid.add_row("frames", _frames(progress))
    if progress.segments_done:
        grid.add_row("film", _film(progress))
    if progress.to_generate:
        grid.add_row("cost", _cost(progress))
        grid.add_row("requests", _requests(progress))
    if progress.time_left.takes.left:
        grid.add_row("rate", _rate_with_sparkline(progress, options, width=width))
    if progress.time_left.takes.left and progress.members:
        grid.add_row(lanes_title(progress.members), _lanes(progress))
    return grid


def _bar(done: float, total: float, *, width: int) -> ProgressBar:
    # The terminal's own colours: they suit its background, light or dark.
    return ProgressBar(
        total=total, completed=done, width=width, style="dim", complete_style="bold", finished_style="bold"
    )


def _interruption(progress: Progress) -> str:
    """Return what Ctrl-C does to the run, where it stops it; empty where it does not, or has done so."""
    if progress.grace_period_s is None or progress.stopping:
        return ""
    # It stops the others of its group as well.
    runs = f"all {len(progress.members)} runs" if progress.members else ""
    if not progress.in_flight:
        return f"Ctrl-C: ends {runs or 'the run'}, keeps what was generated"
    wait = format_duration(progress.grace_period_s)
    sends = f"{runs} send" if runs else "sends"
    return f"Ctrl-C: {sends} nothing more, keeps what is in flight (up to {wait})"


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
        bar = [_bar(scene.done, scene.frames, width=bar_width)] if bar_width > 3 else []
        grid.add_row(Text(printable_name(scene.name)), *bar, Text(count, no_wrap=True))
    return grid


def _scene_count(scene: SceneProgress) -> str:
    failed = f", {scene.failed} failed" if scene.failed else ""
    return f"{scene.done - scene.failed} of {scene.frames}{failed}"


def summary_lines(summary: RunResult) -> list[str]:
    """Return the last lines about a run: its state, counts and cost, and every file that it made."""
    amounts = f"{format_spent(summary.cost_usd, summary.uncertain_usd)}, {format_decimal(summary.cost_thb)} THB"
    requests = f"{counted(summary.requests, 'request')}{simulated_suffix(summary.simulated)}"
    video = summary.video
    film = f"{video}, {summary.video_seconds:.1f} s{_quality(summary, video)}" if video else "not made"
    return [
        f"{summary.storyboard}: {summary.state.phrase} after {summary.elapsed_s:.1f} s",
        f"  frames  {summary.frames}: {summary.counts}",
        f"  cost    {amounts} for {requests}",
        *([f"  {lanes_title(summary.members):<6}  {costs_text(summary.members)}"] if summary.members else []),
        f"  film    {film}",
        *(f"          {path}{_quality(summary, path)}" for path in summary.more_videos),
        *(f"  take    {take.spec.number} of {take.frame.label}: {take.pattern}" for take in summary.new_takes),
        f"  ledger  {summary.ledger}",
        *([f"  report  {summary.report}"] if summary.report else []),
        *(f"  note    {remark}" for remark in summary.remarks),
    ]


def _quality(summary: RunResult, film: Path) -> str:
    """Return what is to be known of a film's quality: that it is a draft, or is one no more; else nothing."""
    if film in summary.drafts:
        return ", a draft"
    return ", was a draft, is final now" if film in summary.finished else ""


def _frames(progress: Progress) -> str:
    # Failed frames are done in the sense that nothing more is tried for them, but there is nothing to show.
    text = f"{progress.done - progress.failed} of {counted(progress.frames, 'frame')}"
    details = [f"{progress.reused} reused"] if progress.reused else []
    details += [f"{progress.elsewhere} by other runs"] if progress.elsewhere else []
    details += [f"{progress.failed} failed"] if progress.failed else []
    details += [f"{progress.resends} sent again"] if progress.resends else []
    return f"{text} ({', '.join(details)})" if details else text


def _requests(progress: Progress) -> str:
    in_flight = f", {progress.in_flight} in flight" if progress.in_flight else ""
    return f"{progress.requests} sent{in_flight}"


def _pace(progress: Progress) -> str:
    slowed = f", slowed to {progress.pace:.0%}" if progress.pace < 1 else ""
    return f"{progress.requests_per_minute:.0f} of {progress.rate_limit} a minute{slowed}"


def _cost(progress: Progress) -> str:
    simulated = " simulated" if progress.simulated else ""
    if not progress.members:
        spent = format_spent(progress.cost_usd, progress.uncertain_usd, budget_usd=progress.budget_usd)
        return f"{spent}{simulated}"
    # The budget is that of all runs of the group together.
    sums = sum_up_group(progress.members)
    in_all = format_spent(sums.cost_usd, sums.uncertain_usd, budget_usd=progress.budget_usd)
    return f"{format_spent(progress.cost_usd, progress.uncertain_usd)} here, {in_all} in all{simulated}"


def _lanes(progress: Progress) -> str:
    return f"{lane_rates(progress.members)}: {sum_up_group(progress.members).rate} a minute in all"


def _film(progress: Progress) -> str:
    return f"{progress.segments_done} of {counted(progress.segments, 'segment')} encoded"


def _time_left(progress: Progress) -> str:
    left = progress.seconds_left
    if left is not None:
        return format_duration(left)
    return "" if progress.stopping or progress.time_left.known else "estimating"
