"""Takes, re-rolls and picks from the storyboard to the film: the embedded endpoint, a real ledger, a real film."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.budgets import OnExceed
from pipelines.common.errors import BudgetError, UsageError
from pipelines.ledger.ledger import Ledger
from tests.support.film_samples import pictures
from tests.support.studio import BOARD, IMAGE_USD, Studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A storyboard of two frames, nothing generated."""
    return Studio(tmp_path)


def test_the_storyboard_says_how_many_takes_to_generate(studio: Studio) -> None:
    """Each frame gets its own number of them, and shows the first."""
    studio.write(BOARD.replace("TAKES", "3"))

    result = studio.render()

    assert (result.frames, result.generated, result.cost_usd) == (2, 4, 4 * IMAGE_USD)
    assert studio.there() == [[1], [1, 2, 3]]
    assert studio.selected() == [1, 1]


def test_a_take_more_in_the_storyboard_generates_that_one_only(studio: Studio) -> None:
    """And one less forgets none."""
    studio.render()
    studio.write(BOARD.replace("TAKES", "2"))
    more = studio.render()
    studio.write(BOARD.replace("TAKES", "1"))
    less = studio.render()

    assert (more.reused, more.generated, less.generated) == (2, 1, 0)
    assert studio.there() == [[1], [1, 2]]


def test_a_reroll_generates_takes_of_its_frames_only(studio: Studio) -> None:
    """Nothing that is there is touched."""
    studio.render()
    before = {path: path.read_bytes() for path in (studio.folder / "takes").iterdir()}

    result = studio.reroll("garden/dog", count=2)

    assert (result.state, result.generated, result.reused) == ("Completed", 2, 0)
    assert [take.spec.number for take in result.new_takes] == [2, 3]
    assert studio.there() == [[1], [1, 2, 3]]
    assert {path: path.read_bytes() for path in before} == before


def test_a_reroll_before_the_first_render_makes_no_film(studio: Studio) -> None:
    """It generates what it was asked for, and says that there is no film yet."""
    result = studio.reroll("1")

    assert (result.state, result.generated, result.video) == ("Completed", 1, None)
    assert studio.there() == [[], [1]]


def test_the_film_follows_the_pick(studio: Studio) -> None:
    """Its frame is published again, its segment is encoded again, the other one's is not."""
    studio.render()
    studio.reroll("1")
    first, segments = pictures(studio.folder / "pets.mp4"), studio.segments()
    frame = (studio.folder / "frames/frame_0001.png").read_bytes()

    result = studio.pick("garden/dog", 2)

    assert (result.requests, studio.selected()) == (0, [1, 2])
    assert (studio.folder / "frames/frame_0001.png").read_bytes() != frame
    second = pictures(studio.folder / "pets.mp4")
    assert np.array_equal(first[:12], second[:12])
    assert not np.array_equal(first[12:], second[12:])
    assert len(studio.segments() & segments) == len(segments) - 1


def test_picks_survive_edits_that_leave_the_request_alone(studio: Studio) -> None:
    """Retimed, retitled, moved to another place: the frame shows what was picked; another prompt is another frame."""
    studio.render()
    studio.reroll("1")
    studio.pick("1", 2)

    studio.write(
        BOARD.replace("{id: cat, prompt: a cat}", "{id: bird, prompt: a bird, hold: 2s}").replace("TAKES", "1")
    )
    assert studio.selected() == [None, 2]
    studio.write(BOARD.replace("      - {id: cat, prompt: a cat}\n", "").replace("TAKES", "2"))
    assert studio.selected() == [2]
    studio.write(BOARD.replace("a dog", "a wolf").replace("TAKES", "1"))
    assert studio.selected() == [1, None]


def test_another_prompt_makes_a_take_of_the_same_frame(studio: Studio) -> None:
    """The frame stays what the storyboard asks for, and may show it."""
    studio.render()

    studio.reroll("0", prompt="a lion")
    studio.pick("0", 2)

    selected = studio.inventory.frames[0].selected
    assert selected is not None
    assert (selected.prompt, selected.spec.number) == ("a lion", 2)
    assert studio.render().generated == 0


