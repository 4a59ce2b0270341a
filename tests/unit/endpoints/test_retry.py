"""The table of retry.py, row by row: which answer is sent again, how long after, and when the run stops."""

import random
from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest

from pipelines.common.errors import (
    AllocationExhaustedError,
    CredentialsRefusedError,
    CreditExhaustedError,
    EndpointUnreachableError,
    IncompleteError,
    ModelRefusedError,
    NoUsableImageError,
    StoryreelError,
    WrongEndpointError,
)
from pipelines.endpoints.answers import Bill, NoAnswerError, Refusal, Refused
from pipelines.endpoints.retry import (
    GiveUp,
    NextPrompt,
    Resend,
    RetryDecision,
    RetryPolicy,
    RetryQuota,
    RetryState,
    RunRetries,
    StopRun,
)


class Ceiling(random.Random):
    """A generator that draws the upper bound every time, so that every wait is the longest."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def fresh_state(
    *, quota: int = 1000, policy: RetryPolicy | None = None, rng: random.Random | None = None
) -> RetryState:
    """Return the state of a prompt that has not been sent yet."""
    return RetryState(RunRetries(policy or RetryPolicy(), RetryQuota(quota)), 0, rng or Ceiling())


def refused(refusal: Refusal, *, status: int = 500, retry_after_s: float | None = None) -> Refused:
    """Return an answer other than 200."""
    return Refused(status, refusal, "words", by_api=True, bill=Bill(), retry_after_s=retry_after_s)


UNSENT = NoAnswerError("cannot connect: refused", sent=False)
LOST = NoAnswerError("no answer: reset", sent=True)
LIMITED = refused(Refusal.RATE_LIMITED, status=429)


def stopped(decision: RetryDecision) -> tuple[type[StoryreelError], str]:
    """Return the kind and the words of the error that stops a run."""
    assert isinstance(decision, StopRun)
    return type(decision.error), str(decision.error)


def test_a_connection_that_fails_is_tried_again_with_back_off_until_the_run_stops() -> None:
    """Five in a row, then nothing answers at that address."""
    state = fresh_state()

    decisions = [state.no_answer(UNSENT) for _ in range(5)]

    assert decisions[:4] == [Resend(1), Resend(2), Resend(4), Resend(8)]
    assert stopped(decisions[4]) == (
        EndpointUnreachableError,
        "cannot connect: refused; check the address and the network, then run again",
    )


def test_what_is_sent_again_has_a_reason_for_the_log() -> None:
    """In the words of the answer, or of the lack of one."""
    state = fresh_state()

    decisions = [state.no_answer(UNSENT), state.no_answer(LOST), state.refused(refused(Refusal.SERVER))]

    assert [decision.reason for decision in decisions if isinstance(decision, Resend)] == [
        "cannot connect: refused",
        "no answer: reset",
        "server error (500 words)",
    ]


def test_connections_that_fail_take_nothing_from_the_quota() -> None:
    """Nothing was sent, nothing can be billed: a spent quota does not matter."""
    state = fresh_state(quota=0)

    decision = state.no_answer(UNSENT)

    assert (decision, state.run.quota.left, state.resends) == (Resend(1), 0, 0)


def test_a_429_without_advice_backs_off_for_all_requests_until_the_run_stops() -> None:
    """Ten in a row, the wait growing up to its cap; every other request waits too."""
    state = fresh_state(quota=0)

    decisions = [state.refused(LIMITED) for _ in range(10)]

    waits = [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert decisions[:9] == [Resend(wait, cool_down=True) for wait in waits]
    assert stopped(decisions[9]) == (
        IncompleteError,
        "the endpoint answered 429 10 times in a row; run again later to complete",
    )


def test_a_lack_of_capacity_waits_as_a_429_does() -> None:
    """It is not billed, so it takes nothing from the quota; everything else waits too."""
    state = fresh_state(quota=0, policy=RetryPolicy(max_resends=0))
    full = refused(Refusal.CAPACITY)

    decisions = [state.refused(each) for each in (full, LIMITED, full, *[full] * 7)]

    assert decisions[:4] == [Resend(wait, cool_down=True) for wait in (1, 2, 4, 8)]
    assert stopped(decisions[9]) == (
        IncompleteError,
        "the endpoint answered 'words' 10 times in a row; run again later to complete",
    )


@pytest.mark.parametrize("seconds", [0, 0.5, 60, 900])
def test_retry_after_is_applied_to_the_letter(seconds: float) -> None:
    """The server's own figure needs no jitter and no back-off, up to the bound."""
    decision = fresh_state().refused(refused(Refusal.RATE_LIMITED, status=429, retry_after_s=seconds))

    assert decision == Resend(seconds, cool_down=True)


