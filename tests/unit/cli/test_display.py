"""The display of a run, live and in plain lines, and its last lines."""

import io
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.cli.display import (
    LiveDisplay,
    PlainDisplay,
    ProgressView,
    display_for,
    print_lines,
    progress_line,
    scenes_to_show,
    sparkline,
    summary_lines,
)
from pipelines.ledger.models import RunState
from pipelines.run.progress import Progress, SceneProgress
from pipelines.storyboard.plan import take_of
from pipelines.takes.models import Take
from tests.support.builders import group_member, take_spec
from tests.support.clocks import Seconds
from tests.support.results import run_result

PRICE = Decimal("0.000322")
# Takes that were generated in each.
LANES = {"a": 16, "b": 30, "c": 0}


def halfway() -> Progress:
    """Return the progress of a run in the middle of its work, on a clock that stands."""
    now = Seconds(0)
    progress = Progress(clock=now)
    progress.storyboard, progress.stage = "harbor", "generating frames"
    progress.frames, progress.reused, progress.to_generate, progress.generated, progress.failed = 100, 10, 90, 30, 1
    progress.budget_usd, progress.cost_usd, progress.rate_limit = Decimal("0.25"), Decimal("0.0196"), 720
    for number in range(31):
        now.now = number / 12
        progress.sent(again=number == 5)
    progress.time_left.takes.expected = 90
    for _ in range(31):
        now.now += 0.05
        progress.time_left.takes.count()
    progress.time_left.encoding.expected = 100
    return progress


def in_lanes(*names: str) -> Progress:
    """Return a run in the middle of its work, in a group that has a run in each of these lanes."""
    progress = halfway()
    progress.elsewhere = 20
    figures = {"requests": 31, "cost_usd": Decimal("0.0196"), "requests_per_minute": 700.4, "rate_limit": 720}
    progress.members = tuple(group_member(name, **figures) for name in names)
    return progress


def with_scenes(count: int, *, done: int = 0) -> Progress:
    """Return a run of so many scenes of ten frames, the first ones done and the next one half."""
    progress = halfway()
    progress.expect(f"scene-{number + 1}" for number in range(count) for _ in range(10))
    for number in range(done):
        progress.scenes[f"scene-{number + 1}"].done = 10
    if done < count:
        progress.scenes[f"scene-{done + 1}"].done = 5
    return progress


def drawn(progress: Progress, *, width: int = 100, height: int = 30) -> str:
    """Return what the live display shows, as plain text."""
    text = io.StringIO()
    Console(file=text, width=width, height=height, color_system=None).print(ProgressView(progress))
    return text.getvalue()


def test_names_do_not_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """In the live display, in plain lines, and in the last ones."""
    progress = with_scenes(2)
    progress.storyboard, progress.stage = "\x1b[31mharbor", "reading \x9b2J.wav"
    progress.scenes["\x1b]0;x\x07"] = SceneProgress("\x1b]0;x\x07", 10)
    console = Console(file=sys.stdout, width=200)

    with PlainDisplay(progress, console):
        pass
    print_lines(console, "\n".join(summary_lines(run_result(video=Path("\x1b.mp4"), video_seconds=1.0))))

    shown = drawn(progress) + capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert shown.count(r"\x1b") == 4


def words(text: str) -> list[str]:
    """Return the lines without the spaces that set them in columns, and without bars."""
    return [" ".join(line.replace("━", " ").replace("╸", " ").replace("╺", " ").split()) for line in text.splitlines()]


def test_a_line_says_how_far_how_fast_and_at_what_cost() -> None:
    """Frames done, cost against the budget, requests a minute against the limit, and the time."""
    line = progress_line(halfway())

    assert str(line) == (
        "harbor: generating frames, 40 of 100 frames (10 reused, 1 failed, 1 sent again), 31 requests, "
        "0.0196 of 0.25 USD, 444 of 720 a minute, 4 s elapsed, 5 s left"
    )
    assert line.news == str(line).partition(", 444 of")[0]


def test_a_line_counts_one_of_each_in_the_singular() -> None:
    """One frame, one request, one segment."""
    progress = Progress(stage="assembling", storyboard="harbor", frames=1, to_generate=1, generated=1, rate_limit=720)
    progress.requests = progress.segments = progress.segments_done = 1

    assert progress_line(progress).news == (
        "harbor: assembling, 1 of 1 frame, 1 request, 0 USD, 1 of 1 segment encoded"
    )


def test_the_live_display_says_it_in_lines() -> None:
    """A bar over all the work, the time left and the time gone, the rate of the last minute as columns."""
    assert words(drawn(halfway())) == [
        "harbor generating frames",
        "21%",
        "time left 5 s",
        "elapsed 4 s",
        "frames 40 of 100 frames (10 reused, 1 failed, 1 sent again)",
        "cost 0.0196 of 0.25 USD",
        "requests 31 sent, 31 in flight",
        "rate █▃ 444 of 720 a minute",
    ]


