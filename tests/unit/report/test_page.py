"""The report as text: everything escaped, nothing from elsewhere, plots that say what happened."""

import html
import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from pipelines.report.charts import HEIGHT, WIDTH, charts_of
from pipelines.report.models import FilmView, LaneView, PageView, RunView
from pipelines.report.page import header_json, kinds_of, render_card, render_review
from pipelines.report.page import render_report as rendered_parts
from tests.support.report_samples import FAILED, PRICE_USD, REROLLED, RETRIED, START, attempt, frame, narration, page

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "מלכת הים \u202e siht daer",
    "line\u2028separator & ampersand",
    "<!--<script>",
]


def render_report(view: PageView) -> str:
    """Return the whole report."""
    return "".join(rendered_parts(view))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text: str) -> None:
    """In the markup and in the data: no element of it comes to life, and none of it is lost."""
    hostile = frame(0, prompt=text, caption=text, scene=text, shot=text, narration=narration(text, voice=text))

    report = render_report(page(hostile, title=text, storyboard=text))

    assert report.count("<script") == 2
    assert report.count("<img") == 2
    assert text in html.unescape(report)
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', report, re.DOTALL)
    [shown] = json.loads(data)
    assert (shown["caption"], shown["narration"]["text"], shown["narration"]["voice"]) == (text, text, text)


def test_a_narration_is_in_its_frames_card_and_data() -> None:
    """With its length, and where its frames are too short for it; frames in silence have none."""
    spoken = narration("Six in the morning", word_s=0.5, frames=2, missing_s=0.75)
    view = page(frame(0, narration=spoken), frame(1, narrated_from=0), frame(2))

    first, second, third = (render_card(each, language="en") for each in view.frames)

    assert '<span class="said" dir="auto" lang="en">Six in the morning</span>' in first
    assert 'aria-label="Hear the narration of frame 0, 2.0 s">▶ 2.0 s</button>' in first
    assert 'title="Its 2 frames are held 0.75 s too short for its words."' in first
    assert "narration" not in second + third
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', render_report(view), re.DOTALL)
    assert [(each["narration"], each["narrated_from"]) for each in json.loads(data)] == [
        (
            {
                "text": "Six in the morning",
                "words": [["", "Six", 0, 0.5], [" ", "in", 0.5, 1], [" ", "the", 1, 1.5], [" ", "morning", 1.5, 2]],
                "voice": "hibari/heart",
                "sound": "voice/one.wav",
                "length_s": 2.0,
                "frames": 2,
                "short": "Its 2 frames are held 0.75 s too short for its words.",
            },
            None,
        ),
        (None, 0),
        (None, None),
    ]


def test_titles_and_captions_state_their_language() -> None:
    """Screen readers speak it, and browsers draw Chinese, Japanese and Korean each in its own way."""
    view = replace(page(frame(0)), language="zh-TW")

    assert '<h1 dir="auto" lang="zh-TW">' in render_report(view)
    assert '<link rel="stylesheet" href="fonts/zh-Hant/fonts.css">' in render_review(view)
    assert 'lang="zh' not in render_report(page(frame(0)))


def test_the_report_needs_nothing_from_elsewhere() -> None:
    """No address in it leads to another machine, and its policy allows none."""
    report = render_report(page())

    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", report) == []
    assert "default-src 'none'" in html.unescape(report)


def test_each_frame_is_of_the_kinds_that_fit_its_history() -> None:
    """The page filters by them."""
    assert [kinds_of(each) for each in (frame(0), RETRIED, FAILED, REROLLED)] == [
        [],
        ["retried"],
        ["failed", "missing", "retried"],
        ["rerolled"],
    ]
    assert kinds_of(frame(0, takes=0)) == ["missing"]


def test_a_take_with_an_attempt_in_each_of_two_runs_is_retried() -> None:
    """Each run counts its own attempts; here all of them count."""
    again = frame(0, attempts=(attempt(status="unknown"), attempt(1, at_s=60)))

    assert kinds_of(again) == ["retried"]


def test_the_card_alone_is_the_card_of_the_page() -> None:
    """So that one frame can be shown anew."""
    card = render_card(REROLLED, interactive=False).strip()

    assert "\n".join(line.strip() for line in card.splitlines()) in "\n".join(
        line.strip() for line in render_report(page(REROLLED)).splitlines()
    )


def test_notes_on_the_storyboard_are_listed() -> None:
    """As text, each with its place; without any there is no list."""
    notes = ("harbor.yaml:3:5: title: note: it ends at <!-- # --> & is cut short", "harbor.yaml:4:1: note: another")

    report = render_report(page(notes=notes))

    assert re.findall(r'<li dir="auto">(.*?)</li>', report) == [html.escape(note) for note in notes]
    assert "2 notes on the storyboard" in report
    assert "on the storyboard" not in render_report(page())


