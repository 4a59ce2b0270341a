"""What a page is told of another state, and of all states that it missed."""

from pipelines.review.changes import PageHistory
from pipelines.review.events import Changed, Reloaded
from tests.support.report_samples import frame, page


def test_a_page_is_told_of_every_change_since_its_own_version() -> None:
    """Each frame once, however often it has changed."""
    history = PageHistory()
    told = [
        history.update(page(*frames))
        for frames in (
            (frame(0), frame(1), frame(2)),
            (frame(0), frame(1, takes=2), frame(2)),
            (frame(0), frame(1, takes=2), frame(2)),
            (frame(0), frame(1, takes=3), frame(2, takes=2)),
        )
    ]

    assert told == [[], [Changed((1,))], [], [Changed((1, 2))]]
    assert [history.changes_since(version) for version in range(3)] == [Changed((1, 2)), Changed((1, 2)), None]


def test_other_frames_are_another_page() -> None:
    """Whoever has one from before loads it again, whatever has changed since."""
    history = PageHistory()
    history.update(page(frame(0)))
    told = [history.update(page(frame(0), frame(1))), history.update(page(frame(0, takes=2), frame(1)))]

    assert told == [[Reloaded()], [Changed((0,))]]
    assert [history.changes_since(version) for version in range(3)] == [Reloaded(), Changed((0,)), None]


def test_a_change_above_the_frames_is_a_change_of_none_of_them() -> None:
    """The film or the costs: they are fetched again with no frame."""
    history = PageHistory()
    history.update(page(frame(0)))

    assert history.update(page(frame(0), title="Another harbor")) == [Changed(())]
    assert history.changes_since(0) == Changed(())