def test_a_picked_take_that_is_gone_is_reported(studio: Studio) -> None:
    """Another stands in for it, nothing is generated, and putting the file back restores it."""
    studio.render()
    studio.reroll("1")
    studio.pick("1", 2)
    take = studio.inventory.frames[1].find(2)
    assert take is not None
    lost = take.path.rename(studio.folder / "elsewhere.png")

    result = studio.render()

    assert result.generated == 0
    assert result.remarks == (
        "frame_0001 garden/dog: take 2, which was picked, is gone; take 1 stands in for it; pick another, or put its "
        "file back",
    )
    assert studio.selected() == [1, 1]
    lost.rename(take.path)
    assert studio.selected() == [1, 2]


def test_a_first_take_that_is_gone_is_generated_again_and_the_pick_stays(studio: Studio) -> None:
    """What the storyboard asks for is generated, whatever the film shows."""
    studio.render()
    studio.reroll("1")
    studio.pick("1", 2)
    first = studio.inventory.frames[1].find(1)
    assert first is not None
    first.path.unlink()

    assert studio.render().generated == 1
    assert studio.selected() == [1, 2]


@pytest.mark.parametrize(
    ("frame", "take", "complaint"),
    [
        ("1", 2, "frame_0001 garden/dog: there is no take 2; it has 1"),
        ("7", 1, "7: there is no such frame; pets has frames 0 to 1"),
    ],
)
def test_what_is_not_there_cannot_be_picked(studio: Studio, frame: str, take: int, complaint: str) -> None:
    """The error says what there is."""
    studio.render()

    with pytest.raises(UsageError) as error:
        studio.pick(frame, take)

    assert str(error.value) == complaint


def test_nothing_can_be_picked_before_anything_is_generated(studio: Studio) -> None:
    """The cure is to render first; no ledger is made for it."""
    with pytest.raises(UsageError, match="it has none yet; render the storyboard first"):
        studio.pick("0", 1)

    assert not studio.settings.output.exists()


def test_a_reroll_keeps_to_the_budget(studio: Studio) -> None:
    """What does not fit is not asked; what came before is kept, and the next one goes on from there."""
    studio.render()
    studio.settings = studio.settings.model_copy(update={"budget_usd": 2 * IMAGE_USD, "on_exceed": OnExceed.STOP})

    with pytest.raises(BudgetError):
        studio.reroll("0-1", count=2)

    assert studio.there() == [[1, 2], [1, 2]]
    studio.settings = studio.settings.model_copy(update={"budget_usd": None})
    assert [take.spec.number for take in studio.reroll("0-1", count=2).new_takes] == [3, 3, 4, 4]


def test_first_takes_come_first(studio: Studio) -> None:
    """A budget that ends before the second takes leaves a film all the same."""
    studio.write(BOARD.replace("defaults: {", "defaults: {takes: 2, ").replace(", takes: TAKES", ""))
    studio.settings = studio.settings.model_copy(update={"budget_usd": 3 * IMAGE_USD, "on_exceed": OnExceed.STOP})

    with pytest.raises(BudgetError):
        studio.render()

    assert studio.there() == [[1, 2], [1]]
    assert (studio.folder / "pets.mp4").is_file()


def test_frames_that_ask_for_the_same_have_takes_of_their_own(studio: Studio) -> None:
    """No picture is two frames' first; each frame counts its own takes from 1."""
    studio.write(BOARD.replace("a dog", "a cat").replace("TAKES", "2"))

    studio.render()

    assert studio.there() == [[1], [1, 2]]
    paths = [take.path for frame in studio.inventory.frames for take in frame.takes]
    assert len(set(paths)) == 3
    with Ledger.open(studio.settings.effective_database_url) as ledger:
        assert Counter(take.number for take in ledger.requested_takes("pets")) == {2: 1}
