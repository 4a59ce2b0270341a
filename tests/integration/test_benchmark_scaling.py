"""The simulation of many lanes: its figures are bounded by what can be computed by hand."""

import pytest

from benchmarks.scaling import CHUNK, DEATH_AT, FREE_AFTER_S, REQUESTS_A_MINUTE, RESENT, SLOWEST_S, Simulation

FRAMES = 5_000
# An answer that is of no use, once more, and once more again.
TAIL_MINUTES = 3 * SLOWEST_S / 60
# A lane keeps what it has claimed: it may begin so much later than the others end.
UNEVEN_MINUTES = CHUNK / REQUESTS_A_MINUTE


def test_the_same_seed_gives_the_same_figures() -> None:
    """And another seed others."""
    first, again, other = (Simulation(frames=FRAMES, lanes=4, dies=True, seed=seed).run() for seed in (1, 1, 2))

    assert (first == again, first == other) == (True, False)


@pytest.mark.parametrize("lanes", [1, 2, 4, 10])
def test_lanes_send_as_fast_as_they_may(lanes: int) -> None:
    """The time is that of all requests at the common pace, and the last answers; few requests are sent again."""
    simulated = Simulation(frames=FRAMES, lanes=lanes).run()

    at_pace = (simulated.requests - lanes) / (lanes * REQUESTS_A_MINUTE)
    assert at_pace < simulated.minutes < at_pace + UNEVEN_MINUTES + TAIL_MINUTES
    assert FRAMES < simulated.requests < FRAMES * (1 + 2 * RESENT)


def test_the_frames_of_a_dead_lane_are_generated_by_the_others() -> None:
    """At the others' pace from its death on, and what it had in flight once more."""
    alive, dies = (Simulation(frames=FRAMES, lanes=4, dies=dies).run() for dies in (False, True))

    least = alive.minutes * (DEATH_AT + (1 - DEATH_AT) * 4 / 3)
    assert least - TAIL_MINUTES < dies.minutes < least + TAIL_MINUTES + FREE_AFTER_S / 60
    assert dies.requests > alive.requests
