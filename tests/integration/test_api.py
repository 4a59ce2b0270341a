"""The public API from the storyboard to the film: embedded endpoint, real ledger, real ffmpeg; and its example."""

import asyncio
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pipelines import api
from tests.conftest import clean_environment, serving

REPOSITORY = Path(__file__).parents[2]
IMAGE_USD = Decimal("0.000322")
INTERRUPTED = "interrupted: what was paid for is kept; run again to complete"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, with no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in api.Settings.model_fields:
        monkeypatch.delenv(f"STORYREEL_{name.upper()}", raising=False)


@pytest.fixture
def harbor(board: Callable[..., Path]) -> api.Storyboard:
    """A storyboard of three frames in one scene, nothing generated."""
    return api.load_storyboard(board("harbor.yaml"))


def settings(**values: Any) -> api.Settings:
    """Return settings whose rate limit is no wait for a test."""
    return api.Settings(**{"rate_limit": 60_000, **values})


def test_a_film_is_rendered_once(harbor: api.Storyboard, tmp_path: Path) -> None:
    """A second render generates nothing, and costs nothing."""
    observer = api.RunObserver()

    first = api.render(harbor, settings(), observer=observer)
    second = api.render(harbor, settings())

    assert (first.state, first.generated, first.cost_usd) == ("Completed", 3, 3 * IMAGE_USD)
    assert first.video == Path("outputs/harbor/harbor.mp4")
    assert (tmp_path / first.video).is_file()
    assert (observer.result, observer.progress.generated) == (first, 3)
    assert (second.generated, second.reused, second.requests) == (0, 3, 0)


def speaking(folder: Path, voice: str = "hibari/heart") -> api.Storyboard:
    """Return a storyboard whose first frame is held for as long as its narration."""
    shots = "[{prompt: a harbor, narration: Nobody is up., hold: auto}, {prompt: a gull, hold: 1s}]"
    head = f"output: {{fps: 12, size: 64x36}}\nnarration: '{voice}'\ndefaults: {{steps: 1}}\n"
    path = folder / "speaking.yaml"
    path.write_text(f"{head}scenes: [{{shots: {shots}}}]\n")
    return api.load_storyboard(path)


def test_what_a_storyboard_says_is_planned_and_rendered(tmp_path: Path) -> None:
    """Holds go by the voice, which has spoken once; so do those of a re-roll and of a pick."""
    board = speaking(tmp_path)

    plan = api.plan(board, settings())
    results = [
        api.render(board, settings()),
        api.reroll(board, 0, settings=settings()),
        api.pick(board, 0, 2, settings()),
    ]

    [narration] = plan.narrations
    assert [word.text for word in narration.speech.words] == ["Nobody", "is", "up."]
    assert (narration.voice, narration.missing_s) == ("hibari/heart", Fraction(0))
    assert plan.timeline.holds[0].length >= (narration.speech.length_s + board.narrator.gap_s) * 12
    assert [result.video_seconds for result in results] == [float(plan.timeline.duration_s)] * 3
    assert list((tmp_path / "outputs/speaking/voice").glob("*.wav")) == [tmp_path / narration.speech.file]


@pytest.mark.parametrize(
    "call",
    [
        api.plan,
        api.quote,
        api.render,
        lambda board, of_run: api.reroll(board, 0, settings=of_run),
        lambda board, of_run: api.pick(board, 0, 1, of_run),
    ],
    ids=["plan", "quote", "render", "reroll", "pick"],
)
def test_a_voice_that_cannot_speak_is_a_mistake_in_the_storyboard(
    tmp_path: Path, call: Callable[[api.Storyboard, api.Settings], object]
) -> None:
    """With its place; nothing is generated."""
    board = speaking(tmp_path, "command: false")

    with pytest.raises(api.StoryboardError) as raised:
        call(board, settings())

    [problem] = raised.value.problems
    assert problem.path == str(board.path)
    assert problem.line in (2, 4)
    assert not (tmp_path / "outputs/speaking/takes").exists()


def test_a_quote_counts_what_is_there(harbor: api.Storyboard) -> None:
    """What is there costs nothing; more takes are always new."""
    before = api.quote(harbor, settings())
    api.render(harbor, settings())
    after, more = api.quote(harbor, settings()), api.quote(harbor, settings(), frames="0-1", takes=2)

    assert (before.generate, before.reuse, before.price.usd) == (3, 0, 3 * IMAGE_USD)
    assert (after.generate, after.reuse, after.price.usd) == (0, 3, Decimal(0))
    assert (more.generate, more.reuse, more.price.usd) == (4, 0, 4 * IMAGE_USD)


def test_takes_are_rerolled_and_picked(harbor: api.Storyboard, tmp_path: Path) -> None:
    """The pick's take becomes its frame, and the film follows."""
    api.render(harbor, settings())
    frame = tmp_path / "outputs/harbor/frames/frame_0001.png"
    shown = frame.read_bytes()

    rerolled = api.reroll(harbor, 1, takes=2, prompt="a stormy harbor", settings=settings())
    still_shown = frame.read_bytes()
    picked = api.pick(harbor, "frame_0001", 3, settings())

    assert [(take.frame.number, take.spec.number, take.prompt) for take in rerolled.new_takes] == [
        (1, 2, "a stormy harbor"),
        (1, 3, "a stormy harbor"),
    ]
    assert still_shown == shown
    assert frame.read_bytes() != shown
    assert (picked.requests, picked.video) == (0, Path("outputs/harbor/harbor.mp4"))


def test_a_pick_before_the_film_is_whole_makes_none(harbor: api.Storyboard) -> None:
    """The other frames are not generated for it."""
    api.reroll(harbor, 0, settings=settings())

    picked = api.pick(harbor, 0, 1, settings())

    assert (picked.state, picked.generated, picked.video) == ("Completed", 0, None)