def test_a_retry_after_beyond_the_bound_stops_the_run() -> None:
    """A wait of more than a quarter of an hour is the user's to decide on."""
    decision = fresh_state().refused(refused(Refusal.RATE_LIMITED, status=429, retry_after_s=900.1))

    assert stopped(decision) == (
        IncompleteError,
        "the endpoint asks to wait 900 s; run again then to complete",
    )


def test_a_rejected_request_fails_the_frame_at_once() -> None:
    """The same request would be rejected again."""
    state = fresh_state()

    decision = state.refused(refused(Refusal.REJECTED, status=400))

    assert (decision, state.run.quota.left) == (GiveUp("request rejected (400 words)"), 1000)


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (
            Refusal.CREDENTIALS,
            CredentialsRefusedError,
            "the endpoint answered 500 'words'; check the token (STORYREEL_API_TOKEN, or the variable that the "
            "storyboard names) and that its account may generate images",
        ),
        (
            Refusal.CREDIT,
            CreditExhaustedError,
            "the endpoint answered 500 'words': the account has no credit left; add some or raise its limit with the "
            "seller, then run again",
        ),
        (
            Refusal.ALLOCATION,
            AllocationExhaustedError,
            "the endpoint answered 500 'words': its daily allocation is used up; run again after 00:00 UTC",
        ),
        (
            Refusal.MODEL,
            ModelRefusedError,
            "the endpoint answered 500 'words'; check --model, and which models the endpoint's account may use",
        ),
        (
            Refusal.NOT_THIS_API,
            WrongEndpointError,
            "the endpoint answered 500 'words': nothing there speaks this dialect; check --endpoint and --dialect",
        ),
    ],
)
def test_what_no_further_request_can_cure_stops_the_run(
    refusal: Refusal, error: type[StoryreelError], words: str
) -> None:
    """Credentials, allocation and a wrong address end it with the first answer, each with its cure."""
    assert stopped(fresh_state().refused(refused(refusal))) == (error, words)


def test_a_refused_prompt_takes_nothing_from_the_quota() -> None:
    """The quota bounds the bill, and a refusal is not billed."""
    state = fresh_state(quota=0)

    assert state.refused(refused(Refusal.PROMPT)) == Resend(1)


def test_a_refused_prompt_is_tried_once_more_then_gives_way() -> None:
    """A refusal is a false positive more often than not; twice is enough."""
    state = fresh_state()

    decisions = [state.refused(refused(Refusal.PROMPT)) for _ in range(2)]

    assert decisions == [Resend(1), NextPrompt("prompt refused (500 words)")]


@pytest.mark.parametrize("max_refusals", [1, 2, 4])
def test_refusals_count_in_all_not_in_a_row(max_refusals: int) -> None:
    """Other outcomes in between do not start the count again."""
    state = fresh_state(policy=RetryPolicy(max_refusals=max_refusals, max_resends=100))
    decisions: list[RetryDecision] = []
    for _ in range(max_refusals):
        decisions.append(state.refused(refused(Refusal.PROMPT)))
        state.unusable("cut short")

    assert [type(decision) for decision in decisions] == [Resend] * (max_refusals - 1) + [NextPrompt]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("server", "server error (500 words)"),
        ("lost", "no answer: reset"),
        ("unusable", "cut short"),
    ],
)
def test_what_may_have_been_billed_is_sent_again_three_times(kind: str, reason: str) -> None:
    """Other 5xx, lost answers and useless bodies share one bound for the prompt."""
    state = fresh_state()

    decisions = [outcome(state, kind) for _ in range(4)]

    assert decisions == [Resend(1), Resend(2), Resend(4), GiveUp(f"{reason} (sent 4 times)")]
    assert state.run.quota.left == 997


def outcome(state: RetryState, kind: str) -> RetryDecision:
    """Put a prompt through one outcome, by name."""
    match kind:
        case "server":
            return state.refused(refused(Refusal.SERVER))
        case "lost":
            return state.no_answer(LOST)
        case "unusable":
            return state.unusable("cut short")
        case "429":
            return state.refused(LIMITED)
        case _:
            return state.no_answer(UNSENT)


def test_the_bound_on_resends_is_shared_by_all_that_may_be_billed() -> None:
    """One of each kind, refusals too, and the fourth is the last."""
    state = fresh_state()

    decisions = [
        outcome(state, "server"),
        outcome(state, "lost"),
        state.refused(refused(Refusal.PROMPT)),
        outcome(state, "unusable"),
    ]

    assert decisions == [Resend(1), Resend(2), Resend(4), GiveUp("cut short (sent 4 times)")]


