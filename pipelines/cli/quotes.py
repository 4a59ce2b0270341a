"""The quote of a run as text for people and as JSON for programs."""

import math
from typing import TYPE_CHECKING

from pipelines.common.formatting import counted, format_amounts, format_decimal, format_duration, format_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipelines.common.settings import Settings
    from pipelines.ledger.models import TakeLoss
    from pipelines.run.forecast import Forecast
    from pipelines.storyboard.plan import Plan
    from pipelines.storyboard.quote import Quote
    from pipelines.storyboard.timeline import Timeline


def quote_json(planned: "Plan", quote: "Quote", losses: "Mapping[TakeLoss, int]") -> dict[str, object]:
    """Return a quote as plain JSON values: amounts as decimal strings, times in seconds.

    Args:
        planned: the plan.
        quote: its quote.
        losses: how many of the takes to generate were there once, by what became of them.
    """
    from pipelines.ledger.models import TakeLoss

    return {
        "storyboard": planned.storyboard,
        "frames": quote.frames,
        "reuse": quote.reuse,
        "generate": quote.generate,
        "generate_again": {loss.value: losses.get(loss, 0) for loss in TakeLoss},
        "cost_usd": format_decimal(quote.price.usd),
        "worst_case_usd": format_decimal(quote.worst_case_usd),
        "cost_thb": format_decimal(quote.price.thb),
        "neurons": format_known(quote.price.neurons),
        "video_seconds": float(planned.timeline.duration_s),
        "video_frames": planned.timeline.video_frames,
        "narration_seconds": float(planned.timeline.spoken_s),
        "words": planned.timeline.spoken_words,
        "seconds_at_rate_limit": float(quote.time_at_rate_limit_s),
    }


def quote_text(
    planned: "Plan", quote: "Quote", settings: "Settings", losses: "Mapping[TakeLoss, int]", *, forecast: "Forecast"
) -> str:
    """Return a quote in lines, with the time that the render will take; see `quote_json`."""
    timeline, price = planned.timeline, quote.price
    cost = f"{format_amounts(price.usd, price.thb, price.neurons)}{simulated_suffix(settings.simulated)}"
    video_frames = counted(timeline.video_frames, "video frame")
    return "\n".join(
        [
            planned.title,
            f"  frames      {quote.frames}: {quote.generate} to generate, {quote.reuse} to reuse",
            *(_again_lines(losses)),
            f"  cost        {cost}",
            f"  worst case  {format_decimal(quote.worst_case_usd)} USD, if every re-send is made and billed",
            f"  film        {float(timeline.duration_s):.1f} s, {video_frames}, {timeline.output.size}",
            *(_narration_lines(timeline)),
            f"  time        {_time(quote, settings, forecast)}",
        ]
    )


def _again_lines(losses: "Mapping[TakeLoss, int]") -> "Iterator[str]":
    if losses:
        kinds = ", ".join(f"{count} {loss}" for loss, count in sorted(losses.items()))
        yield f"  again       {sum(losses.values())} of these had been generated, and cost again: {kinds}"


def _narration_lines(timeline: "Timeline") -> "Iterator[str]":
    if timeline.spoken:
        spoken = f"{counted(timeline.spoken_words, 'word')} in {float(timeline.spoken_s):.1f} s"
        yield f"  narration   {spoken}, {float(timeline.spoken_s / timeline.duration_s):.0%} of the film"


def _time(quote: "Quote", settings: "Settings", forecast: "Forecast") -> str:
    # Up: it is an estimate, and less than a second is no time to be told.
    whole = f"about {format_duration(math.ceil(forecast.seconds))} until the film is there"
    limit = counted(settings.rate_limit, "request")
    parts = []
    if quote.generate:
        parts.append(f"{float(quote.time_at_rate_limit_s):.1f} s at {limit} a minute")
    if quote.generate and forecast.latency.slow_s >= 1:
        parts.append(f"answers in up to {format_duration(math.ceil(forecast.latency.slow_s))}")
    if forecast.encoding_s >= 1:
        parts.append(f"{format_duration(math.ceil(forecast.encoding_s))} of encoding")
    return f"{whole} ({', '.join(parts)})" if parts else whole


def reroll_text(frames: int, quote: "Quote", settings: "Settings") -> str:
    """Return the quote of a re-roll of so many frames in one line."""
    return (
        f"{counted(quote.generate, 'more take')} of {counted(frames, 'frame')}: "
        f"{format_decimal(quote.price.usd)} USD, at worst {format_decimal(quote.worst_case_usd)} USD"
        f"{simulated_suffix(settings.simulated)}"
    )


def simulated_suffix(simulated: bool) -> str:
    """Return what is added to a cost that is made up; nothing for a real one."""
    return ", simulated: sketches are free" if simulated else ""
