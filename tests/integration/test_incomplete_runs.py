"""A run that is not whole says so: its state, its exit code, the frame, no film; and the next run completes it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.common.budgets import OnExceed
from pipelines.common.errors import (
    BudgetError,
    CredentialsRefusedError,
    FilmError,
    FramesMissingError,
    InterruptedRunError,
    UsageError,
)
from pipelines.ledger.models import RunState
from pipelines.run.observer import RunObserver
from tests.conftest import serving
from tests.support.studio import BOARD, IMAGE_USD, Studio

GENERATING, PUBLISHING, REPORTING = "generating frames", "publishing frames", "writing the report"
FRAME = "frame_0001 garden/dog"
BIRD = "      - {id: bird, prompt: a bird}\n"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A storyboard of two frames, nothing generated."""
    return Studio(tmp_path)


@dataclass
class AtStage:
    """Listens to a run, and does something when it comes to a stage."""

    observer: RunObserver
    stage: str
    act: Callable[[], None]

    def __call__(self) -> None:
        if self.observer.progress.stage == self.stage:
            self.act()


def acting(stage: str, act: Callable[[], None]) -> RunObserver:
    """Return the observer of a run that does something at a stage."""
    observer = RunObserver()
    observer.progress.listen(AtStage(observer, stage, act))
    return observer


def result_of(observer: RunObserver) -> dict[str, object]:
    """Return the result that an observer has in the end, as JSON."""
    assert observer.result is not None
    return observer.result.as_json()


# --- a file that goes away


@pytest.mark.parametrize("stage", [GENERATING, PUBLISHING])
def test_a_take_that_is_removed_while_others_are_generated_is_missing(studio: Studio, stage: str) -> None:
    """It was there when the run began; without it there is no film, and the run does not pass for complete."""
    studio.render()
    (studio.folder / "pets.mp4").unlink()
    studio.write(BOARD.replace("TAKES", "1") + BIRD)
    observer = acting(stage, studio.take(1).path.unlink)

    with pytest.raises(FramesMissingError) as caught:
        studio.render(observer)

    assert (caught.value.exit_code, str(caught.value)) == (
        4,
        f"1 of 3 frames is missing: {FRAME}: its file is gone. Everything generated is kept; run again to complete",
    )
    result = result_of(observer)
    assert (result["state"], result["video"], result["video_seconds"]) == (RunState.INCOMPLETE, None, None)
    assert (result["generated"], (studio.folder / "pets.mp4").exists()) == (1, False)
    assert sorted(path.name for path in (studio.folder / "frames").iterdir()) == ["frame_0000.png", "frame_0002.png"]


@pytest.mark.parametrize("stage", [GENERATING, PUBLISHING])
def test_the_next_run_generates_what_was_removed(studio: Studio, stage: str) -> None:
    """That one take, and then the film."""
    studio.render()
    studio.write(BOARD.replace("TAKES", "1") + BIRD)
    with pytest.raises(FramesMissingError):
        studio.render(acting(stage, studio.take(1).path.unlink))

    result = studio.render()

    assert (result.state, result.reused, result.generated) == (RunState.COMPLETED, 2, 1)
    assert result.video is not None


def test_a_take_that_was_just_generated_and_is_removed_is_missing(studio: Studio) -> None:
    """The film's segment that was encoded of it meanwhile makes no film."""

    def remove_first_take() -> None:
        studio.take(0).path.unlink()

    observer = acting(PUBLISHING, remove_first_take)

    with pytest.raises(FramesMissingError, match="1 of 2 frames is missing: frame_0000 garden/cat: its file is gone"):
        studio.render(observer)

    assert (result_of(observer)["video"], (studio.folder / "pets.mp4").exists()) == (None, False)


def test_a_removed_take_is_missing_where_nothing_is_to_be_generated(studio: Studio) -> None:
    """A render that only cuts the film looks at its files as well."""
    studio.render()
    observer = acting(PUBLISHING, studio.take(1).path.unlink)

    with pytest.raises(FramesMissingError, match=f"1 of 2 frames is missing: {FRAME}: its file is gone"):
        studio.render(observer)

    assert (result_of(observer)["state"], result_of(observer)["video"]) == ("Incomplete", None)


def test_a_film_that_is_removed_at_the_end_is_missing(studio: Studio) -> None:
    """Completed means that it exists when the run ends; the next run makes it again, and generates nothing."""
    film = studio.folder / "pets.mp4"
    observer = acting(REPORTING, film.unlink)

    with pytest.raises(
        FilmError, match=r"pets\.mp4: missing, though every frame is there; run again to make it"
    ) as caught:
        studio.render(observer)

    assert caught.value.exit_code == 4
    assert (result_of(observer)["state"], result_of(observer)["video"]) == ("Incomplete", None)
    again = studio.render()
    assert (again.state, again.generated, again.video) == (RunState.COMPLETED, 0, film)


