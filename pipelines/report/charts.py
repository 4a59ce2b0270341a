"""The report's charts as plain SVG: no library to load, no network, colours that follow the page's."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import TypeVar

from pipelines.common.formatting import format_decimal, format_spent
from pipelines.report.models import RunView

# SVG units.
WIDTH, HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 14, 30
_WINDOW_S = 60.0
# About as many as the chart is wide: more would fall on the same pixels.
_MAX_POINTS = 600
_TICKS = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: its position along the axis in SVG units, and its label."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line with a label: a limit, a quote, a budget, a median.

    Attributes:
        y: in SVG units.
        kind: `limit` or `quote`; the style sheet has a colour for each.
    """

    y: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One attempt: its position in SVG units, and its status."""

    x: float
    y: float
    status: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, ready to be drawn in a box of `WIDTH` by `HEIGHT`.

    Attributes:
        title: what it shows, with its unit.
        alt_text: what it says, in a sentence, for readers who cannot see it.
        line: an SVG path; empty for a chart of dots.
        dots: at most 600.
        levels: horizontal lines.
        x_ticks, y_ticks: marks on the axes.
    """

    title: str
    alt_text: str
    line: str
    dots: tuple[Dot, ...]
    levels: tuple[Level, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def charts_of(run: RunView) -> tuple[Chart, ...]:
    """Return the charts of a run: its rate with the limit, its cost with quote and budget, its latency."""
    return (_rate_chart(run), _cost_chart(run), _latency_chart(run))


def _rate_chart(run: RunView) -> Chart:
    # Each lane has a limit of its own, which the sum of all would pass.
    lanes = [lane.sent_at for lane in run.lanes] or [tuple(attempt.sent_at for attempt in run.attempts)]
    curves = [_in_last_minute([_seconds(run, moment) for moment in sent_at]) for sent_at in lanes]
    limits = sorted({lane.rate_limit for lane in run.lanes} or {run.rate_limit})
    peak = max(count for points in curves for _, count in points)
    scale = _Scale(_end_s(run), max(*limits, peak) * 1.08)
    lines = [scale.path(_thin_out(points, most=_MAX_POINTS // len(curves))) for points in curves]
    return Chart(
        title=f"Requests in the last 60 seconds{', by lane' if run.lanes else ''}",
        alt_text=f"At most {peak} requests in any 60 seconds{' in any lane' if run.lanes else ''}; {_limits(limits)}.",
        line=" ".join(lines),
        dots=(),
        levels=tuple(scale.level(limit, f"limit {limit}", "limit") for limit in limits),
        x_ticks=scale.x_ticks(),
        y_ticks=scale.y_ticks(),
    )


def _in_last_minute(moments_s: Iterable[float]) -> list[tuple[float, int]]:
    """Return at each request, as a server counts too, those of the last 60 seconds."""
    sent = sorted(moments_s)
    return [(at, bisect_right(sent, at) - bisect_right(sent, at - _WINDOW_S)) for at in sent]


def _limits(limits: Sequence[int]) -> str:
    return f"the limit is {limits[0]}" if len(limits) == 1 else f"the limits are {', '.join(map(str, limits))}"


def _cost_chart(run: RunView) -> Chart:
    spent_usd, points = Decimal(0), [(0.0, 0.0)]
    for end, cost_usd in sorted(_costs(run)):
        # Two points for each cost make the line a staircase.
        points += [(end, float(spent_usd)), (end, float(spent_usd + cost_usd))]
        spent_usd += cost_usd
    quote_usd, budget_usd = run.quote_usd, run.budget_usd
    levels = [(float(quote_usd), f"quote {format_decimal(quote_usd)}", "quote")]
    if budget_usd is not None:
        levels.append((float(budget_usd), f"budget {format_decimal(budget_usd)}", "limit"))
    # A budget far above the cost would press the line flat; then only the text names it.
    levels = [level for level in levels if level[0] <= 4 * float(max(spent_usd, quote_usd))]
    scale = _Scale(_end_s(run), max([float(spent_usd), *(value for value, _, _ in levels)]) * 1.15)
    known_usd = sum((attempt.cost_usd or Decimal(0) for attempt in run.attempts), Decimal(0))
    spent = format_spent(known_usd, spent_usd - known_usd)
    budget = "no budget" if budget_usd is None else f"a budget of {format_decimal(budget_usd)} USD"
    return Chart(
        title="Cost so far, USD",
        alt_text=f"{spent} in all, quoted at {format_decimal(quote_usd)} USD, with {budget}.",
        line=scale.path(_thin_out(points)),
        dots=(),
        levels=tuple(scale.level(*level) for level in levels),
        x_ticks=scale.x_ticks(),
        y_ticks=scale.y_ticks(),
    )


def _latency_chart(run: RunView) -> Chart:
    answers = [
        (_seconds(run, attempt.sent_at), attempt.latency_s, attempt.status)
        for attempt in run.attempts
        if attempt.latency_s is not None
    ]
    latencies_s = [latency_s for _, latency_s, _ in answers]
    middle_s, longest_s = (median(latencies_s), max(latencies_s)) if latencies_s else (0.0, 0.0)
    scale = _Scale(_end_s(run), max(longest_s, 0.1) * 1.1)
    dots = [Dot(*scale.point(sent_s, latency_s), status) for sent_s, latency_s, status in _thin_out(answers)]
    by_status = Counter(attempt.status for attempt in run.attempts)
    statuses = ", ".join(f"{count} {status}" for status, count in by_status.items())
    return Chart(
        title="Seconds until the answer",
        alt_text=f"Half of the answers came within {middle_s:.1f} s, the last within {longest_s:.1f} s; {statuses}.",
        line="",
        dots=tuple(dots),
        levels=(scale.level(middle_s, f"median {middle_s:.1f} s", "quote"),) if answers else (),
        x_ticks=scale.x_ticks(),
        y_ticks=scale.y_ticks(),
    )


class _Scale:
    """Turns seconds and values into positions in the chart's box."""

    def __init__(self, seconds: float, top: float) -> None:
        # At least something: nothing is divided by zero, and a run of one request gets an axis.
        self._seconds = max(seconds, 1.0)
        self._top = top or 1.0

    def point(self, seconds: float, value: float) -> tuple[float, float]:
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * seconds / self._seconds
        y = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / self._top
        return round(x, 1), round(y, 1)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        return "M" + " L".join(f"{x} {y}" for x, y in (self.point(*point) for point in points))

    def level(self, value: float, label: str, kind: str) -> Level:
        return Level(self.point(0, value)[1], label, kind)

    def x_ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.point(value, 0)[0], f"{value:g} s") for value in _round_values(self._seconds))

    def y_ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.point(0, value)[1], f"{value:g}") for value in _round_values(self._top))


