"""Remarks about the takes that a film shows, summed up: a sentence for each kind, however many frames it is about."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pipelines.common.formatting import format_decimal
from pipelines.common.geometry import AspectRatio, Fit, Size
from pipelines.endpoints.models import ImageModel
from pipelines.endpoints.requests import ImageRequest
from pipelines.ledger.models import RemarkKind
from pipelines.takes.models import Take

# Enough to see where; the report shows each.
_MAX_NAMED = 5
# Where the remarks of one kind differ from each other.
_IN_GENERAL = {
    RemarkKind.SIZE: "was made at another size than was asked for",
    RemarkKind.FLAT: "is one flat colour",
    RemarkKind.SAME: "has the same bytes as another take",
    RemarkKind.ORIENTATION: "had an orientation in its EXIF data, which is dropped",
    RemarkKind.SPARE: "had been generated meanwhile: kept as a spare",
}


def sum_up_remarks(takes: Iterable[Take]) -> Iterator[str]:
    """Yield a sentence for each kind of remark about some takes, each of another frame, in storyboard order."""
    texts: defaultdict[RemarkKind, dict[Take, str]] = defaultdict(dict)
    for take in takes:
        for remark in take.remarks:
            texts[remark.kind][take] = remark.text
    for kind in RemarkKind:
        if of_kind := texts[kind]:
            different = set(of_kind.values())
            text = different.pop() if len(different) == 1 else _IN_GENERAL[kind]
            yield f"{_frames(list(of_kind))} {text}{_lost(list(of_kind)) if kind is RemarkKind.SIZE else ''}"


def _frames(takes: Sequence[Take]) -> str:
    numbers = [str(take.frame.number) for take in takes]
    if len(numbers) == 1:
        return f"frame {numbers[0]}"
    more = f" and {len(numbers) - _MAX_NAMED} more" if len(numbers) > _MAX_NAMED else ""
    return f"each of {len(numbers)} frames ({', '.join(numbers[:_MAX_NAMED])}{more})"


def _lost(takes: Sequence[Take]) -> str:
    """Return what fitting costs the pictures, and what asking for their own size would have cost; if all are alike."""
    alike = {(take.size, take.frame.aspect, take.frame.fit, take.frame.steps) for take in takes}
    if len(alike) > 1:
        return ""
    [(made, asked, fit, steps)] = alike
    if not made:
        return ""
    return f"{_fitting(made, asked.size, fit)}{_cheaper(made, asked, steps, takes[0].frame.model)}"


def _fitting(made: Size, asked: Size, fit: Fit) -> str:
    match fit:
        case Fit.CONTAIN:
            return ": shown whole, with black beside it"
        case Fit.STRETCH:
            return ": stretched"
        case _:
            return f": {float(1 - asked.share_of(made)):.0%} of it is cropped away"


def _cheaper(made: Size, asked: AspectRatio, steps: int, model: ImageModel) -> str:
    """Return what the aspect ratio of a picture's own size costs, if that is less than what was asked for."""
    if not model.is_priced:
        return ""
    own = next((aspect for aspect in AspectRatio if aspect.size == made), asked)
    price_usd, own_usd = (model.price_of(ImageRequest("", steps, aspect)).usd for aspect in (asked, own))
    if own_usd >= price_usd:
        return ""
    return f"; asked as {own} it would cost {format_decimal(own_usd)} USD instead of {format_decimal(price_usd)}"
