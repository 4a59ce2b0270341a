"""The times of all words that are spoken in a film, as JSON for other programs."""

import bisect
import json
from collections.abc import Iterator
from fractions import Fraction

from pipelines.storyboard.plan import Plan

_VERSION = 1


def words_text(plan: Plan) -> str:
    """Return the words of a plan's first film as JSON: what each is, when it is spoken, and over what; empty for none.

    Times are seconds from where the film begins, to the millisecond.
    """
    words = list(_words(plan))
    if not words:
        return ""
    content = {"version": _VERSION, "fps": str(plan.timeline.output.fps), "words": words}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _words(plan: Plan) -> Iterator[dict[str, object]]:
    fps, holds = plan.timeline.output.fps, plan.timeline.holds
    starts = [hold.start for hold in holds]
    for spoken in plan.timeline.spoken:
        start_s, end_s = spoken.start / fps, spoken.end / fps
        for word in spoken.speech.words:
            # What follows is not spoken any more.
            if start_s + word.start_s >= end_s:
                break
            at = int((start_s + word.start_s) * fps)
            frame = plan.frames[holds[bisect.bisect_right(starts, at) - 1].frame]
            yield {
                "text": word.text,
                "start_s": _rounded(start_s + word.start_s),
                "end_s": _rounded(min(start_s + word.end_s, end_s)),
                "frame": frame.number,
                "scene": frame.scene,
                "shot": frame.shot,
            }


def _rounded(seconds: Fraction) -> float:
    return round(float(seconds), 3)