def _round_values(top: float) -> list[float]:
    """Return about four round values from 0 up to `top`."""
    rough = top / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    # Rounded, because 3 * 0.1 is not 0.3 in binary.
    return [round(step * number, 12) for number in range(int(top / step) + 1)]


def _thin_out(points: Sequence[T], *, most: int = _MAX_POINTS) -> list[T]:
    """Return about so many of the points at most, evenly chosen, the last one among them."""
    step = max(1, -(-len(points) // max(most, 1)))
    return [*points[:-1:step], *points[-1:]]


def _costs(run: RunView) -> Iterator[tuple[float, Decimal]]:
    """Yield the end of each attempt in seconds, with what it is charged at."""
    for attempt in run.attempts:
        # An unknown cost stays charged at what was reserved.
        cost_usd = attempt.reserved_usd if attempt.cost_usd is None else attempt.cost_usd
        if cost_usd > Decimal(0):
            yield _seconds(run, attempt.sent_at) + (attempt.latency_s or 0.0), cost_usd


def _end_s(run: RunView) -> float:
    """Return when the last answer came, in seconds since the run's first request."""
    return max(_seconds(run, attempt.sent_at) + (attempt.latency_s or 0.0) for attempt in run.attempts)


def _seconds(run: RunView, moment: datetime) -> float:
    return (moment - run.started_at).total_seconds()
