"""Remarks about takes as they stand in the database: JSON, a pair of kind and text for each."""

import json
from collections.abc import Iterable

from pipelines.ledger.models import Remark, RemarkKind


def format_remarks(remarks: Iterable[Remark]) -> str | None:
    """Return remarks as the database holds them; None where there are none."""
    pairs = [(remark.kind.value, remark.text) for remark in remarks]
    return json.dumps(pairs, ensure_ascii=False) if pairs else None


def parse_remarks(text: str | None) -> tuple[Remark, ...]:
    """Return the remarks that the database holds."""
    # Almost every take has none.
    return tuple(Remark(RemarkKind(kind), words) for kind, words in json.loads(text)) if text else ()
