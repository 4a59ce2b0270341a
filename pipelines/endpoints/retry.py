"""The retry policy: what is sent again, how long after, and when to stop. The question is: could it have been billed?

| what came back             | billed? | then                                                                       |
| -------------------------- | ------- | -------------------------------------------------------------------------- |
| cannot connect             | no      | again with back-off; the run stops after `max_connects` in a row           |
| 429                        | no      | Retry-After or back-off, for all requests; stops after `max_rate_limited`  |
| 400                        | no      | the frame fails                                                            |
| credentials, allocation    | no      | the run stops                                                              |
| prompt refused             | no      | again, `max_refusals` times in all; then the next fallback prompt          |
| other 5xx, no answer       | may be  | again, `max_resends` times a prompt, under the run's quota                 |
| 200 without a usable image | yes     | the same                                                                   |
"""

import random
from dataclasses import dataclass, field

from pipelines.common.errors import (
    AllocationExhaustedError,
    CredentialsRefusedError,
    EndpointError,
    EndpointUnreachableError,
    IncompleteError,
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
        max_rate_limited: how many 429s in a row stop the run.
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
        reason: why the last attempt was not enough, for the log.
    """

    delay_s: float
    cool_down: bool = False
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


@dataclass(slots=True)
class RetryState:
    """The outcomes of one prompt so far. Each method counts one more outcome, and decides what comes next.

    Attributes:
        policy: the bounds.
        quota: the re-sends left to the run, shared by all its prompts.
        rng: the source of jitter.
        resends: re-sends so far that may have been billed before.
        refusals: refusals of the prompt so far.
        unconnected: failed connections in a row.
        rate_limited: 429s in a row; failed connections between them don't end the row.
    """

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
        return Resend(self._backoff(self.unconnected), reason=str(error))

    def refused(self, answer: Refused) -> RetryDecision:
        """Decide after an answer other than 200."""
        match answer.refusal:
            case Refusal.RATE_LIMITED:
                return self._rate_limited(answer)
            case Refusal.PROMPT:
                return self._prompt_refused(answer)
            case Refusal.SERVER | Refusal.CAPACITY:
                return self._resend(_describe(answer))
            case Refusal.REJECTED:
                return GiveUp(_describe(answer))
            case Refusal.CREDENTIALS | Refusal.ALLOCATION | Refusal.NOT_THIS_API:
                return StopRun(_run_error(answer))

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
            return NextPrompt(_describe(answer))
        return self._resend(_describe(answer))

    def _resend(self, reason: str) -> RetryDecision:
        # It was answered, or might have been: what stood in the way before no longer does.
        self.unconnected = self.rate_limited = 0
        if self.resends >= self.policy.max_resends:
            return GiveUp(f"{reason} (sent {self.resends + 1} times)")
        if not self.quota.take():
            return GiveUp(f"{reason} (the run's retry quota is used up)")
        self.resends += 1
        return Resend(self._backoff(self.resends), reason=reason)

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
    # flux-api.md, "Error Codes": an authentication error may mean that Workers AI is not enabled.
    Refusal.CREDENTIALS: (CredentialsRefusedError, "; check STORYREEL_API_TOKEN and that Workers AI is enabled"),
    # Another server answers at this address, or a proxy before it.
    Refusal.NOT_THIS_API: (WrongEndpointError, ": this is not the FLUX API; check --endpoint"),
}


def _run_error(answer: Refused) -> EndpointError:
    error, cure = _RUN_ERRORS[answer.refusal]
    return error(f"the endpoint answered {answer.http_status} {answer.message!r}{cure}")


def _describe(answer: Refused) -> str:
    return f"{answer.refusal} ({answer.http_status} {answer.message})"
