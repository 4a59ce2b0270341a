"""Claims on takes: runs of one storyboard divide its takes, and none is claimed twice."""

import threading
from pathlib import Path

import pytest

from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, GivenUp, Outcome
from tests.support.builders import run
from tests.support.ledger import admit, gate_of, kill, new_take, nth_request, opened

pytestmark = pytest.mark.usefixtures("database")

KEYS = [nth_request(n).take.request_key for n in range(8)]


def of_one_group(ledger: Ledger, *names: str) -> list[Gate]:
    """Enter runs of one group, the first of which conducts; return their gates."""
    entered = [ledger.start_run(run(name), plan="plan") for name in names]
    return [ledger.gate(each, rate_limit=720) for each in entered]


def test_runs_divide_what_they_claim(ledger: Ledger) -> None:
    """In the order in which it is asked for, a few at a time."""
    ours, theirs = of_one_group(ledger, "ours", "theirs")

    first = ours.claim(KEYS, limit=3)
    second = theirs.claim(KEYS, limit=3)

    assert list(first.claimed) == KEYS[:3]
    assert list(second.claimed) == KEYS[3:6]
    assert second.held == set(KEYS[:3])


def test_what_is_kept_or_given_up_is_told(ledger: Ledger) -> None:
    """Nobody needs to try it again."""
    ours, theirs = of_one_group(ledger, "ours", "theirs")
    ours.claim(KEYS[:2], limit=2)
    ledger.keep_take(admit(ours, nth_request(0)).attempt_id, new_take())
    ours.give_up(KEYS[1], reason="the prompt was refused")

    claims = theirs.claim(KEYS[:2], limit=2)

    assert (claims.claimed, claims.kept) == ((), frozenset(KEYS[:1]))
    assert claims.given_up == {KEYS[1]: "the prompt was refused"}
    assert theirs.admit(nth_request(1)) == GivenUp("the prompt was refused")


def test_another_group_tries_what_one_has_given_up(ledger: Ledger) -> None:
    """A person who renders again wants it tried."""
    [ours] = of_one_group(ledger, "ours")
    ours.give_up(KEYS[0], reason="the prompt was refused")
    other = gate_of(ledger, run("other"))

    assert other.claim(KEYS[:1], limit=1).claimed == (KEYS[0],)


def test_the_claims_of_a_dead_run_are_anybodys(ledger: Ledger) -> None:
    """But for a take that it had sent: what came of it is to be found out first."""
    dead, ours = of_one_group(ledger, "dead", "ours")
    dead.claim(KEYS[:3], limit=3)
    sent = admit(dead, nth_request(0))
    kill(ledger, "dead")

    claims = ours.claim(KEYS[:3], limit=3)
    ledger.close_attempt(sent.attempt_id, Outcome(AttemptStatus.UNKNOWN, "killed"))
    again = ours.claim(KEYS[:1], limit=3)

    assert (list(claims.claimed), claims.held) == (KEYS[1:3], frozenset(KEYS[:1]))
    assert claims.resends == {}
    assert (again.claimed, again.resends) == ((KEYS[0],), {KEYS[0]: 1})


def test_what_is_released_can_be_claimed_again(ledger: Ledger) -> None:
    """By another run, whose own claims stay."""
    ours, theirs = of_one_group(ledger, "ours", "theirs")
    ours.claim(KEYS[:2], limit=2)

    ours.release(KEYS[:1])
    theirs.release(KEYS[:2])

    assert theirs.claim(KEYS[:2], limit=2).claimed == (KEYS[0],)


def test_nothing_is_claimed_twice_by_runs_that_claim_at_once(tmp_path: Path, ledger: Ledger) -> None:
    """Eight threads, each with a run and connections of its own."""
    gates = of_one_group(ledger, *(f"run-{n}" for n in range(8)))
    claimed: list[str] = []

    def claim_all(n: int) -> None:
        with opened(tmp_path) as own:
            gate = own.gate(run(f"run-{n}"), rate_limit=720)
            left = list(KEYS)
            while left:
                claims = gate.claim(left, limit=1)
                claimed.extend(claims.claimed)
                left = [key for key in left if key not in {*claims.claimed, *claims.held}]

    threads = [threading.Thread(target=claim_all, args=(n,)) for n in range(len(gates))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == sorted(KEYS)
