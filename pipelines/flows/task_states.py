"""The states of task runs: what became of a take, or of a group of them, as Prefect's page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import assert_never

from prefect import State
from prefect.client.schemas.objects import StateType

from pipelines.common.formatting import counted
from pipelines.run.outcomes import Failed, Generated, Postponed, Reused, TakeOutcome, Unsent
from pipelines.run.take_log import outcome_text
from pipelines.storyboard.plan import TakeSpec

# Enough to see what is wrong: the log has a line for each.
_MAX_NAMED = 3
# The state of several takes with ends of different names, and of any with Prefect's own.
_PLAIN_NAMES = {StateType.COMPLETED: "Completed", StateType.CANCELLED: "Cancelled", StateType.FAILED: "Failed"}
# From the best to the worst.
_TYPES = tuple(_PLAIN_NAMES)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The take was asked for, and its answer not awaited: it may have been billed."""

    spec: TakeSpec


@dataclass(frozen=True, slots=True)
class _End:
    """One take's end: the type and the name of a state, what it is called where takes are counted, and in words."""

    type: StateType
    name: str
    noun: str
    text: str


def task_state(outcomes: Sequence[TakeOutcome | Abandoned]) -> State[None]:
    """Return the state of a task run for these takes: the worst of theirs; its message says what became of them.

    Args:
        outcomes: one of each take, at least one.
    """
    ends = [_end(outcome) for outcome in outcomes]
    kind = max((end.type for end in ends), key=_TYPES.index)
    names = {end.name for end in ends}
    message = ends[0].text if len(ends) == 1 else _sum_up(outcomes, ends)
    return State(type=kind, name=names.pop() if len(names) == 1 else _PLAIN_NAMES[kind], message=message)


def _end(outcome: TakeOutcome | Abandoned) -> _End:
    match outcome:
        case Generated():
            return _End(StateType.COMPLETED, "Completed", "generated", outcome_text(outcome))
        case Reused():
            return _End(StateType.COMPLETED, "Reused", "there already", outcome_text(outcome))
        # Prefect knows no type for what was left undone: all of these are CANCELLED, and their names tell them apart.
        case Postponed():
            return _End(StateType.CANCELLED, "Postponed", "postponed", outcome_text(outcome))
        case Unsent(requests=0):
            return _End(StateType.CANCELLED, "NotSent", "not sent", outcome_text(outcome))
        case Unsent():
            return _End(StateType.CANCELLED, "GivenUp", "given up", outcome_text(outcome))
        case Abandoned():
            text = "its answer was not awaited, and it may have been billed"
            return _End(StateType.CANCELLED, "GivenUp", "given up", text)
        case Failed(reason=reason):
            return _End(StateType.FAILED, "Failed", "failed", reason)
        case _:
            assert_never(outcome)


def _sum_up(outcomes: Sequence[TakeOutcome | Abandoned], ends: Sequence[_End]) -> str:
    nouns = sorted((end.noun for end in ends), key=[end.noun for end in ends].index)
    counts = ", ".join(f"{len(list(same))} {noun}" for noun, same in groupby(nouns))
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    named = "".join(f"; {outcome.spec.label}: {outcome.reason}" for outcome in failed[:_MAX_NAMED])
    rest = f"; and {len(failed) - _MAX_NAMED} more" if len(failed) > _MAX_NAMED else ""
    return f"{counted(len(ends), 'take')}: {counts}{named}{rest}"