def test_a_quote_that_is_refused_says_what_would_be_reused(studio: Studio) -> None:
    """The counts of a run that sends nothing are those of its quote."""
    studio.render()
    studio.write(BOARD.replace("TAKES", "1") + BIRD)
    studio.settings = studio.settings.model_copy(update={"budget_usd": IMAGE_USD / 2})
    observer = RunObserver()

    with pytest.raises(BudgetError):
        studio.render(observer)

    result = result_of(observer)
    assert (result["state"], result["frames"], result["reused"], result["requests"]) == ("OverBudget", 3, 2, 0)


# --- a re-roll is judged by its own takes


def test_a_reroll_is_not_judged_by_holes_elsewhere(studio: Studio) -> None:
    """It has the take that it asked for; that another frame has none is not its fault."""
    studio.render()
    studio.take(1).path.unlink()

    result = studio.reroll("0")

    assert (result.state, result.generated, result.video) == (RunState.COMPLETED, 1, None)
    assert studio.there() == [[1, 2], []]


def test_a_reroll_whose_takes_are_refused_is_incomplete(studio: Studio) -> None:
    """Even where every frame has a take, and the film is whole."""
    studio.render()
    observer = RunObserver()

    with serving("refused=1", rate_limit=0) as url:
        studio.settings = studio.settings.model_copy(update={"endpoint": url, "model": "sketch"})
        with pytest.raises(FramesMissingError, match="2 of 2 takes are missing: frame_0000 garden/cat take 2: "):
            studio.reroll("0-1", observer=observer)

    result = result_of(observer)
    assert (result["state"], result["failed"], "takes" in result) == ("Incomplete", 2, False)
    assert (result["video"], studio.there()) == (str(studio.folder / "pets.mp4"), [[1], [1]])


def test_a_run_for_no_takes_is_complete_whatever_is_missing(studio: Studio) -> None:
    """A film that is cut again after a pick generates nothing, and says that there is no film."""
    studio.render()
    studio.take(1).path.unlink()

    result = studio.pick("0", 1)

    assert (result.state, result.requests, result.video) == (RunState.COMPLETED, 0, None)


# --- the observer has the result, however the run ends


def test_the_observer_of_a_run_that_succeeds_has_its_result(studio: Studio) -> None:
    """The very one that is returned."""
    observer = RunObserver()

    assert studio.render(observer) is observer.result


def test_the_observer_of_a_run_that_the_budget_refuses_has_its_result(studio: Studio) -> None:
    """Nothing was sent, and the result says so."""
    studio.settings = studio.settings.model_copy(update={"budget_usd": IMAGE_USD})
    observer = RunObserver()

    with pytest.raises(BudgetError):
        studio.render(observer)

    result = result_of(observer)
    assert (result["state"], result["requests"], result["cost_usd"], result["uncertain_usd"]) == (
        "OverBudget",
        0,
        "0",
        "0",
    )


def test_the_observer_of_a_run_that_the_budget_stops_has_its_result(studio: Studio) -> None:
    """With what was generated until then."""
    studio.settings = studio.settings.model_copy(update={"budget_usd": IMAGE_USD, "on_exceed": OnExceed.STOP})
    observer = RunObserver()

    with pytest.raises(BudgetError):
        studio.render(observer)

    result = result_of(observer)
    assert (result["state"], result["generated"], result["cost_usd"]) == ("OverBudget", 1, str(IMAGE_USD))


def test_the_observer_of_a_run_that_the_endpoint_refuses_has_its_result(studio: Studio) -> None:
    """And a report, in which the refusals stand."""
    observer = RunObserver()

    with serving("authentication=1", rate_limit=0) as url:
        studio.settings = studio.settings.model_copy(update={"endpoint": url, "model": "sketch"})
        with pytest.raises(CredentialsRefusedError):
            studio.render(observer)

    result = result_of(observer)
    assert (result["state"], result["generated"], result["report"]) == (
        "EndpointUnavailable",
        0,
        str(studio.folder / "report.html"),
    )


def test_an_answer_that_never_came_is_uncertain(studio: Studio) -> None:
    """It may have been billed, and is not part of what the run cost."""
    observer = RunObserver()

    with serving("reset=1", rate_limit=0) as url:
        update = {"endpoint": url, "model": "sketch", "max_resends": 0}
        studio.settings = studio.settings.model_copy(update=update)
        with pytest.raises(FramesMissingError):
            studio.render(observer)

    result = result_of(observer)
    assert (result["cost_usd"], Decimal(str(result["uncertain_usd"]))) == ("0", 2 * IMAGE_USD)


def test_the_observer_of_a_run_that_is_stopped_has_its_result(studio: Studio) -> None:
    """It ends at once: the next run writes the report."""
    observer = RunObserver()
    observer.progress.listen(
        AtStage(observer, GENERATING, lambda: observer.stop_signal.stop(InterruptedRunError("stop")))
    )

    with pytest.raises(InterruptedRunError):
        studio.render(observer)

    result = result_of(observer)
    assert (result["state"], result["requests"], result["report"]) == ("Cancelled", 0, None)


def test_a_run_that_cannot_be_opened_has_no_result(studio: Studio) -> None:
    """There is nothing to sum up: a file stands where its folder would be."""
    studio.folder.parent.mkdir()
    studio.folder.write_text("a file")
    observer = RunObserver()

    with pytest.raises(UsageError, match="cannot be written to"):
        studio.render(observer)

    assert observer.result is None
