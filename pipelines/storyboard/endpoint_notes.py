"""Notes on what an endpoint will not make of a storyboard as it is asked, and problems where that cannot work."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from pipelines.common.errors import Problem
from pipelines.common.formatting import format_decimal
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import ImageRequest
from pipelines.storyboard.model import BoardFrame, FramePlaces, Place, Storyboard


@dataclass(frozen=True, slots=True)
class _Remark:
    """What is to be said of a key of some frames.

    Attributes:
        place: where the key stands; None where no level sets it.
        message: what, and what to do.
        is_problem: whether it cannot work, instead of being made otherwise.
    """

    place: Place | None
    message: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What frames ask for besides their prompts, and where; ten thousand may ask for the same."""

    steps: int
    aspect: AspectRatio
    fit: Fit
    steps_place: Place | None
    aspect_place: Place | None


def endpoint_issues(board: Storyboard, model: ImageModel) -> list[Problem]:
    """Return a note on each thing that a model will not make as it is asked, a problem for each that cannot work.

    Each is told once for the key that sets it; where it is the default, once, at the first shot. In file order.

    Args:
        board: the storyboard.
        model: the one that is asked for its frames.
    """
    found: dict[_Remark, Problem] = {}
    on_asked = functools.cache(lambda asked: tuple(_on_asked(asked, model)))
    for frame, places in zip(board.frames, board.frame_places, strict=True):
        asked = _Asked(frame.steps, frame.aspect, frame.fit, places.steps, places.aspect)
        for remark in (*_on_prompts(frame, places, model), *on_asked(asked)):
            found.setdefault(remark, _issue(remark, places, board))
    return sorted(found.values(), key=lambda issue: issue.position)


def _issue(remark: _Remark, places: FramePlaces, board: Storyboard) -> Problem:
    place = remark.place or places.shot
    return (place.problem if remark.is_problem else place.note)(board.path, remark.message)


def _on_prompts(frame: BoardFrame, places: FramePlaces, model: ImageModel) -> Iterator[_Remark]:
    for prompt in (frame.prompt, *frame.fallback_prompts):
        if len(prompt) > model.abilities.max_prompt_chars:
            yield _Remark(places.prompt, _too_long(prompt, frame, model), is_problem=True)


def _on_asked(asked: _Asked, model: ImageModel) -> Iterator[_Remark]:
    if message := _steps(asked, model):
        yield _Remark(asked.steps_place, message)
    size = model.abilities.size_for(asked.aspect.size)
    if size != asked.aspect.size and asked.fit is Fit.ERROR:
        yield _Remark(asked.aspect_place, _refused(asked.aspect, size, model), is_problem=True)
    elif asked.aspect.size.share_of(size) < 1:
        yield _Remark(asked.aspect_place, _misshapen(asked, size, model))
    if message := _cheaper(asked, model):
        yield _Remark(asked.aspect_place, message)


def _too_long(prompt: str, frame: BoardFrame, model: ImageModel) -> str:
    which = "" if prompt == frame.prompt else "a fallback prompt "
    return (
        f"{which}is {len(prompt):,} characters once filled in, and {model.name} takes at most "
        f"{model.abilities.max_prompt_chars:,}; shorten it, or choose another model"
    )


def _steps(asked: _Asked, model: ImageModel) -> str:
    """Return which steps are not made; an empty text where all are, or the storyboard does not set them."""
    most = model.abilities.max_steps
    if asked.steps_place is None:
        return ""
    if most is None:
        return f"{model.name} is asked for no number of steps, and makes what it likes; remove `steps`"
    if asked.steps > most:
        return f"{model.name} makes at most {most} steps, and none of the {asked.steps - most} beyond; ask for {most}"
    return ""


def _refused(aspect: AspectRatio, size: Size, model: ImageModel) -> str:
    return (
        f"{model.name} makes {size} of {aspect}, not {aspect.size}, and fit: error refuses that once it is paid for; "
        "choose another fit"
    )


def _misshapen(asked: _Asked, size: Size, model: ImageModel) -> str:
    """Return what becomes of pictures that are made in another shape."""
    share = float(1 - asked.aspect.size.share_of(size))
    becomes = {
        Fit.CONTAIN: "each is shown whole, with black beside it",
        Fit.STRETCH: "each is stretched",
    }.get(asked.fit, f"{share:.0%} of each is cropped away")
    whole = [aspect for aspect in AspectRatio if aspect.size.share_of(model.abilities.size_for(aspect.size)) == 1]
    cure = f"ask for {' or '.join(whole)}, of which nothing is lost" if whole else "choose another model to have all"
    return f"{model.name} makes pictures of {size}: asked for {asked.aspect}, {becomes}; {cure}"


def _cheaper(asked: _Asked, model: ImageModel) -> str:
    """Return which aspect ratio costs less and, cropped, has no fewer pixels; an empty text where none does."""
    if not model.is_priced:
        return ""

    def price_usd(aspect: AspectRatio) -> Decimal:
        return model.price_of(ImageRequest("", asked.steps, aspect)).usd

    enough = [aspect for aspect in AspectRatio if _covers(model.abilities.size_for(aspect.size), asked.aspect.size)]
    cheapest = min(enough, key=price_usd, default=asked.aspect)
    least, usual = price_usd(cheapest), price_usd(asked.aspect)
    if least >= usual:
        return ""
    return (
        f"{cheapest} costs {format_decimal(least)} USD instead of {format_decimal(usual)}, and cropped to "
        f"{asked.aspect} it has the same {asked.aspect.size} pixels; ask for {cheapest}, and set the output's size"
    )


def _covers(made: Size, asked: Size) -> bool:
    return made.width >= asked.width and made.height >= asked.height
