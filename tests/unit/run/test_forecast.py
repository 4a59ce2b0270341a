"""The time until a film is there, before anything is sent: the pace of the limit, the answers, the encoding."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.common.ffmpeg import ffmpeg_build
from pipelines.common.settings import Settings
from pipelines.film.effort import effort_left
from pipelines.film.frame_picture import FramePicture
from pipelines.film.identity import piece_name
from pipelines.film.segments import cut_segments
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Billed, RunCounters, RunState
from pipelines.run.forecast import Forecast, Latency, forecast_render, generating_s, latency_of
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import Plan, plan_frames
from pipelines.takes.inventory import read_inventory
from tests.support.builders import run
from tests.support.ledger import Clock, admit, gate_of, new_take, nth_request

SLOW = Latency(usual_s=6.5, slow_s=10)
ENDPOINT = "https://flux.example.workers.dev"
Foretell = Callable[..., Forecast]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return a plan of two stills of 1024 x 1024 that are cut."""
    (tmp_path / "harbor.yaml").write_text("defaults: {aspect: 1:1, hold: 3s}\nprompts: [a, b]\n")
    return plan_frames(load_storyboard(tmp_path / "harbor.yaml"), model="flux-1-schnell")


@pytest.fixture
def foretell(plan: Plan, tmp_path: Path) -> Foretell:
    """Return a function that foretells the plan's render."""

    def forecast(**given: object) -> Forecast:
        settings = Settings(output=tmp_path / "outputs", **given)  # type: ignore[arg-type]
        return forecast_render(plan, read_inventory(plan, settings), settings)

    return forecast


@pytest.mark.parametrize(
    ("takes", "concurrency", "seconds"),
    [
        (0, 128, 0),
        # 98% of 720 a minute, and the last answer is a slow one.
        (720, 128, 720 / (12 * 0.98) + 10),
        # Ten in flight, 6.5 s each: no more than ten in 6.5 s.
        (720, 10, 720 * 0.65 + 10),
    ],
)
def test_takes_come_at_the_pace_of_the_limit_or_of_what_may_be_in_flight(
    takes: int, concurrency: int, seconds: float
) -> None:
    """Little's law."""
    settings = Settings(rate_limit=720, concurrency=concurrency)

    assert generating_s(takes, settings, SLOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("forecast", "seconds"),
    [(Forecast(SLOW, 60, 40, 3), 63), (Forecast(SLOW, 60, 58, 3), 67.5), (Forecast(SLOW, 0, 40, 3), 43)],
)
def test_segments_are_encoded_while_takes_come(forecast: Forecast, seconds: float) -> None:
    """From the first answer on; the longer of both decides."""
    assert forecast.seconds == seconds


def test_a_few_answers_say_nothing_of_the_slow_ones() -> None:
    """Ten do: half of them are as fast as usual or faster, a tenth is slow."""
    assert latency_of([1.0] * 9) is None
    assert latency_of([2.0] * 9 + [3.0] * 9 + [20.0] * 4) == Latency(3, 20)


def test_an_endpoint_that_was_never_asked_is_as_fast_as_it_states(foretell: Foretell) -> None:
    """3 to 10 s an image; sketches are drawn on this machine."""
    assert (foretell(endpoint=ENDPOINT).latency, foretell().latency) == (SLOW, Latency(0.3, 0.6))


def test_an_endpoint_that_was_asked_is_as_fast_as_it_was(foretell: Foretell, tmp_path: Path) -> None:
    """And this machine encodes as fast as it did."""
    (tmp_path / "outputs").mkdir()
    clock = Clock()
    with Ledger.open(f"sqlite:///{tmp_path}/outputs/storyreel.db", clock=clock) as ledger:
        gate = gate_of(ledger, run(endpoint=ENDPOINT), rate_limit=720)
        for number in range(10):
            attempt_id = admit(gate, nth_request(number)).attempt_id
            ledger.settle_bill(attempt_id, Billed(None))
            clock.turn(4)
            ledger.keep_take(attempt_id, new_take(f"takes/{number}.png"))
        ledger.finish_run("run-1", state=RunState.COMPLETED, counters=RunCounters(megapixels_per_s=2.0))

    told = foretell(endpoint=ENDPOINT)

    assert told.latency == Latency(4, 4)
    # Two stills, five times the work of a moving picture each.
    assert told.encoding_s == pytest.approx(2 * 5 * 1.048576 / 2)


def test_only_what_is_not_encoded_takes_time(plan: Plan, tmp_path: Path) -> None:
    """Of two stills one is; the other's picture is gone."""
    pictures, folder = (
        {0: FramePicture(tmp_path / "0.png"), 1: FramePicture(tmp_path / "gone.png")},
        tmp_path / "pieces",
    )
    pictures[0].path.write_bytes(b"a picture")
    folder.mkdir()
    first, _ = cut_segments(plan.timeline)
    (folder / piece_name(first, plan.timeline, pictures, build=ffmpeg_build())).touch()

    assert effort_left(plan.timeline, folder, {}) == pytest.approx(2 * 5 * 1.048576)
    assert effort_left(plan.timeline, folder, pictures) == pytest.approx(5 * 1.048576)