def test_beside_other_runs_the_lanes_and_their_sum_are_shown() -> None:
    """The budget is that of all, the cost of this one stands beside it; what others generated is done too."""
    progress = in_lanes("a", "b")
    line = progress_line(progress)

    assert words(drawn(progress))[4:] == [
        "frames 40 of 100 frames (10 reused, 20 by other runs, 1 failed, 1 sent again)",
        "cost 0.0196 USD here, 0.0392 of 0.25 USD in all",
        "requests 31 sent, 31 in flight",
        "rate █▃ 444 of 720 a minute",
        "lanes a 700, b 700: 1401 of 1440 a minute in all",
    ]
    assert str(line) == (
        "harbor: generating frames, 40 of 100 frames (10 reused, 20 by other runs, 1 failed, 1 sent again), "
        "31 requests, 0.0196 USD here, 0.0392 of 0.25 USD in all, 444 of 720 a minute, "
        "lanes a 700, b 700: 1401 of 1440 a minute in all, 4 s elapsed, 5 s left"
    )


def test_what_ctrl_c_does_to_the_others_is_told() -> None:
    """It stops them all."""
    progress = in_lanes("a", "b", "c")
    progress.grace_period_s = 25

    with_answers = drawn(progress).splitlines()[-1]
    progress.in_flight = 0

    assert with_answers == "Ctrl-C: all 3 runs send nothing more, keeps what is in flight (up to 25 s)"
    assert drawn(progress).splitlines()[-1] == "Ctrl-C: ends all 3 runs, keeps what was generated"


def test_once_all_is_generated_the_lanes_are_no_more_shown() -> None:
    """Their rates would only fall."""
    progress = in_lanes("a", "b")
    progress.time_left.takes.expected = 31

    assert "lanes" not in drawn(progress) + str(progress_line(progress))


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_hundred_lanes_keep_to_the_terminal(width: int) -> None:
    """Six are named, and how many more there are."""
    shown = drawn(in_lanes(*(f"machine-{number:03}" for number in range(100))), width=width)

    assert max(map(len, shown.splitlines())) <= width
    assert " ".join(shown.split()).endswith(
        "machine-004 700, machine-005 700, and 94 more: 70040 of 72000 a minute in all"
    )


def test_before_anything_is_measured_the_time_left_is_being_estimated() -> None:
    """Never 0; and nothing is said of it once no work is left."""
    progress = Progress(storyboard="harbor", frames=4)
    progress.time_left.encoding.expected = 10
    before = words(drawn(progress))
    progress.time_left.over = True

    assert before[2] == "time left estimating"
    assert "time left" not in drawn(progress)


def test_a_person_is_told_what_ctrl_c_does() -> None:
    """To a run with answers to come, to one without, and to none that it does not stop."""
    progress = halfway()
    unsaid = drawn(progress)
    progress.grace_period_s = 25
    with_answers = drawn(progress).splitlines()[-1]
    progress.in_flight = 0

    assert "Ctrl-C" not in unsaid
    assert with_answers == "Ctrl-C: sends nothing more, keeps what is in flight (up to 25 s)"
    assert drawn(progress).splitlines()[-1] == "Ctrl-C: ends the run, keeps what was generated"


def test_each_scene_has_a_line_with_its_own_bar() -> None:
    """How many of how many; those that failed are not among them."""
    progress = with_scenes(3, done=1)
    progress.scenes["scene-3"].failed = progress.scenes["scene-3"].done = 2
    lines = drawn(progress, width=60).splitlines()

    assert words("\n".join(lines[-4:])) == ["", "scene-1 10 of 10", "scene-2 5 of 10", "scene-3 0 of 10, 2 failed"]
    assert lines[-2].startswith(f"scene-2  {'━' * 12:<24}  5 of 10")


def test_a_storyboard_of_one_scene_needs_no_line_for_it() -> None:
    """Its bar is the whole one."""
    assert "scene-1" not in drawn(with_scenes(1))


def test_of_many_scenes_those_in_work_and_the_next_are_shown() -> None:
    """Eight at most, and how many more there are."""
    shown = words(drawn(with_scenes(20, done=6)))

    assert shown[-9:] == ["scene-7 5 of 10", *(f"scene-{n} 0 of 10" for n in range(8, 15)), "and 12 more"]


