"""The retry policy: what is sent again, how long after, and when to stop. The question is: could it have been billed?

| what came back             | billed? | then                                                                       |
| -------------------------- | ------- | -------------------------------------------------------------------------- |
| cannot connect             | no      | again with back-off; the run stops after `max_connects` in a row           |
| 429, out of capacity       | no      | Retry-After or back-off, for all requests; stops after `max_rate_limited`  |
| 400                        | no      | the frame fails                                                            |
| credentials, credit, allocation, model | no | the run stops                                                   |
| prompt refused             | no      | again, `max_refusals` times in all; then the next fallback prompt          |
| other 5xx, no answer       | may be  | again, `max_resends` times a prompt, under the run's quota                 |
| 2xx without a usable image | yes     | the same                                                                   |

Where the first frames are all answered in the same hopeless way, the breaker stops the run.
"""

import random
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.common.errors import (
    AllocationExhaustedError,
    CredentialsRefusedError,
    CreditExhaustedError,
    EndpointError,
    EndpointUnreachableError,
    IncompleteError,
    ModelRefusedError,
    NoUsableImageError,
    StoryreelError,
    WrongEndpointError,
)
from pipelines.endpoints.answers import NoAnswerError, Refusal, Refused


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The bounds of the table; the first five are settings of the same name.

    Attributes:
        max_resends: how often one prompt may be sent again after an attempt that may have been billed.
        max_refusals: how often one prompt may be refused before its fallback is tried.
        max_rate_limited: how many answers in a row that it was too much stop the run.
        max_connects: how many failed connections in a row stop the run.
        max_retry_after_s: the longest wait, in seconds, that an endpoint may ask for; a longer one stops the run.
        backoff_base_s: the longest first wait, in seconds; each further one is up to twice as long.
        backoff_cap_s: the longest wait of all, in seconds.
    """

    max_resends: int = 3
    max_refusals: int = 2
    max_rate_limited: int = 10
    max_connects: int = 5
    max_retry_after_s: float = 900
    backoff_base_s: float = 1
    backoff_cap_s: float = 30


@dataclass(frozen=True, slots=True)
class Resend:
    """The same prompt is to be sent again.

    Attributes:
        delay_s: seconds until then.
        cool_down: whether every other request waits too.
        counted: whether it was taken from the quota of re-sends, because the last attempt may have been billed.
        reason: why the last attempt was not enough, for the log.
    """

    delay_s: float
    cool_down: bool = False
    counted: bool = field(default=False, compare=False)
    reason: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NextPrompt:
    """The prompt is refused for good: its next fallback is to be tried."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The frame fails; others may still succeed."""

    reason: str


@dataclass(frozen=True, slots=True)
class StopRun:
    """The run is to stop: no further request of it would succeed."""

    error: StoryreelError


RetryDecision = Resend | NextPrompt | GiveUp | StopRun