def test_without_settings_those_of_the_environment_hold(
    harbor: api.Storyboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the command."""
    monkeypatch.setenv("STORYREEL_OUTPUT", "films")
    monkeypatch.setenv("STORYREEL_RATE_LIMIT", "60000")

    result = api.render(harbor)

    assert result.video == Path("films/harbor/harbor.mp4")
    assert (tmp_path / "films/storyreel.db").is_file()
    assert api.quote(harbor).reuse == 3


# Threads and event loops


def test_a_film_is_rendered_in_another_thread(harbor: api.Storyboard) -> None:
    """Signals, which only the main thread can handle, are left alone."""
    results: list[api.RunResult] = []
    before = signal.getsignal(signal.SIGINT)

    thread = threading.Thread(target=lambda: results.append(api.render(harbor, settings())))
    thread.start()
    thread.join(60)

    assert [result.state for result in results] == ["Completed"]
    assert signal.getsignal(signal.SIGINT) is before


async def test_inside_an_event_loop_a_thread_is_the_cure(harbor: api.Storyboard) -> None:
    """The one that the error names."""
    with pytest.raises(api.UsageError, match=r"await asyncio\.to_thread\(api\.render, \.\.\.\)"):
        api.render(harbor, settings())

    result = await asyncio.to_thread(api.render, harbor, settings())

    assert result.state == "Completed"


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_stops_a_run(harbor: api.Storyboard, signals: int) -> None:
    """The first awaits what is in flight, the second does not; both end as the command's, and keep what is there."""
    observer = api.RunObserver()

    def press() -> None:
        if observer.progress.stage == "generating frames":
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)

    observer.progress.listen(press)
    with pytest.raises(api.InterruptedRunError) as caught:
        api.render(harbor, settings(), observer=observer)

    assert str(caught.value) == INTERRUPTED
    assert observer.result is not None
    assert observer.result.state == "Cancelled"
    assert api.render(harbor, settings()).state == "Completed"


# Errors


def test_a_budget_that_is_too_small_refuses_the_run(harbor: api.Storyboard) -> None:
    """Before anything is sent; the result says so too."""
    observer = api.RunObserver()

    with pytest.raises(api.BudgetError, match="nothing was sent"):
        api.render(harbor, settings(budget_usd="0.0001"), observer=observer)

    assert observer.result is not None
    assert (observer.result.state, observer.result.requests) == ("OverBudget", 0)


def test_frames_that_fail_are_missing(harbor: api.Storyboard) -> None:
    """What was generated is kept: a render at a sound endpoint completes it."""
    observer = api.RunObserver()
    with (
        serving("refused=1") as url,
        pytest.raises(api.FramesMissingError, match="3 of 3 frames are missing"),
    ):
        api.render(harbor, settings(endpoint=url, model="sketch", max_refusals=1), observer=observer)

    assert observer.result is not None
    assert (observer.result.state, observer.result.failed, observer.result.video) == ("Incomplete", 3, None)
    assert api.render(harbor, settings()).generated == 3


def test_an_endpoint_that_is_away_is_named(harbor: api.Storyboard) -> None:
    """With the error's class for programs, and the address for people."""
    with serving() as url:
        pass

    with pytest.raises(api.EndpointUnreachableError, match=f"cannot connect to {url}"):
        api.render(harbor, settings(endpoint=url, max_connects=1))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda board: api.reroll(board, "7", settings=settings()), "7: there is no such frame; "),
        (lambda board: api.reroll(board, "0", takes=0, settings=settings()), "--takes 0: must be 1 to 99"),
        (lambda board: api.reroll(board, "0", prompt=" ", settings=settings()), "the prompt "),
        (lambda board: api.quote(board, frames="sea"), "sea: is neither a frame's number"),
        (lambda board: api.pick(board, "0-1", 1, settings()), "0-1: names 2 frames"),
        (
            lambda board: api.pick(board, 0, 1, settings()),
            "frame_0000 main/shot-1: there is no take 1; it has none yet",
        ),
    ],
)
def test_what_is_not_there_is_a_wrong_usage(
    harbor: api.Storyboard, tmp_path: Path, call: Callable[[api.Storyboard], object], complaint: str
) -> None:
    """In the command's words; nothing is written."""
    with pytest.raises(api.UsageError) as caught:
        call(harbor)

    assert str(caught.value).startswith(complaint)
    assert not (tmp_path / "outputs").exists()


# The example, and the README's


def test_the_example_runs(tmp_path: Path) -> None:
    """It says what it did, in this order, and leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples/library.py")],
        env=clean_environment(PYTHONPATH=str(REPOSITORY), TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )

    *lines, film = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines == [
        "frame 0: a harbor at dawn, fishing boats",
        "frame 1: a harbor at noon, gulls above the pier",
        "frame 2: a harbor at dusk, lights on the water",
        "3 to generate, 0 to reuse: 0.000966 USD",
        "Completed: 3 generated, 1.5 s of film",
        "frame 2 shows take 3",
    ]
    assert film.startswith("the film is ")
    assert film.endswith("harbor.mp4")
    assert list(tmp_path.iterdir()) == []


def test_the_lines_of_the_readme_run(
    board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those under "From Python", where there is a my-film.yaml."""
    [_, code] = (REPOSITORY / "README.md").read_text().split("```python\n")
    monkeypatch.setenv("STORYREEL_RATE_LIMIT", "60000")
    script = board("my-film.yaml").with_name("script.py")
    script.write_text(code.partition("```")[0])

    runpy.run_path(str(script))

    assert capsys.readouterr().out == "0.000966\noutputs/my-film/my-film.mp4\n"