def test_a_page_says_that_its_film_is_a_draft() -> None:
    """And how the final film is made; of that nothing is said."""
    film = FilmView("film.mp4", "video/mp4", 4.0, "320x192")
    pages = [page(films=(film,)), page(films=(replace(film, draft=True),))]
    command = "storyreel render --quality final"

    assert [command in "".join(render_report(view)) for view in pages] == [False, True]
    assert [command in render_review(view) for view in pages] == [False, True]
    assert [command in header_json(view)["summary"] for view in pages] == [False, True]


def test_a_cost_that_is_not_known_is_called_unknown() -> None:
    """Never zero."""
    unknown = frame(0, takes=0, attempts=(attempt(status="unknown", cost_usd=None, latency_s=None),))

    report = render_report(page(unknown))

    assert '"cost":"unknown"' in report


# The plots


def run_of(count: int, *, every_s: float = 1.0, **more: object) -> RunView:
    """Return a run that sent so many requests, evenly."""
    attempts = tuple(attempt(at_s=n * every_s) for n in range(count))
    return replace(RunView(START, attempts, 720, PRICE_USD * count, None), **more)  # type: ignore[arg-type]


def test_the_charts_have_an_alt_text() -> None:
    """Whoever does not see them reads the same."""
    rate, cost, latency = charts_of(run_of(10, budget_usd=Decimal("0.25")))

    assert rate.alt_text == "At most 10 requests in any 60 seconds; the limit is 720."
    assert cost.alt_text == "0.00652 USD in all, quoted at 0.00652 USD, with a budget of 0.25 USD."
    assert latency.alt_text == "Half of the answers came within 4.0 s, the last within 4.0 s; 10 ok."


def test_the_rate_is_what_a_server_counts() -> None:
    """Requests more than 60 seconds apart never stand in one window."""
    rate, _, _ = charts_of(run_of(5, every_s=25))

    assert rate.alt_text.startswith("At most 3 requests")


def test_what_is_not_known_stays_charged_in_the_plot() -> None:
    """As it does in the ledger."""
    run = replace(run_of(1), attempts=(attempt(status="unknown", cost_usd=None, latency_s=None),))

    assert charts_of(run)[1].alt_text.startswith("0 USD and at most 0.000652 uncertain in all")


@pytest.mark.parametrize("count", [1, 2, 600, 5000])
def test_no_plot_has_more_points_than_can_be_seen(count: int) -> None:
    """All of them within the box."""
    for chart in charts_of(run_of(count, every_s=0.1)):
        points = re.findall(r"([0-9.]+) ([0-9.]+)", chart.line)
        assert len(points) <= 700
        assert len(chart.dots) <= 700
        for x, y in [*((float(x), float(y)) for x, y in points), *((dot.x, dot.y) for dot in chart.dots)]:
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def lane_of(name: str, count: int, *, every_s: float = 1.0, rate_limit: int = 120) -> LaneView:
    """Return a lane in which so many requests were sent, evenly."""
    sent_at = tuple(attempt(at_s=n * every_s).sent_at for n in range(count))
    return LaneView(name, count, count, "0.1 USD", rate_limit, sent_at)


def test_each_lane_has_a_curve_and_a_limit_of_its_own() -> None:
    """What they send together is no more than each may, taken by itself."""
    lanes = (lane_of("a", 50), lane_of("b", 100, every_s=0.5), lane_of("c", 2, rate_limit=60))
    rate = charts_of(run_of(100, lanes=lanes))[0]

    assert rate.title == "Requests in the last 60 seconds, by lane"
    assert rate.alt_text == "At most 100 requests in any 60 seconds in any lane; the limits are 60, 120."
    assert (rate.line.count("M"), [level.label for level in rate.levels]) == (3, ["limit 60", "limit 120"])


def test_a_hundred_lanes_have_no_more_points_than_can_be_seen() -> None:
    """A few for each."""
    rate = charts_of(run_of(1000, lanes=tuple(lane_of(str(n), 100) for n in range(100))))[0]

    assert len(re.findall(r"([0-9.]+) ([0-9.]+)", rate.line)) <= 700


def test_the_lanes_of_the_last_run_have_a_table() -> None:
    """With the rate of each beside its limit; there is none where one run did it all."""
    lanes = (lane_of("<attic>", 50), lane_of("b", 1))

    report = render_report(page(last_run=run_of(51, lanes=lanes)))

    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', report, re.DOTALL)
    assert [re.sub(r"<.*?>", " ", row).split() for row in rows] == [
        ["&lt;attic&gt;", "50", "50", "60", "of", "120", "0.1", "USD"],
        ["b", "1", "1", "0.1", "USD"],
    ]
    assert '<table class="lanes">' not in render_report(page())
