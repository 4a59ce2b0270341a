"""The animatic is the whole film, smaller, with cards for missing frames; it sends nothing and writes no ledger."""

import asyncio
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from pipelines.common.errors import StoryboardError
from pipelines.common.geometry import Size
from pipelines.common.settings import load_settings
from pipelines.film.identity import drafts_among
from pipelines.run.animatic import Animatic, make_animatic, scaled
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from tests.support.film_samples import COLOURS, colour_of, pictures, timeline_of

BOARD = """
output: {size: 128x96, fps: 12, codec: vp9}
defaults: {aspect: 4:3, hold: 1s, transition: {type: dissolve, duration: 500ms}, motion: push_in}
prompts: [a harbor, a lighthouse, the sea]
"""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STORYREEL_ENDPOINT", raising=False)
    (tmp_path / "film.yaml").write_text(BOARD)
    return tmp_path / "film.yaml"


def animate(board: Path, scale: str = "0.5") -> Animatic:
    return asyncio.run(make_animatic(load_storyboard(board), load_settings(), scale=Decimal(scale)))


def test_all_frames_may_be_cards(board: Path) -> None:
    """Nothing is generated; the film has its true timing at half its size."""
    made = animate(board)

    assert (made.frames, made.cards) == (3, 3)
    assert made.film.path == Path("outputs/film/film-animatic.mp4")
    assert (made.film.video_frames, made.film.size, made.film.fps) == (36, Size(64, 48), Fraction(12))
    assert not Path("outputs/storyreel.db").exists()
    assert drafts_among([made.film.path]) == {made.film.path}


def test_a_frame_that_has_a_take_is_shown_as_it_is(board: Path) -> None:
    """Cards stand only where no take is."""
    plan = plan_frames(load_storyboard(board), model="sketch")
    take = Path("outputs/film/takes") / f"{plan.frames[1].request_key}.png"
    take.parent.mkdir(parents=True)
    Image.new("RGB", (1024, 768), COLOURS["purple"]).save(take)

    made = animate(board)

    assert (made.frames, made.cards) == (3, 2)
    assert colour_of(pictures(made.film.path, made.film.size)[18]) == "purple"


def test_a_second_one_draws_and_encodes_nothing_anew(board: Path) -> None:
    """The film is left as it is."""
    first = animate(board)
    before = first.film.path.stat().st_mtime_ns

    assert animate(board) == first
    assert first.film.path.stat().st_mtime_ns == before


def test_another_scale_is_another_film(board: Path) -> None:
    """In the place of the first, whose pieces go with it."""
    segments = Path("outputs/film/animatic/segments")
    animate(board)
    before = set(segments.iterdir())

    assert animate(board, "1").film.size == Size(128, 96)
    assert len(before) == len(list(segments.iterdir())) == 5
    assert before.isdisjoint(segments.iterdir())


@pytest.mark.parametrize(("scale", "size"), [("0.5", "50x20"), ("0.33", "32x12"), ("0.001", "2x2"), ("1", "100x40")])
def test_sides_stay_even(scale: str, size: str) -> None:
    """And never vanish."""
    assert str(scaled(timeline_of([1], size=Size(100, 40)), Decimal(scale)).output.size) == size


def test_a_sound_that_cannot_be_read_is_reported_with_its_place(board: Path) -> None:
    """As when the film is rendered."""
    (board.parent / "noise.mp3").write_text("no sound")
    board.write_text(f"audio: {{track: noise.mp3}}\n{BOARD}")

    with pytest.raises(StoryboardError, match=r"film\.yaml:1:16: audio\.track: .*noise\.mp3: is no sound"):
        animate(board)
