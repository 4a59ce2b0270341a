"""A long report is divided: each frame is on one page, no page is too long, and there are not too many pages."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.division import divide, index_rows, page_view
from pipelines.report.models import IndexRow, SceneView, Way
from pipelines.report.page import render_index, render_report
from tests.support.report_samples import attempt, frame, page
from tests.unit.report.test_page import HOSTILE

KINDS = ("failed", "missing", "remarked", "retried", "rerolled")


def scenes_of(counts: Sequence[int]) -> list[SceneView]:
    """Return scenes of so many frames each, numbered through, a second for each frame."""
    shown = frame(0)
    return [
        SceneView(
            f"s{place}", f"Scene {place}", float(first), tuple(replace(shown, number=n) for n in range(first, end))
        )
        for place, (first, end) in enumerate(pairwise(accumulate(counts, initial=0)), start=1)
    ]


@pytest.mark.parametrize(
    ("counts", "pages"),
    [
        ([400], ["Scene 1"]),
        ([500, 101], ["Scene 1", "Scene 2"]),
        ([60, 60], ["Scene 1", "Scene 2"]),
        ([40, 60, 1, 300], ["Scene 1 \u2013 Scene 2", "Scene 3", "Scene 4"]),
        ([1, 501], ["Scene 1", "Scene 2 (1 of 2)", "Scene 2 (2 of 2)"]),
    ],
)
def test_a_scene_has_a_page_a_long_one_several_and_short_ones_share_one(counts: list[int], pages: list[str]) -> None:
    """Up to a hundred frames are shared, up to five hundred are on one page."""
    assert [page.title for page in divide(scenes_of(counts))] == pages


@given(st.lists(st.integers(1, 1200), min_size=1, max_size=12))
def test_each_frame_is_on_one_page_in_order(counts: list[int]) -> None:
    """None is lost and none is twice, none of the pages is too long, and parts are of about one length."""
    pages = divide(scenes_of(counts))

    assert [each.number for page in pages for each in page.frames] == list(range(sum(counts)))
    assert max(len(page.frames) for page in pages) <= 500
    assert len({page.name for page in pages}) == len(pages)


def test_a_thousand_short_scenes_have_no_thousand_pages() -> None:
    """Their names are in order, and say with which scene they begin."""
    pages = divide(scenes_of([1] * 2500))

    assert [page.name for page in (pages[0], pages[1], pages[-1])] == ["001-s1", "002-s101", "025-s2401"]


def test_the_index_counts_what_is_on_each_page() -> None:
    """So that what is missing is found; what it spent is told with it."""
    failed = frame(3, takes=0, attempts=(attempt(status="failed"),))
    scenes = [SceneView("a", "A", 0.0, tuple(map(frame, range(99)))), SceneView("b", "B", 99.0, (frame(99), failed))]

    rows = list(index_rows(divide(scenes)))

    assert rows == [
        IndexRow(
            ("A",), 0.0, "report/001-a.html", "report/001-a.jpg", 99, tuple((k, 0) for k in KINDS), "0.064548 USD"
        ),
        IndexRow(
            ("B",),
            99.0,
            "report/002-b.html",
            "report/002-b.jpg",
            2,
            (("failed", 1), ("missing", 1), ("remarked", 0), ("retried", 0), ("rerolled", 0)),
            "0.000652 USD",
        ),
    ]


def test_a_page_leads_to_its_neighbours_and_to_the_index() -> None:
    """What concerns the whole storyboard is said in the index alone."""
    report = page(scenes=2, title="Harbor", notes=("a note",))
    pages = divide(scenes_of([101, 101, 101]))

    view, way = page_view(report, pages, 1)

    assert way == Way("Harbor", "../report.html", "001-s1.html", "003-s3.html", "0.065852 USD")
    assert (view.title, view.ledger, view.sheets) == ("Scene 2", "../ledger.csv", ("002-s2.jpg",))
    assert (view.costs, view.last_run, view.remarks, view.notes) == ((), None, (), ())
    assert [page_view(report, pages, n)[1].previous for n in (0, 2)] == [None, "002-s2.html"]
    assert [page_view(report, pages, n)[1].next for n in (0, 2)] == ["002-s2.html", None]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_on_index_and_page(text: str) -> None:
    """No element of it comes to life."""
    scene = SceneView("s1", text, 0.0, (frame(0, prompt=text),))
    report = page(title=text, storyboard=text)
    report, pages = replace(report, scenes=(scene,)), divide([scene])

    index = "".join(render_index(report, list(index_rows(pages))))
    view, way = page_view(report, pages, 0)
    first = "".join(render_report(view, way=way))

    assert [(html.count("<script"), html.count("onerror=alert(1)>")) for html in (index, first)] == [(2, 0), (2, 0)]


def test_no_page_is_too_large_to_be_opened() -> None:
    """Neither the longest page nor the index of ten thousand scenes."""
    scenes = [replace(scene, title="The harbor at dawn") for scene in scenes_of([1] * 10_000)]
    long = page(*scenes_of([500])[0].frames)
    beside = replace(frame(0).takes[0], thumbnail="../thumbnails/0bd8cab841f7.jpg")
    long = replace(
        long,
        scenes=tuple(
            replace(scene, frames=tuple(replace(each, takes=(beside,)) for each in scene.frames))
            for scene in long.scenes
        ),
    )

    index = "".join(render_index(replace(long, scenes=tuple(scenes)), list(index_rows(divide(scenes)))))

    assert (len(index) < 4_000_000, len("".join(render_report(long))) < 1_000_000) == (True, True)
