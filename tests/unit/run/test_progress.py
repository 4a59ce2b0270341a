"""Counts add up, and the rate is neither ahead of the run nor behind it."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.budgets import Budgets
from pipelines.common.settings import Settings
from pipelines.ledger.models import RunCounters
from pipelines.run.progress import Progress, SceneProgress
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from tests.support.clocks import Seconds


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def progress(clock: Seconds) -> Progress:
    return Progress(clock=clock)


def send(progress: Progress, clock: Seconds, count: int, *, gap_s: float) -> None:
    """Send some requests, each `gap_s` after the one before."""
    for _ in range(count):
        clock.now += gap_s
        progress.sent(again=False)


def test_requests_are_counted_as_they_leave_and_end(progress: Progress) -> None:
    """Two sent, one of them again, one answered."""
    progress.sent(again=False)
    progress.sent(again=True)
    progress.answered()

    assert (progress.requests, progress.resends, progress.in_flight) == (2, 1, 1)


def test_frames_are_done_however_they_ended(progress: Progress) -> None:
    """Reused, generated here or by another run, or failed: none of them needs more work."""
    progress.reused, progress.generated, progress.elsewhere, progress.failed = 3, 4, 5, 6

    assert progress.done == 18


@pytest.mark.parametrize(("count", "rate"), [(0, 0), (1, 1), (2, 60), (31, 60), (600, 60)])
def test_the_rate_is_that_of_the_last_minute(progress: Progress, clock: Seconds, count: int, rate: float) -> None:
    """One a second is sixty a minute, from the second request on, and after ten minutes still."""
    send(progress, clock, count, gap_s=1)

    assert progress.requests_per_minute == pytest.approx(rate)


def test_the_rate_falls_while_nothing_is_sent(progress: Progress, clock: Seconds) -> None:
    """A run that waits is not as fast as it was; after a minute its rate is none."""
    send(progress, clock, 11, gap_s=1)
    rates = []
    for silence_s in (10, 20, 20, 20):
        clock.now += silence_s
        rates.append(progress.requests_per_minute)

    assert rates == [pytest.approx(30), pytest.approx(15), pytest.approx(60 * 9 / 59), 0]


def test_requests_at_one_moment_have_a_rate(progress: Progress, clock: Seconds) -> None:
    """No division by zero on a coarse clock."""
    send(progress, clock, 2, gap_s=0)

    assert progress.requests_per_minute == 60_000


@given(st.lists(st.floats(0, 100), max_size=20))
def test_the_rate_is_never_negative(gaps_s: list[float]) -> None:
    """Whatever the pattern."""
    clock = Seconds()
    progress = Progress(clock=clock)
    for gap_s in gaps_s:
        send(progress, clock, 1, gap_s=gap_s)

        assert progress.requests_per_minute >= 0


def test_the_time_left_follows_from_the_takes_that_come(progress: Progress, clock: Seconds) -> None:
    """A hundred, ten done, one a second: ninety seconds; failed ones are done too, reused ones take no time."""
    progress.expect(["arrival"] * 150)
    progress.reuse(["arrival"] * 50)
    for number in range(10):
        clock.now += 1
        progress.count("arrival", failed=number > 7)
    progress.segment_encoded(10, 0.5)

    assert progress.seconds_left == pytest.approx(90 + 0.5)
    assert progress.counters.seconds_left == progress.seconds_left


def test_the_time_that_has_gone_by_is_that_of_the_person_who_waits(progress: Progress, clock: Seconds) -> None:
    """From when the command was started, where that was before the run."""
    progress.began -= 7
    clock.now += 5

    assert progress.elapsed_s == 12


def test_each_scene_counts_its_own_frames(progress: Progress) -> None:
    """Expected, reused, generated and failed, scene by scene and in all."""
    progress.expect(["arrival", "arrival", "arrival", "storm", "storm", "calm"])
    progress.reuse(["arrival", "calm"])
    progress.count("arrival")
    progress.count("storm", failed=True)

    assert list(progress.scenes.values()) == [
        SceneProgress("arrival", 3, done=2),
        SceneProgress("storm", 2, done=1, failed=1),
        SceneProgress("calm", 1, done=1),
    ]
    assert (progress.frames, progress.reused, progress.to_generate, progress.generated, progress.failed) == (
        6,
        2,
        4,
        1,
        1,
    )


def test_the_counters_are_those_of_this_moment(progress: Progress) -> None:
    """The ledger keeps them."""
    progress.expect(["arrival", "storm"])
    progress.reuse(["arrival"])
    progress.count("storm")
    progress.stage, progress.rate_limit, progress.segments = "generating frames", 720, 3

    assert progress.counters == RunCounters("generating frames", 2, 1, 1, 1, 0, 3, 0, 720, None)


def test_counters_know_the_costs_and_the_segments(progress: Progress) -> None:
    """What the answers cost so far, beside the quote; how many segments are encoded."""
    progress.quote_usd, progress.cost_usd = Decimal("0.002"), Decimal("0.0005")
    progress.segment_encoded(10, 2.0)

    counters = progress.counters

    assert (counters.quote_usd, counters.cost_usd, counters.segments_done) == (Decimal("0.002"), Decimal("0.0005"), 1)
    assert counters.megapixels_per_s == 5


def test_a_run_starts_with_what_is_known_of_it(progress: Progress, tmp_path: Path) -> None:
    """Its storyboard, its frames by scene, its cap, its endpoint's limit, and whether its costs are made up."""
    path = tmp_path / "pets.yaml"
    path.write_text("prompts: [a cat, a dog]\n")
    plan = plan_frames(load_storyboard(path), model="sketch")

    progress.start(plan, Settings(rate_limit=90), Budgets(run_usd=Decimal("0.5")))

    assert (progress.storyboard, progress.frames, progress.rate_limit) == ("pets", 2, 90)
    assert (progress.budget_usd, progress.simulated) == (Decimal("0.5"), True)
    assert [scene.frames for scene in progress.scenes.values()] == [2]


