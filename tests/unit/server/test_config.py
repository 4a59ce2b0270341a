"""The options of the served API, as they are read from the command line."""

import pytest

from pipelines.common.errors import UsageError
from pipelines.server.config import Fault, FaultKind, ServerConfig, parse_fault, parse_latency


@pytest.mark.parametrize(("text", "latency"), [("3-10", (3.0, 10.0)), ("0.5", (0.5, 0.5)), ("0", (0.0, 0.0))])
def test_latencies_are_read(text: str, latency: tuple[float, float]) -> None:
    """A number of seconds, or a range."""
    assert parse_latency(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "10-3", "-1", "1-"])
def test_other_latencies_are_refused(text: str) -> None:
    """With the forms there are."""
    with pytest.raises(UsageError, match="give seconds, like"):
        parse_latency(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("truncat=0.1", "--fault truncat=0.1: unknown kind of fault; did you mean 'truncate'?"),
        ("truncate", "--fault truncate: give it a rate from 0 to 1, like truncate=0.1"),
        ("truncate=2", "--fault truncate=2: give it a rate from 0 to 1, like truncate=0.1"),
        ("truncate=nan", "--fault truncate=nan: give it a rate from 0 to 1, like truncate=0.1"),
    ],
)
def test_a_fault_that_cannot_be_read_is_an_error(text: str, message: str) -> None:
    """The message says what is wrong, and the cure."""
    with pytest.raises(UsageError) as caught:
        parse_fault(text)

    assert str(caught.value) == message


def test_an_unknown_fault_lists_the_kinds() -> None:
    """Where nothing is close."""
    with pytest.raises(UsageError, match="choose one of rate-limit, server-error"):
        parse_fault("zzz=1")


def test_a_request_has_one_fault_at_most() -> None:
    """Rates that add up to more than 1 are refused."""
    with pytest.raises(UsageError, match=r"the rates add up to 1\.1"):
        ServerConfig(faults=(Fault(FaultKind.HANG, 0.6), Fault(FaultKind.RESET, 0.5)))
