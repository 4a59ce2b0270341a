"""The selection of frames by a text, `3,7-9`, `arrival/wide`, `arrival`; and of more takes of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipelines.common.errors import UsageError
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.frame_texts import prompt_issue
from pipelines.storyboard.plan import FrameSpec, Plan, TakeSpec

# A key that is held too long must not cost a thousand images.
MOST_AT_ONCE = 99
# Also by the names of the files, frame_0007. Seven digits are more than a storyboard can have frames.
_RANGE = re.compile(r"(?:frame_)?(\d{1,7})(?:\s*-\s*(?:frame_)?(\d{1,7}))?")


@dataclass(frozen=True, slots=True)
class ExtraTakes:
    """More takes of some frames.

    Attributes:
        frames: none for a film that is only cut again.
        count: how many more of each.
        prompt: what to ask instead of the frames' own prompts; None for those.
    """

    frames: tuple[FrameSpec, ...] = ()
    count: int = 1
    prompt: str | None = None

    @property
    def to_quote(self) -> tuple[TakeSpec, ...]:
        """A spec for each image, for its price only: the ledger gives the takes their numbers, and thus their keys."""
        return tuple(self._priced(frame) for frame in self.frames) * self.count

    def _priced(self, frame: FrameSpec) -> TakeSpec:
        if self.prompt is None:
            return frame.first_take
        # Without fallbacks, as the take will be: they count in the worst case.
        return replace(frame.first_take, prompt=self.prompt, fallback_prompts=())


def select_extra_takes(plan: Plan, text: str, *, count: int, prompt: str | None) -> ExtraTakes:
    """Return `count` more takes of each frame that `text` names; see `select_frames`.

    Raises:
        UsageError: there are no such frames, or the count or the prompt is not allowed.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise UsageError(f"--takes {count}: must be 1 to {MOST_AT_ONCE}")
    return ExtraTakes(select_frames(plan, text), count, None if prompt is None else require_prompt(prompt))


def require_prompt(text: str) -> str:
    """Return a prompt without the spaces around it.

    Raises:
        UsageError: it is no prompt: empty, too long, of nothing that shows, or with control characters.
    """
    prompt = text.strip()
    if issue := prompt_issue(prompt):
        raise UsageError(f"the prompt {issue}")
    return prompt


def select_frames(plan: Plan, text: str) -> tuple[FrameSpec, ...]:
    """Return the frames that `text` names, each once, in storyboard order.

    Args:
        plan: the storyboard's frames.
        text: numbers, ranges, shots as `scene/shot` and scenes, with commas between them.

    Raises:
        UsageError: it names something that the storyboard does not have.
    """
    chosen = {spec.number for part in text.split(",") for spec in _named(plan, part.strip())}
    return tuple(spec for spec in plan.frames if spec.number in chosen)


def select_frame(plan: Plan, text: str) -> FrameSpec:
    """Return the one frame that `text` names.

    Raises:
        UsageError: it names none, or several.
    """
    frames = select_frames(plan, text)
    if len(frames) != 1:
        listed = ", ".join(str(frame.number) for frame in frames[:5])
        raise UsageError(f"{text}: names {len(frames)} frames ({listed} ...); name one of them by its number")
    return frames[0]


def _named(plan: Plan, part: str) -> Iterator[FrameSpec]:
    if match := _RANGE.fullmatch(part):
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < len(plan.frames):
            raise UsageError(
                f"{part}: there is no such frame; {plan.storyboard} has frames 0 to {len(plan.frames) - 1}"
            )
        yield from plan.frames[first : last + 1]
        return
    frames = [spec for spec in plan.frames if part in (spec.scene, f"{spec.scene}/{spec.shot}")]
    if not frames:
        places = dict.fromkeys(f"{spec.scene}/{spec.shot}" for spec in plan.frames)
        meant = did_you_mean(part, places)
        raise UsageError(f"{part or 'FRAMES'}: is neither a frame's number (3, 7-9) nor a shot nor a scene{meant}")
    yield from frames