def test_a_run_of_no_frame_of_a_scene_counts_it_all_the_same(progress: Progress) -> None:
    """A take of a scene that the run is not about is no bug."""
    progress.expect(["arrival"])

    progress.count("storm", failed=True)

    assert (progress.failed, list(progress.scenes)) == (1, ["arrival"])


def test_listeners_are_called_at_each_stage_as_it_comes(progress: Progress) -> None:
    """However short it is: no listener has to poll at the right moment."""
    progress.enter("starting")
    heard: list[str] = []
    progress.listen(lambda: heard.append(progress.stage))
    progress.enter("generating frames")
    progress.enter("publishing frames")

    assert (heard, progress.stage) == (["generating frames", "publishing frames"], "publishing frames")


def test_recent_rates_are_of_whole_slices_from_the_first_request_on(progress: Progress, clock: Seconds) -> None:
    """Two seconds each; the one that has just begun is not shown yet."""
    progress.rate_limit = 720
    before = progress.recent_rates()
    send(progress, clock, 7, gap_s=0.5)
    clock.now += 4.5

    assert (before, progress.recent_rates()) == ([], [90, 120, 0, 0])


def test_recent_rates_end_after_a_minute(progress: Progress, clock: Seconds) -> None:
    """However long the run: 29 slices lie in it whole."""
    progress.rate_limit = 60
    send(progress, clock, 600, gap_s=1)

    assert (progress.requests_per_minute, progress.recent_rates()) == (60, [60] * 29)


def test_slices_are_longer_where_the_limit_is_low(progress: Progress, clock: Seconds) -> None:
    """Ten a minute: twelve seconds each, or each request would look like a burst."""
    progress.rate_limit = 10
    send(progress, clock, 20, gap_s=6)

    assert progress.recent_rates() == [10] * 4


def test_a_run_that_is_stopped_says_what_it_waits_for(progress: Progress, clock: Seconds) -> None:
    """And how long at most; once nothing is in flight, that it ends. The ledger gets the short form."""
    progress.enter("generating frames")
    send(progress, clock, 2, gap_s=0)
    heard: list[str] = []
    progress.listen(lambda: heard.append(progress.headline))

    progress.stop(grace_period_s=25)
    clock.now += 3.5
    progress.answered()
    later, kept = progress.headline, progress.counters.stage
    progress.answered()

    assert heard == ["stopping: waiting for 2 answers, at most 25 s; Ctrl-C again gives them up"]
    assert later == "stopping: waiting for 1 answer, at most 22 s; Ctrl-C again gives them up"
    assert kept == "stopping: waiting for 1 answer"
    assert progress.headline == progress.counters.stage == "stopping: nothing is in flight, the run ends"


