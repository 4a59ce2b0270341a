"""The lanes of a group of runs: each one's speed, takes and cost, and their sum, in words and for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipelines.common.formatting import counted, format_decimal, format_spent
from pipelines.ledger.models import GroupMember

# More are summed up: a line is read at a glance.
_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class GroupSums:
    """The sums over the runs of a group.

    Attributes:
        runs: how many there are.
        kept, requests: takes that they have generated, and attempts that they have sent.
        cost_usd, uncertain_usd: the costs that are known, and the most that the others may be.
        requests_per_minute: of those that go on.
        rate_limit: requests a minute that the lanes of those allow together; 0 where none has reported it.
    """

    runs: int
    kept: int
    requests: int
    cost_usd: Decimal
    uncertain_usd: Decimal
    requests_per_minute: float
    rate_limit: int

    @property
    def rate(self) -> str:
        """The rate in words, a minute: `469 of 480`."""
        limit = f" of {self.rate_limit}" if self.rate_limit else ""
        return f"{self.requests_per_minute:.0f}{limit}"

    @property
    def spent(self) -> str:
        """The cost in words."""
        return format_spent(self.cost_usd, self.uncertain_usd)


def sum_up_group(members: Sequence[GroupMember]) -> GroupSums:
    """Return the sums over the runs of a group."""
    running = [member for member in members if member.state.running]
    # Runs in one lane share its limit.
    limits = {member.lane: member.rate_limit for member in running}
    return GroupSums(
        runs=len(members),
        kept=sum(member.kept for member in members),
        requests=sum(member.requests for member in members),
        cost_usd=sum((member.cost_usd for member in members), Decimal(0)),
        uncertain_usd=sum((member.uncertain_usd for member in members), Decimal(0)),
        requests_per_minute=sum(member.requests_per_minute for member in running),
        rate_limit=sum(limits.values()),
    )


def lane_name(member: GroupMember) -> str:
    """Return the name of a run's lane; of one without a name, its machine's."""
    return member.lane or machine_name(member.host)


def lane_text(member: GroupMember) -> str:
    """Return a run's lane in a sentence: `lane a`; or its machine's name."""
    return f"lane {member.lane}" if member.lane else machine_name(member.host)


def machine_name(host: str) -> str:
    """Return the name of a machine; what follows it in the ledger tells boots and containers apart."""
    return host.partition(" ")[0] or "another machine"


def by_lane(members: Iterable[GroupMember]) -> dict[str, list[GroupMember]]:
    """Sort the runs of a group by the names of their lanes, in the order in which the first of each began."""
    lanes: dict[str, list[GroupMember]] = {}
    for member in members:
        lanes.setdefault(lane_name(member), []).append(member)
    return lanes


def lane_rates(members: Iterable[GroupMember]) -> str:
    """Return the speed of each lane that is at work, in requests a minute: `a 235, b 188 (slowed to 80%)`."""
    lanes = by_lane(member for member in members if member.state.running)
    return _listed([_rate_of(name, of_lane) for name, of_lane in lanes.items()])


def lane_costs(members: Iterable[GroupMember]) -> str:
    """Return what each lane has generated and at what cost: `a 16 for 0.005152 USD, b 32 for 0.010304 USD`."""
    sums = {name: sum_up_group(of_lane) for name, of_lane in by_lane(members).items()}
    return _listed([f"{name} {lane.kept} for {lane.spent}" for name, lane in sums.items()])


def lanes_title(members: Iterable[GroupMember]) -> str:
    """Return what the lanes of a group are called: by machines they are listed where they have no names."""
    return "lanes" if any(member.lane for member in members) else "runs"


def other_runs(members: Iterable[GroupMember], run_id: str) -> str:
    """Return which other runs than this one have generated takes: `another run (lane b)`, `2 other runs (b, c)`."""
    others = [member for member in members if member.run_id != run_id and member.kept]
    if len(others) == 1:
        return f"another run ({lane_text(others[0])})"
    names = _listed(list(by_lane(others)))
    return f"{len(others)} other runs ({names})" if others else "other runs"


def costs_text(members: Sequence[GroupMember]) -> str:
    """Return what each lane of a group has generated at what cost, and the sum."""
    sums = sum_up_group(members)
    return f"{lane_costs(members)}; {sums.spent} for {counted(sums.requests, 'request')} in all"


def members_json(members: Iterable[GroupMember]) -> list[dict[str, object]]:
    """Return what each run of a group has done as plain JSON values, amounts as decimal strings."""
    return [
        {
            "lane": member.lane,
            "run_id": member.run_id,
            "host": machine_name(member.host),
            "generated": member.kept,
            "requests": member.requests,
            "cost_usd": format_decimal(member.cost_usd),
            "uncertain_usd": format_decimal(member.uncertain_usd),
        }
        for member in members
    ]


def _rate_of(name: str, members: Sequence[GroupMember]) -> str:
    rate = sum(member.requests_per_minute for member in members)
    pace = min(member.pace for member in members)
    return f"{name} {rate:.0f}" + (f" (slowed to {pace:.0%})" if pace < 1 else "")


def _listed(lanes: Sequence[str]) -> str:
    # One more would take no more room than its number.
    most = _MOST_NAMED if len(lanes) > _MOST_NAMED + 1 else len(lanes)
    rest = [f"and {len(lanes) - most} more"] if len(lanes) > most else []
    return ", ".join([*lanes[:most], *rest])
