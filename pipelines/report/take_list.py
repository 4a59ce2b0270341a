"""The takes of a storyboard as `storyreel takes` lists them."""

from collections.abc import Iterable, Iterator

from pipelines.common.formatting import format_decimal
from pipelines.takes.models import FrameTakes, Take

# Longer ones are cut: a line has a path in it already.
_MAX_PROMPT_CHARS = 60


def take_lines(frames: Iterable[FrameTakes]) -> Iterator[str]:
    """Yield a line for each frame and each of its takes; an arrow marks the take that the film shows."""
    for frame in frames:
        yield frame.frame.label
        for take in frame.takes:
            mark = "->" if take == frame.selected else "  "
            picked = ", picked" if take.spec.number == frame.picked else ""
            yield f"  {mark} take {take.spec.number}  {_cost(take)}{picked}  {take.pattern}{_other_prompt(frame, take)}"
            yield from (f"       {remark.text}" for remark in take.remarks)
        if not frame.takes:
            yield "     none yet"
        if frame.lost_pick:
            yield f"     take {frame.picked}, which was picked, is gone"


def takes_json(storyboard: str, frames: Iterable[FrameTakes], *, simulated: bool) -> dict[str, object]:
    """Return the takes as plain JSON values, amounts as decimal strings; a cost that is not known is null.

    Args:
        storyboard: its id.
        frames: the takes of each frame.
        simulated: whether the takes are sketches, which cost nothing.
    """
    return {
        "storyboard": storyboard,
        "simulated": simulated,
        "frames": [
            {
                "frame": frame.frame.number,
                "scene": frame.frame.scene,
                "shot": frame.frame.shot,
                "shown": frame.selected.spec.number if frame.selected else None,
                "picked": frame.picked,
                "takes": [_take_json(take) for take in frame.takes],
            }
            for frame in frames
        ],
    }


def _take_json(take: Take) -> dict[str, object]:
    return {
        "take": take.spec.number,
        "file": str(take.path),
        "prompt": take.prompt,
        "cost_usd": None if take.cost_usd is None else format_decimal(take.cost_usd),
        "remarks": [{"kind": remark.kind.value, "text": remark.text} for remark in take.remarks],
    }


def _cost(take: Take) -> str:
    return "cost unknown" if take.cost_usd is None else f"{format_decimal(take.cost_usd)} USD"


def _other_prompt(frame: FrameTakes, take: Take) -> str:
    """Return the prompt that made a take, where it is not the frame's own: a re-roll's, or a fallback."""
    if take.prompt == frame.frame.prompt:
        return ""
    cut = take.prompt if len(take.prompt) <= _MAX_PROMPT_CHARS else f"{take.prompt[: _MAX_PROMPT_CHARS - 1]}…"
    return f"  asked: {cut!r}"
