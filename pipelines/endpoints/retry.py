"""Which answer is sent again, how long after, and when to stop. Decided by: could it have been billed?

| what came back             | billed? | then                                                                  |
| -------------------------- | ------- | --------------------------------------------------------------------- |
| cannot connect             | no      | again with back-off; the run stops after `max_connects` in a row      |
| 429                        | no      | Retry-After or back-off, for everyone; stops after `max_rate_limited` |
| 400                        | no      | the frame fails                                                       |
| credentials, allocation    | no      | the run stops                                                         |
| prompt refused             | no      | again, `max_refusals` times in all; then the next fallback prompt     |
| other 5xx, no answer       | may be  | again, `max_resends` times a prompt, under the run's quota            |
| 200 without a usable image | yes     | the same                                                              |
"""

import random
from dataclasses import dataclass

from pipelines.common.errors import (
    AllocationExhaustedError,
    CredentialsRefusedError,
    EndpointUnreachableError,
    IncompleteError,
    StoryreelError,
    WrongEndpointError,
)
from pipelines.endpoints.answers import Refusal
from pipelines.endpoints.client import NoAnswerError, Refused


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The bounds; each is a setting of the same name."""

    max_resends: int = 3
    max_refusals: int = 2
    max_rate_limited: int = 10
    max_connects: int = 5
    max_retry_after_s: float = 900
    backoff_base_s: float = 1
    backoff_cap_s: float = 30


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the same prompt again, after `delay_s`. With `cool_down`, nobody may send before then."""

    delay_s: float
    cool_down: bool = False


@dataclass(frozen=True, slots=True)
class NextPrompt:
    """The prompt is refused for good: try the next fallback."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The frame fails."""

    reason: str


@dataclass(frozen=True, slots=True)
class StopRun:
    """No further request of this run would help."""

    error: StoryreelError


RetryDecision = Resend | NextPrompt | GiveUp | StopRun


@dataclass(slots=True)
class RetryQuota:
    """The re-sends left to a whole run, so that an endpoint gone bad cannot multiply the bill."""

    left: int

    def take(self) -> bool:
        """Take one re-send, if one is left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class RetryState:
    """What one prompt of one frame has been through so far; `decide` counts on."""

    policy: RetryPolicy
    quota: RetryQuota
    rng: random.Random
    resends: int = 0
    refusals: int = 0
    unconnected: int = 0
    rate_limited: int = 0

    def unusable(self, reason: str) -> RetryDecision:
        """Decide after a 200 whose body is no usable image."""
        return self._resend(reason)

    def no_answer(self, error: NoAnswerError) -> RetryDecision:
        """Decide after an attempt that no status line answered."""
        if error.sent:
            return self._resend(str(error))
        self.unconnected += 1
        if self.unconnected >= self.policy.max_connects:
            return StopRun(EndpointUnreachableError(f"{error}; check the address and the network, then run again"))
        return Resend(self._backoff(self.unconnected))

    def refused(self, answer: Refused) -> RetryDecision:
        """Decide after an answer other than 200."""
        match answer.refusal:
            case Refusal.RATE_LIMITED:
                return self._rate_limited(answer)
            case Refusal.PROMPT:
                return self._prompt_refused(answer)
            case Refusal.SERVER | Refusal.CAPACITY:
                return self._resend(_words(answer))
            case Refusal.REJECTED:
                return GiveUp(_words(answer))
            case Refusal.CREDENTIALS | Refusal.ALLOCATION | Refusal.NOT_THIS_API:
                return StopRun(_fatal(answer))

    def _rate_limited(self, answer: Refused) -> RetryDecision:
        self.rate_limited += 1
        # It was connected; a failed connection, on the other hand, says nothing of the limit.
        self.unconnected = 0
        tries = self.rate_limited
        if tries >= self.policy.max_rate_limited:
            return StopRun(
                IncompleteError(f"the endpoint answered 429 {tries} times in a row; run again later to complete")
            )
        # 429 without Retry-After: the server is guessing, so do we.
        delay_s = self._backoff(tries) if answer.retry_after_s is None else answer.retry_after_s
        if delay_s > self.policy.max_retry_after_s:
            return StopRun(IncompleteError(f"the endpoint asks to wait {delay_s:.0f} s; run again then to complete"))
        return Resend(delay_s, cool_down=True)

    def _prompt_refused(self, answer: Refused) -> RetryDecision:
        self.refusals += 1
        if self.refusals >= self.policy.max_refusals or self.resends >= self.policy.max_resends:
            return NextPrompt(_words(answer))
        return self._resend(_words(answer))

    def _resend(self, reason: str) -> RetryDecision:
        # It was answered, or might have been: what stood in the way before no longer does.
        self.unconnected = self.rate_limited = 0
        if self.resends >= self.policy.max_resends:
            return GiveUp(f"{reason} (sent {self.resends + 1} times)")
        if not self.quota.take():
            return GiveUp(f"{reason} (the run's retry quota is used up)")
        self.resends += 1
        return Resend(self._backoff(self.resends))

    def _backoff(self, tries: int) -> float:
        """Draw a wait with full jitter: uniform from 0 to base x 2^(tries - 1), capped (Brooker, AWS, 2015)."""
        ceiling = min(self.policy.backoff_cap_s, self.policy.backoff_base_s * 2.0 ** (tries - 1))
        return self.rng.uniform(0, ceiling)


def _words(answer: Refused) -> str:
    return f"{answer.refusal} ({answer.http_status} {answer.message})"


def _fatal(answer: Refused) -> StoryreelError:
    said = f"the endpoint answered {answer.http_status} {answer.message!r}"
    match answer.refusal:
        case Refusal.ALLOCATION:
            return AllocationExhaustedError(f"{said}: its daily allocation is used up; run again after 00:00 UTC")
        case Refusal.CREDENTIALS:
            return CredentialsRefusedError(f"{said}; check STORYREEL_API_TOKEN and that Workers AI is enabled")
        case _:
            return WrongEndpointError(f"{said}: this is not the FLUX API; check --endpoint")