@pytest.mark.parametrize(
    ("done", "lines", "shown"),
    [
        (0, 5, ["1", "2", "3", "4", "5"]),
        (0, 4, ["1", "2", "3"]),
        (2, 4, ["3", "4", "5"]),
        (4, 4, ["3", "4", "5"]),
        (5, 3, ["4", "5"]),
        (0, 1, []),
        (0, 0, []),
        (0, -3, []),
    ],
)
def test_the_scenes_that_fit_are_those_that_matter(done: int, lines: int, shown: list[str]) -> None:
    """In the storyboard's order; lines that the waiting ones leave go to those just done."""
    scenes = [SceneProgress(str(number + 1), 1, done=number < done) for number in range(5)]

    assert [scene.name for scene in scenes_to_show(scenes, lines)] == shown


def test_a_scene_that_is_stuck_stays_in_sight() -> None:
    """However many have been done since."""
    scenes = [SceneProgress(str(number + 1), 1, done=number not in (1, 8)) for number in range(9)]

    assert [scene.name for scene in scenes_to_show(scenes, 4)] == ["2", "8", "9"]


@pytest.mark.parametrize("height", [1, 3, 8, 9, 10, 11, 12, 16, 24, 50])
@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_the_display_keeps_to_the_terminal(width: int, height: int) -> None:
    """No scene is drawn for which there is no line, none is wider than the terminal."""
    without, whole = (
        drawn(progress, width=width, height=height).splitlines() for progress in (halfway(), with_scenes(30, done=3))
    )

    assert len(whole) < max(height, len(without) + 1)
    assert max(map(len, whole)) <= width


def test_a_narrow_terminal_has_shorter_bars() -> None:
    """Names are cut before figures are; the columns of the rate give way to its figures."""
    progress = with_scenes(2)
    progress.scenes["scene-1"].name = "the long way down to the harbor"
    narrow = drawn(progress, width=40).splitlines()

    assert narrow[-2:] == [
        "the long way…  ━━━━━━━━          5 of 10",
        "scene-2                          0 of 10",
    ]


def test_a_sparkline_is_scaled_to_the_limit() -> None:
    """Nothing is a gap, a little is the lowest block, the limit and more the highest."""
    rates = [0, 1, 360, 720, 1000]

    assert sparkline(rates, top=720) == " ▁▅██"


def test_a_console_without_unicode_is_drawn_in_ascii() -> None:
    """Bars, names and columns."""
    paper = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    progress = with_scenes(2)
    progress.scenes["scene-1"].name = "the long way down to the harbor"
    Console(file=paper, width=40, color_system=None).print(ProgressView(progress))
    paper.seek(0)
    text = paper.read()

    assert text.isascii()
    assert "rate       #-  444 of 720 a minute" in text


def test_before_there_is_anything_to_say_only_the_stage_is_said() -> None:
    """Prefect takes a moment to start."""
    now = Seconds(0)
    starting = Progress(stage="starting Prefect", clock=now)
    now.now = 12.7

    assert (str(progress_line(starting)), drawn(starting).strip()) == (
        "starting Prefect",
        "storyreel  starting Prefect, 12 s so far",
    )


def test_long_waits_are_given_in_minutes() -> None:
    """Ten thousand frames at twelve a second."""
    progress = halfway()
    progress.time_left.takes.expected = 10_000

    assert "time left  8 min 21 s" in drawn(progress)


def test_the_display_suits_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live on a terminal, lines elsewhere."""
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = display_for(Progress(), Console(force_terminal=True, file=io.StringIO()))
    pipe = display_for(Progress(), Console(file=io.StringIO()))

    assert (type(terminal), type(pipe)) == (LiveDisplay, PlainDisplay)


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_be_redrawn_gets_lines(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pipe does: what moves the cursor elsewhere would be printed there as it is."""
    monkeypatch.setenv("TERM", term)

    display = display_for(Progress(), Console(force_terminal=True, file=io.StringIO()))

    assert type(display) is PlainDisplay


def test_a_quiet_console_has_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """And stderr stays free for what is not quiet: errors."""
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)

    with display_for(Progress(), Console(stderr=True, force_terminal=True, quiet=True)):
        print("an error", file=sys.stderr)  # noqa: T201 - as anything else in the process would

    assert stderr.getvalue() == "an error\n"


def test_lines_are_printed_as_the_stage_changes() -> None:
    """Each stage once, however short it is."""
    progress, paper = Progress(stage="one"), io.StringIO()
    with PlainDisplay(progress, Console(file=paper)):
        progress.enter("two")
        progress.enter("three")

    assert paper.getvalue().split() == ["one", "two", "three"]


def test_a_long_stage_is_printed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its figures as they are then."""
    monkeypatch.setattr("pipelines.cli.display._LINE_EVERY_S", 0.001)
    progress, again = Progress(stage="one"), threading.Event()

    class Paper(io.StringIO):
        def write(self, text: str) -> int:
            if "two" in text:
                again.set()
            return super().write(text)

    with PlainDisplay(progress, Console(file=Paper())):
        progress.stage = "two"
        assert again.wait(10)


def test_a_line_that_tells_nothing_new_is_not_printed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a stage takes."""
    monkeypatch.setattr("pipelines.cli.display._LINE_EVERY_S", 0.001)
    progress, paper = Progress(stage="one"), io.StringIO()

    with PlainDisplay(progress, Console(file=paper)):
        progress.enter("one")
        progress.enter("two")

    assert paper.getvalue() == "one\ntwo\n"