@dataclass(slots=True)
class RetryQuota:
    """The re-sends left to a whole run, so that an endpoint gone bad cannot multiply the bill."""

    left: int

    def take(self) -> bool:
        """Take one re-send, and return whether there was one left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


# That many different frames, and no image among them, are no accident.
_HOPELESS_FRAMES = 5
# What differs between two answers of the same kind: the id of a request, a time.
_VARYING = re.compile(r"[0-9a-f-]*[0-9][0-9a-f-]*", re.IGNORECASE)


@dataclass(slots=True)
class Breaker:
    """Notices that an endpoint gives no frame of a run an image: every further request would only cost.

    Attributes:
        images: usable images of this run so far. With one of them, the endpoint is none of those.
    """

    images: int = 0
    _frames: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def image_came(self) -> None:
        """Count a usable image."""
        self.images += 1

    def is_hopeless(self, way: str, *, frame: int) -> bool:
        """Count an answer without an image; return whether enough frames were answered in that way."""
        frames = self._frames[_VARYING.sub("#", way)]
        frames.add(frame)
        return not self.images and len(frames) >= _HOPELESS_FRAMES


@dataclass(frozen=True, slots=True)
class RunRetries:
    """The part of the retry policy that all prompts of a run share.

    Attributes:
        policy: the bounds on each prompt.
        quota: the re-sends left to the run.
        breaker: notices an endpoint that gives no image at all.
        earlier: re-sends that other runs have made of a take, and died over, by its request key.
    """

    policy: RetryPolicy
    quota: RetryQuota
    breaker: Breaker = field(default_factory=Breaker)
    earlier: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class RetryState:
    """The outcomes of one prompt so far. Each method counts one more outcome, and decides what comes next.

    Attributes:
        run: what all prompts of the run share.
        frame: the number of the prompt's frame.
        rng: the source of jitter.
        has_fallback: whether the frame has a prompt to try after this one.
        resends: re-sends so far, but for those that only waited their turn.
        refusals: refusals of the prompt so far.
        unconnected: failed connections in a row.
        rate_limited: answers in a row that it was too much; failed connections between them don't end the row.
    """

    run: RunRetries
    frame: int
    rng: random.Random
    has_fallback: bool = False
    resends: int = 0
    refusals: int = 0
    unconnected: int = 0
    rate_limited: int = 0

    @property
    def policy(self) -> RetryPolicy:
        """The bounds."""
        return self.run.policy

    def image_came(self) -> None:
        """Count an outcome that needs no decision: a usable image."""
        self.run.breaker.image_came()

    def unusable(self, reason: str, *, cut_off: bool = False) -> RetryDecision:
        """Decide after a 2xx without a usable image; `cut_off` says that only the connection broke off."""
        decision = self._resend(reason)
        # Whatever stands in its place.
        return decision if cut_off else self._unless_hopeless(decision, reason, way="no image")

    def no_answer(self, error: NoAnswerError) -> RetryDecision:
        """Decide after an attempt that no status line answered."""
        if error.sent:
            return self._resend(str(error))
        self.unconnected += 1
        if self.unconnected >= self.policy.max_connects:
            return StopRun(EndpointUnreachableError(f"{error}; check the address and the network, then run again"))
        return Resend(self._backoff(self.unconnected), reason=str(error))

    def refused(self, answer: Refused) -> RetryDecision:
        """Decide after an answer other than 2xx."""
        match answer.refusal:
            case Refusal.RATE_LIMITED | Refusal.CAPACITY:
                return self._wait_for_all(answer)
            case Refusal.PROMPT:
                return self._prompt_refused(answer)
            case Refusal.SERVER:
                return self._unless_hopeless(self._resend(_describe(answer)), _describe(answer))
            case Refusal.REJECTED:
                return self._unless_hopeless(GiveUp(_describe(answer)), _describe(answer))
            case Refusal.CREDENTIALS | Refusal.CREDIT | Refusal.ALLOCATION | Refusal.MODEL | Refusal.NOT_THIS_API:
                return StopRun(_run_error(answer))

    def _wait_for_all(self, answer: Refused) -> RetryDecision:
        self.rate_limited += 1
        # It was connected; a failed connection, on the other hand, says nothing of the limit.
        self.unconnected = 0
        tries = self.rate_limited
        if tries >= self.policy.max_rate_limited:
            said = "429" if answer.refusal is Refusal.RATE_LIMITED else f"{answer.message!r}"
            return StopRun(
                IncompleteError(f"the endpoint answered {said} {tries} times in a row; run again later to complete")
            )
        # 429 without Retry-After: the server is guessing, so do we.
        delay_s = self._backoff(tries) if answer.retry_after_s is None else answer.retry_after_s
        if delay_s > self.policy.max_retry_after_s:
            return StopRun(IncompleteError(f"the endpoint asks to wait {delay_s:.0f} s; run again then to complete"))
        return Resend(delay_s, cool_down=True, reason=_describe(answer))

    def _prompt_refused(self, answer: Refused) -> RetryDecision:
        self.refusals += 1
        reason = _describe(answer)
        if self.refusals < self.policy.max_refusals and self.resends < self.policy.max_resends:
            return self._resend(reason, may_be_billed=False)
        # A fallback may pass: only a frame that is out of prompts shows anything of the endpoint.
        return NextPrompt(reason) if self.has_fallback else self._unless_hopeless(NextPrompt(reason), reason)

    def _resend(self, reason: str, *, may_be_billed: bool = True) -> RetryDecision:
        # It was answered, or might have been: what stood in the way before no longer does.
        self.unconnected = self.rate_limited = 0
        if self.resends >= self.policy.max_resends:
            return GiveUp(f"{reason} (sent {self.resends + 1} times)")
        # The quota bounds the bill: what costs nothing takes nothing from it.
        if may_be_billed and not self.run.quota.take():
            return GiveUp(f"{reason} (the run's retry quota is used up)")
        self.resends += 1
        return Resend(self._backoff(self.resends), counted=may_be_billed, reason=reason)

    def _unless_hopeless(self, decision: RetryDecision, words: str, *, way: str | None = None) -> RetryDecision:
        """Return `decision`; StopRun where too many frames were answered in that way, by default in these words."""
        if not self.run.breaker.is_hopeless(way or words, frame=self.frame):
            return decision
        return StopRun(
            NoUsableImageError(
                f"the endpoint answered {_HOPELESS_FRAMES} frames in the same way, and none with an image: {words}; "
                "nothing more is sent: check --endpoint and what it says of itself, then run again"
            )
        )

    def _backoff(self, tries: int) -> float:
        """Draw a wait in seconds with full jitter: uniform from 0 to base x 2^(tries - 1), capped.

        Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        ceiling = min(self.policy.backoff_cap_s, self.policy.backoff_base_s * 2.0 ** (tries - 1))
        return self.rng.uniform(0, ceiling)


# What the user can do about the refusals that stop a run.
_RUN_ERRORS: dict[Refusal, tuple[type[EndpointError], str]] = {
    # Workers AI counts its days in UTC.
    Refusal.ALLOCATION: (AllocationExhaustedError, ": its daily allocation is used up; run again after 00:00 UTC"),
    Refusal.CREDENTIALS: (
        CredentialsRefusedError,
        "; check the token (STORYREEL_API_TOKEN, or the variable that the storyboard names) and that its account may "
        "generate images",
    ),
    Refusal.CREDIT: (
        CreditExhaustedError,
        ": the account has no credit left; add some or raise its limit with the seller, then run again",
    ),
    Refusal.MODEL: (ModelRefusedError, "; check --model, and which models the endpoint's account may use"),
    # Another server answers at this address, or a proxy before it.
    Refusal.NOT_THIS_API: (WrongEndpointError, ": nothing there speaks this dialect; check --endpoint and --dialect"),
}


def _run_error(answer: Refused) -> EndpointError:
    error, cure = _RUN_ERRORS[answer.refusal]
    return error(f"the endpoint answered {answer.http_status} {answer.message!r}{cure}")


def _describe(answer: Refused) -> str:
    return f"{answer.refusal} ({answer.http_status} {answer.message})"
