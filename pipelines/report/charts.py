"""The report's plots as plain SVG: no library to load, no network, colours that follow the page's."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import TypeVar

from pipelines.common.formatting import format_decimal
from pipelines.report.models import RunView

WIDTH, HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 14, 30
_WINDOW_S = 60.0
_MOST_POINTS = 600
_TICKS = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, in SVG units, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line with a name: a limit, a quote, a budget, a median."""

    at: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One attempt: where it stands, and how it ended."""

    x: float
    y: float
    status: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot, ready to be drawn in a box of `WIDTH` by `HEIGHT`.

    Attributes:
        title: what it shows, with its unit.
        essence: the same in one sentence, for who does not see it.
        line: an SVG path; empty for a plot of dots.
        dots: at most 600.
        levels: horizontal lines.
        x_ticks, y_ticks: marks on the axes.
    """

    title: str
    essence: str
    line: str
    dots: tuple[Dot, ...]
    levels: tuple[Level, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def charts_of(run: RunView) -> tuple[Chart, ...]:
    """Return the plots of a run: its rate against the limit, its cost against quote and budget, its latency."""
    return (_rate(run), _cost(run), _latency(run))


def _rate(run: RunView) -> Chart:
    sent = sorted(_seconds(run, attempt.sent_at) for attempt in run.attempts)
    # What a server counts: the requests of the last 60 seconds, each time one is sent.
    points = [(at, bisect_right(sent, at) - bisect_right(sent, at - _WINDOW_S)) for at in sent]
    peak = max(count for _, count in points)
    box = _Box(_longest(run), max(run.rate_limit, peak) * 1.08)
    return Chart(
        title="Requests in the last 60 seconds",
        essence=f"At most {peak} requests in any 60 seconds; the limit is {run.rate_limit}.",
        line=box.path(_thinned(points)),
        dots=(),
        levels=(box.level(run.rate_limit, f"limit {run.rate_limit}", "limit"),),
        x_ticks=box.x_ticks(),
        y_ticks=box.y_ticks(),
    )


def _cost(run: RunView) -> Chart:
    spent_usd, points = Decimal(0), [(0.0, 0.0)]
    for end, cost_usd in sorted(_costs(run)):
        points += [(end, float(spent_usd)), (end, float(spent_usd + cost_usd))]
        spent_usd += cost_usd
    total = float(spent_usd)
    levels = [(float(run.quote_usd), f"quote {format_decimal(run.quote_usd)}", "quote")]
    if run.budget_usd is not None:
        levels.append((float(run.budget_usd), f"budget {format_decimal(run.budget_usd)}", "limit"))
    # A budget far above would press the rest flat: it is named in words then.
    near = [level for level in levels if level[0] <= 4 * max(total, float(run.quote_usd))]
    box = _Box(_longest(run), max([total, *(level[0] for level in near)]) * 1.15)
    budget = "no budget" if run.budget_usd is None else f"a budget of {format_decimal(run.budget_usd)} USD"
    return Chart(
        title="Cost so far, USD",
        essence=(
            f"{format_decimal(spent_usd)} USD in all, quoted at {format_decimal(run.quote_usd)} USD, with {budget}."
        ),
        line=box.path(_thinned(points)),
        dots=(),
        levels=tuple(box.level(*level) for level in near),
        x_ticks=box.x_ticks(),
        y_ticks=box.y_ticks(),
    )


def _latency(run: RunView) -> Chart:
    answered = [attempt for attempt in run.attempts if attempt.latency_s is not None]
    latencies = [attempt.latency_s or 0.0 for attempt in answered]
    middle = median(latencies) if latencies else 0.0
    box = _Box(_longest(run), max([*latencies, 0.1]) * 1.1)
    dots = [
        Dot(*box.point(_seconds(run, attempt.sent_at), attempt.latency_s or 0.0), attempt.status)
        for attempt in _thinned(answered)
    ]
    statuses = ", ".join(f"{count} {status}" for status, count in Counter(a.status for a in run.attempts).items())
    return Chart(
        title="Seconds until the answer",
        essence=f"Half of the answers came within {middle:.1f} s, the last within {max([*latencies, 0.0]):.1f} s; "
        f"{statuses}.",
        line="",
        dots=tuple(dots),
        levels=(box.level(middle, f"median {middle:.1f} s", "quote"),) if latencies else (),
        x_ticks=box.x_ticks(),
        y_ticks=box.y_ticks(),
    )


class _Box:
    """Maps seconds and values into the plot's box."""

    def __init__(self, seconds: float, top: float) -> None:
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
    # Rounded, as a sum of tenths is no tenth.
    return [round(step * number, 12) for number in range(int(top / step) + 1)]


def _thinned(points: Sequence[T]) -> list[T]:
    """Return at most 600 of the points, evenly chosen, the last among them."""
    step = max(1, -(-len(points) // _MOST_POINTS))
    return [*points[:-1:step], *points[-1:]]


def _costs(run: RunView) -> Iterable[tuple[float, Decimal]]:
    for attempt in run.attempts:
        # What is not known stays charged as it was reserved.
        cost = attempt.reserved_usd if attempt.cost_usd is None else attempt.cost_usd
        if cost > Decimal(0):
            yield _seconds(run, attempt.sent_at) + (attempt.latency_s or 0.0), cost


def _longest(run: RunView) -> float:
    return max(_seconds(run, attempt.sent_at) + (attempt.latency_s or 0.0) for attempt in run.attempts)


def _seconds(run: RunView, at: datetime) -> float:
    return (at - run.started_at).total_seconds()
