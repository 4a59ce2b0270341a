"""Campaign: hostile storyboards, pictures and answers: no error but our own, little memory, no long wait."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.endpoints.answers import Refusal
from pipelines.endpoints.client import parse_retry_after
from pipelines.endpoints.dialects.flux import read_bill
from pipelines.endpoints.error_table import classify_error
from tests.campaigns.tally import LONG, SEED, Tally

pytestmark = pytest.mark.slow

ROUNDS = {"storyboards": 20_000, "pictures": 50_000, "answers": 3_000}
SHORT = 50
MAX_MIB = 200
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ROUNDS)
def test_hostile_input_is_refused_in_our_own_words(open_tally: Callable[[str], Tally], kind: str) -> None:
    """Mutated from good input, in a process of its own whose memory is watched."""
    tally = open_tally(f"hostile {kind}")
    rounds = ROUNDS[kind] if LONG else ROUNDS[kind] // SHORT
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.fuzzing", kind, str(SEED), str(rounds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    tally.trials = found["rounds"]
    tally.unforeseen = len(found["foreign"]) + len(found["slow"]) + (found["mib"] > MAX_MIB)
    tally.remarks = f"{found['mib']:.0f} MiB at most"
    assert not tally.violations, "\n".join([*found["foreign"], *found["slow"], tally.remarks])


EXAMPLES = settings(max_examples=5000 if LONG else 200, deadline=None, derandomize=True)


@given(
    headers=st.dictionaries(
        st.sampled_from(["x-cost-usd", "x-neurons-used", "x-width", "x-tiles", "x-model"]), st.text()
    )
)
@EXAMPLES
def test_any_headers_are_a_bill_of_figures_or_of_none(headers: dict[str, str]) -> None:
    """Never a negative price, never one that is not finite."""
    bill = read_bill(headers)

    assert bill.cost_usd is None or 0 <= bill.cost_usd < 1_000_000
    assert bill.neurons is None or bill.neurons.is_finite()


@given(status=st.integers(100, 999), message=st.text())
@EXAMPLES
def test_any_error_means_something(status: int, message: str) -> None:
    """Whatever it says, there is an answer to it."""
    assert isinstance(classify_error(status, message), Refusal)


@given(value=st.text())
@EXAMPLES
def test_any_retry_after_is_a_wait_or_none(value: str) -> None:
    """Never one into the past, never one that is not a number."""
    wait_s = parse_retry_after(value)

    assert wait_s is None or 0 <= wait_s < float("inf")