def test_no_resends_means_one_attempt() -> None:
    """With max_resends 0 the first answer that may be billed is the last."""
    state = fresh_state(policy=RetryPolicy(max_resends=0))

    assert state.unusable("cut short") == GiveUp("cut short (sent 1 times)")


def test_the_quota_is_the_whole_run_s() -> None:
    """Two frames draw from one quota; what it refuses is given up, whatever the frame's own bound."""
    quota = RetryQuota(3)
    run = RunRetries(RetryPolicy(), quota)
    first, second = (RetryState(run, frame, Ceiling()) for frame in (0, 1))

    decisions = [first.unusable("a"), second.unusable("b"), first.unusable("a"), second.unusable("b")]

    assert decisions == [Resend(1), Resend(1), Resend(2), GiveUp("b (the run's retry quota is used up)")]
    assert quota.left == 0


def test_a_quota_below_zero_gives_nothing() -> None:
    """It never goes round."""
    quota = RetryQuota(-1)

    assert (quota.take(), quota.left) == (False, -1)


@pytest.mark.parametrize("other", ["server", "lost", "unusable", "429"])
def test_failed_connections_count_in_a_row_only(other: str) -> None:
    """Any answer, or a lost one, shows that a server is there: the count starts again."""
    state = fresh_state()
    before = [outcome(state, "connect") for _ in range(4)]
    outcome(state, other)
    after = [outcome(state, "connect") for _ in range(4)]

    assert (before, after) == ([Resend(1), Resend(2), Resend(4), Resend(8)],) * 2


def test_429s_between_failed_connections_still_come_to_an_end() -> None:
    """A failed connection says nothing of the limit: the count of 429s goes on across it."""
    state = fresh_state(policy=RetryPolicy(max_rate_limited=3))
    decisions = [outcome(state, kind) for kind in ("429", "connect", "429", "connect", "429")]

    assert isinstance(decisions[-1], StopRun)


@pytest.mark.parametrize("other", ["server", "lost", "unusable"])
def test_429s_count_in_a_row_only(other: str) -> None:
    """Any other outcome starts their count again."""
    state = fresh_state(policy=RetryPolicy(max_rate_limited=3))
    before = [outcome(state, "429") for _ in range(2)]
    outcome(state, other)
    after = [outcome(state, "429") for _ in range(2)]

    assert (before, after) == ([Resend(1, cool_down=True), Resend(2, cool_down=True)],) * 2


def test_a_refused_prompt_starts_the_counts_in_a_row_again() -> None:
    """A refusal is an answer like another."""
    state = fresh_state(policy=RetryPolicy(max_connects=2))
    state.no_answer(UNSENT)
    state.refused(refused(Refusal.PROMPT))

    assert state.no_answer(UNSENT) == Resend(1)


def test_resends_grow_over_other_outcomes() -> None:
    """The back-off of what may be billed counts its own re-sends, not those of failed connections."""
    state = fresh_state()
    state.unusable("cut short")
    state.no_answer(UNSENT)

    assert state.unusable("cut short") == Resend(2)


def test_waits_are_drawn_with_full_jitter() -> None:
    """Each wait lies anywhere between nothing and its bound, as a fixed generator shows."""
    state = fresh_state(policy=RetryPolicy(max_connects=1000), rng=random.Random(7))

    waits = [decision.delay_s for _ in range(999) if isinstance(decision := state.no_answer(UNSENT), Resend)]

    again = random.Random(7)
    assert waits == [again.uniform(0, min(30, 2.0**tries)) for tries in range(999)]
    assert (min(waits[5:]) < 1, max(waits) > 29, max(waits) <= 30) == (True, True, True)


def test_the_bounds_of_a_policy_are_its_own() -> None:
    """Every figure of the table is a setting."""
    policy = RetryPolicy(
        max_resends=1, max_refusals=1, max_rate_limited=1, max_connects=1, max_retry_after_s=1, backoff_base_s=0.25
    )

    decisions = [
        fresh_state(policy=policy).unusable("a"),
        fresh_state(policy=policy).refused(refused(Refusal.PROMPT)),
        fresh_state(policy=policy).refused(LIMITED),
        fresh_state(policy=policy).no_answer(UNSENT),
    ]

    assert [type(decision) for decision in decisions] == [Resend, NextPrompt, StopRun, StopRun]
    assert decisions[0] == Resend(0.25)
    assert Decimal(str(policy.backoff_cap_s)) == 30


# --- the breaker