def test_time_that_goes_by_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is printed where something has happened; what it says of the time is not enough."""
    monkeypatch.setattr("pipelines.cli.display._LINE_EVERY_S", 0.001)
    clock, turned = Seconds(), threading.Event()

    def turn() -> float:
        # It is asked for each line, printed or not.
        clock.now += 1
        if clock.now > 1100:
            turned.set()
        return clock.now

    progress, paper = Progress(stage="one", storyboard="harbor", frames=2, clock=turn), io.StringIO()
    with PlainDisplay(progress, Console(file=paper, width=200)):
        assert turned.wait(10)

    assert len(paper.getvalue().splitlines()) == 1


def test_a_run_that_is_stopped_is_drawn_as_one() -> None:
    """What it waits for stands in the place of its step, and no time left; a plain line has that alone."""
    progress = halfway()
    progress.stop(grace_period_s=25)

    assert words(drawn(progress))[0] == (
        "harbor stopping: waiting for 31 answers, at most 25 s; Ctrl-C again gives them up"
    )
    assert "time left" not in drawn(progress)
    assert str(progress_line(progress)) == f"harbor: {progress.headline}"


def test_a_live_display_leaves_nothing_behind() -> None:
    """What it drew is erased, as many lines as there were; the closing lines stand alone."""
    paper = io.StringIO()
    with LiveDisplay(with_scenes(20), Console(file=paper, force_terminal=True, width=100, height=10)):
        pass
    drawn_text, erased = paper.getvalue().split("harbor")[-1].split("\x1b[?25h")

    assert drawn_text.count("\n") < 10
    assert erased.count("\x1b[1A\x1b[2K") == drawn_text.count("\n")


def test_the_closing_lines_name_everything_that_was_made() -> None:
    """State, frames, cost, film, ledger."""
    summary = run_result(
        state=RunState.COMPLETED,
        frames=3,
        reused=1,
        generated=2,
        failed=0,
        requests=2,
        cost_usd=Decimal("0.001304"),
        cost_thb=Decimal("0.04564"),
        simulated=True,
        video=Path("outputs/harbor/harbor.mp4"),
        video_seconds=6.0,
    )

    assert summary_lines(summary) == [
        "harbor: completed after 2.2 s",
        "  frames  3: 2 generated, 1 reused, 0 failed",
        "  cost    0.001304 USD, 0.04564 THB for 2 requests, simulated: sketches are free",
        "  film    outputs/harbor/harbor.mp4, 6.0 s",
        "  ledger  outputs/harbor/ledger.csv",
    ]


def test_the_closing_lines_tell_drafts_from_final_films() -> None:
    """A draft, a film that is one no more, and one that never was."""
    films = [Path(f"harbor{name}.mp4") for name in ("", "-reel", "-square")]
    made = run_result(video=films[0], video_seconds=6.0, more_videos=tuple(films[1:]))
    summary = replace(made, drafts=frozenset(films[:1]), finished=frozenset(films[1:2]))

    assert summary_lines(summary)[3:6] == [
        "  film    harbor.mp4, 6.0 s, a draft",
        "          harbor-reel.mp4, was a draft, is final now",
        "          harbor-square.mp4",
    ]


def test_the_closing_lines_tell_what_each_lane_has_done() -> None:
    """The cost is this run's own; that of all stands below."""
    members = [group_member(lane, kept=count, requests=count, cost_usd=count * PRICE) for lane, count in LANES.items()]
    summary = run_result(run_id="run-a", frames=48, generated=16, reused=32, failed=0, elsewhere=30, members=members)

    assert summary_lines(summary)[1:4] == [
        "  frames  48: 16 generated here, 30 by another run (lane b), 2 reused, 0 failed",
        "  cost    0.000652 USD, 0.02282 THB for 3 requests",
        "  lanes   a 16 for 0.005152 USD, b 30 for 0.00966 USD, c 0 for 0 USD; 0.014812 USD for 46 requests in all",
    ]


def test_a_new_take_is_named_by_its_frame() -> None:
    """And by its number, once."""
    frame = take_spec().frame
    spec = take_of(frame, 2, model="sketch")
    take = Take(spec, Path("outputs/harbor/takes/a.png"), "a harbor", cost_usd=None)

    [line] = [line for line in summary_lines(run_result(new_takes=(take,))) if line.startswith("  take")]

    assert line == f"  take    2 of {frame.label}: outputs/harbor/takes/a.png"