def test_a_run_that_waits_longer_than_it_said_has_no_time_left(progress: Progress, clock: Seconds) -> None:
    """Never less than none."""
    send(progress, clock, 1, gap_s=0)
    progress.stop(grace_period_s=5)
    clock.now += 9

    assert progress.headline == "stopping: waiting for 1 answer, at most 0 s; Ctrl-C again gives them up"


def test_a_run_says_what_it_waits_for_and_for_how_long(progress: Progress, clock: Seconds) -> None:
    """Where it is long enough to be noticed; its ledger keeps the step alone."""
    progress.enter("generating frames")
    with progress.waiting("for the rate limit", seconds=0.08):
        short = progress.headline
    with progress.waiting("for the rate limit", seconds=8):
        clock.now += 1.5
        long, news, kept = progress.headline, progress.news, progress.counters.stage
    with progress.waiting("for another run of this storyboard"):
        unknown = progress.headline

    assert short == progress.headline == kept == "generating frames"
    assert long == "generating frames: waiting 7 s more for the rate limit"
    assert news == "generating frames: waiting for the rate limit"
    assert unknown == "generating frames: waiting for another run of this storyboard"


def test_a_cool_down_is_the_reason_that_is_told(progress: Progress, clock: Seconds) -> None:
    """Not the rate limit, which is what the next request waits for then; a long answer is cut short."""
    progress.enter("generating frames")
    progress.cool_down("rate limited (429 Too Many Requests, " + "please wait " * 30 + ")", seconds=60)
    with progress.waiting("for the rate limit", seconds=60):
        during = progress.headline
    clock.now += 60

    reason = "rate limited (429 Too Many Requests, please wait please ..."
    assert during == f"generating frames: waiting 1 min 00 s more after {reason}"
    assert progress.headline == "generating frames"


def test_once_all_is_sent_the_answers_are_waited_for(progress: Progress, clock: Seconds) -> None:
    """Before, the requests are what takes the time."""
    progress.expect(["arrival"] * 3)
    progress.reuse([])
    progress.enter("generating frames")
    send(progress, clock, 2, gap_s=0)
    before = progress.headline
    send(progress, clock, 1, gap_s=0)

    assert (before, progress.headline) == ("generating frames", "generating frames: waiting for 3 answers")


def test_a_film_that_is_being_joined_is_named(progress: Progress) -> None:
    """Until the next step."""
    progress.enter("assembling the film")
    progress.joining(Path("outputs/harbor/harbor.mp4"))
    during = progress.headline
    progress.enter("writing the report")

    assert (during, progress.headline) == ("assembling the film: joining harbor.mp4", "writing the report")


def test_what_other_runs_generate_is_counted_apart(progress: Progress) -> None:
    """In the ledger it counts as reused, as in the run's result; the time left goes by the takes of all runs."""
    progress.expect(["arrival"] * 4)
    progress.reuse(["arrival"])
    progress.count("arrival")
    progress.count("arrival", elsewhere=True)

    counters = progress.counters
    assert (counters.reused, counters.generated, counters.done) == (2, 1, 3)
    assert (progress.elsewhere, progress.time_left.takes.left) == (1, 1)


def test_a_run_that_waits_for_the_film_says_what_is_done_for_it(progress: Progress, clock: Seconds) -> None:
    """And for how long, as the run that makes it estimates; a late one is not done."""
    progress.enter("waiting for the run that makes the film")
    progress.await_film("lane a is assembling the film", seconds_left=20)
    news, left_s = progress.news, [progress.seconds_left]
    clock.now += 30
    left_s.append(progress.seconds_left)
    progress.await_film("lane a is writing the report", seconds_left=None)

    assert news == "waiting for the run that makes the film: lane a is assembling the film"
    assert [*left_s, progress.seconds_left] == [20, 1, None]