Outcome = Callable[[RetryState], RetryDecision]
HOPELESS: dict[str, Outcome] = {
    "no image": lambda state: state.unusable("not an image: JSON"),
    "server error": lambda state: state.refused(refused(Refusal.SERVER)),
    "rejected": lambda state: state.refused(refused(Refusal.REJECTED, status=400)),
    "prompt refused for good": lambda state: [state.refused(refused(Refusal.PROMPT)) for _ in range(2)][-1],
}


def of_frames(frames: Iterable[int], run: RunRetries, outcome: Outcome) -> list[bool]:
    """Give each frame the same outcome; return whether each stopped the run."""
    return [isinstance(outcome(RetryState(run, frame, Ceiling())), StopRun) for frame in frames]


def fresh_run() -> RunRetries:
    """Return what a run shares before its first answer."""
    return RunRetries(RetryPolicy(), RetryQuota(1000))


@pytest.mark.parametrize("way", HOPELESS)
def test_five_frames_in_the_same_hopeless_way_stop_the_run(way: str) -> None:
    """Every further request would only cost; what the endpoint said is told."""
    run = fresh_run()

    stops = of_frames(range(5), run, HOPELESS[way])
    decision = HOPELESS[way](RetryState(run, 5, Ceiling()))

    assert stops == [False] * 4 + [True]
    kind, words = stopped(decision)
    assert kind is NoUsableImageError
    assert "the endpoint answered 5 frames in the same way, and none with an image: " in words
    assert "words" in words or "not an image: JSON" in words


@pytest.mark.parametrize("way", HOPELESS)
def test_one_image_is_hope_enough(way: str) -> None:
    """An endpoint that makes images sometimes is none that cannot."""
    run = fresh_run()
    RetryState(run, 9, Ceiling()).image_came()

    assert of_frames(range(9), run, HOPELESS[way]) == [False] * 9


@pytest.mark.parametrize("way", HOPELESS)
def test_the_same_frame_counts_once(way: str) -> None:
    """One frame's request may be what is wrong."""
    assert of_frames([1, 2, 3, 4] * 3, fresh_run(), HOPELESS[way]) == [False] * 12


def test_different_ways_are_not_added_up() -> None:
    """Two answers of five are no reason to believe that there is no other."""
    run = fresh_run()

    stops = of_frames(range(4), run, HOPELESS["no image"]) + of_frames(range(4, 8), run, HOPELESS["server error"])

    assert stops == [False] * 8


def test_what_varies_from_answer_to_answer_makes_no_other_way() -> None:
    """Ids of requests and times differ in answers that say the same."""
    run = fresh_run()
    ids = ("7f3a-11", "0b2c-98", "44de-00", "91aa-07", "3c5f-55")

    def fail(frame: int) -> RetryDecision:
        words = f"request {ids[frame]} at 12:0{frame}"
        answer = Refused(500, Refusal.SERVER, words, by_api=True, bill=Bill(), retry_after_s=None)
        return RetryState(run, frame, Ceiling()).refused(answer)

    decisions = [fail(frame) for frame in range(5)]

    assert [isinstance(decision, StopRun) for decision in decisions] == [False] * 4 + [True]


def test_whatever_stands_in_an_image_s_place_is_one_way() -> None:
    """JSON, a web page and an empty body are alike: no image."""
    run = fresh_run()
    reasons = (
        "not an image: JSON",
        "a web page, not an image",
        "an empty body",
        "a damaged PNG",
        "not an image: b'GIF'",
    )

    decisions = [RetryState(run, frame, Ceiling()).unusable(reason) for frame, reason in enumerate(reasons)]

    assert [isinstance(decision, StopRun) for decision in decisions] == [False] * 4 + [True]


@pytest.mark.parametrize(
    "outcome",
    [
        lambda state: state.refused(LIMITED),
        lambda state: state.refused(refused(Refusal.CAPACITY)),
        lambda state: state.no_answer(LOST),
        lambda state: state.no_answer(UNSENT),
        lambda state: state.unusable("the body broke off: reset", cut_off=True),
    ],
    ids=["429", "capacity", "no answer", "never sent", "cut off"],
)
def test_what_may_pass_by_itself_never_stops_the_run(outcome: Outcome) -> None:
    """A limit, a full house and a bad line say nothing of the endpoint."""
    assert of_frames(range(20), fresh_run(), outcome) == [False] * 20


def test_a_refused_prompt_with_a_fallback_is_no_sign() -> None:
    """The fallbacks of twenty frames may all pass."""
    run = fresh_run()
    refuse = HOPELESS["prompt refused for good"]

    states = [RetryState(run, frame, Ceiling(), has_fallback=True) for frame in range(20)]

    assert all(isinstance(refuse(state), NextPrompt) for state in states)
