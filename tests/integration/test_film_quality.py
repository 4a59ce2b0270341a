"""A draft is there sooner, and says what it is; for the final film only what moves is encoded again."""

import re
from pathlib import Path

import pytest

from pipelines.film.identity import drafts_among
from pipelines.film.segments import cut_segments
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.presets import PieceKind
from tests.conftest import Storyreel, wait_until
from tests.support.film_samples import ask_ffmpeg
from tests.support.review import ReviewSession

BOARD = """
title: Harbor
output: {size: 128x96, fps: 12%s}
defaults: {aspect: 4:3, steps: 1, hold: 2s}
scenes:
  - id: pier
    shots:
      - {prompt: a harbor, motion: push_in}
      - {prompt: a lighthouse}
      - {prompt: the sea, transition: dissolve}
      - {prompt: gulls, motion: pan_left}
      - {prompt: a lamp}
"""
STILLS = re.sub(", (motion|transition): [a-z_]+", "", BOARD)
FILM = Path("outputs/film/film.mp4")
MOVING = 3


def written(folder: Path, text: str = BOARD, more: str = "") -> str:
    """Write a storyboard; return its path."""
    (folder / "film.yaml").write_text(text % more)
    return str(folder / "film.yaml")


def pieces() -> dict[str, int]:
    """Return when each piece that the film is made of was written, by its name."""
    return {path.name: path.stat().st_mtime_ns for path in Path("outputs/film/segments").glob("*.h264")}


def is_draft() -> bool:
    return bool(drafts_among([FILM]))


def test_a_draft_becomes_the_final_film(storyreel: Storyreel, tmp_path: Path) -> None:
    """Nothing is generated, what stands still is not encoded again, and the summary says what has become of it."""
    board = written(tmp_path)
    kinds = [
        segment.kind for segment in cut_segments(plan_frames(load_storyboard(Path(board)), model="sketch").timeline)
    ]
    assert len([kind for kind in kinds if kind is not PieceKind.STILL]) == MOVING

    drafted = storyreel("render", board, "--quality", "draft", "--json")
    draft = pieces()
    assert (is_draft(), drafted.json.get("quality"), drafted.json["generated"]) == (True, "draft", 5)
    assert "film.mp4, 10.0 s, a draft" in drafted.stderr
    assert f"render {board} --quality final: makes the final film" in drafted.stderr
    assert b" draft\n" in ask_ffmpeg("-i", str(FILM), "-f", "ffmetadata", "-")
    assert "storyreel render --quality final" in Path("outputs/film/report.html").read_text()

    finished = storyreel("render", board, "--json")
    final = pieces()
    assert (is_draft(), finished.json.get("quality"), finished.json["requests"]) == (False, None, 0)
    assert "film.mp4, 10.0 s, was a draft, is final now" in finished.stderr
    assert "--quality" not in finished.stderr
    assert "--quality" not in Path("outputs/film/report.html").read_text()
    # The same files where it is still, others where it moves, and none of the draft's are left.
    assert len(draft) == len(final) == len(kinds)
    assert len(draft.items() & final.items()) == len(kinds) - MOVING

    before = FILM.stat().st_mtime_ns
    again = storyreel("render", board, "--json")
    assert (FILM.stat().st_mtime_ns, pieces()) == (before, final)
    assert "film.mp4, 10.0 s\n" in again.stderr


def test_a_draft_has_the_final_pieces_that_are_there(storyreel: Storyreel, tmp_path: Path) -> None:
    """So what is final stays final, and of a changed film only the changed piece is a draft."""
    board = written(tmp_path)
    storyreel("render", board)
    before, final = FILM.stat().st_mtime_ns, pieces()

    left = storyreel("render", board, "--quality", "draft", "--json")
    assert (left.json.get("quality"), FILM.stat().st_mtime_ns, pieces()) == (None, before, final)

    Path(board).write_text(Path(board).read_text().replace("push_in", "pull_out"))
    changed = storyreel("render", board, "--quality", "draft", "--json")
    assert (changed.json.get("quality"), is_draft()) == ("draft", True)
    assert len(pieces().items() & final.items()) == len(final) - 1


def test_a_film_of_stills_is_never_a_draft(storyreel: Storyreel, tmp_path: Path) -> None:
    """It comes out the same, and is not made again."""
    board = written(tmp_path, STILLS)
    drafted = storyreel("render", board, "--quality", "draft", "--json")
    before = FILM.stat().st_mtime_ns
    storyreel("render", board)

    assert (drafted.json.get("quality"), is_draft(), FILM.stat().st_mtime_ns) == (None, False, before)


@pytest.mark.parametrize("codec", ["gif", "webp"])
def test_a_codec_without_drafts_has_none(storyreel: Storyreel, tmp_path: Path, codec: str) -> None:
    """However it moves."""
    film = FILM.with_suffix(f".{codec}")
    board = written(tmp_path, more=f", codec: {codec}")
    drafted = storyreel("render", board, "--quality", "draft", "--json")
    before = film.stat().st_mtime_ns
    storyreel("render", board)

    assert (drafted.json.get("quality"), drafts_among([film]), film.stat().st_mtime_ns) == (None, frozenset(), before)


def test_the_option_wins_over_the_storyboard(storyreel: Storyreel, tmp_path: Path) -> None:
    """And over the environment, which wins over the storyboard too."""
    board = written(tmp_path, more=", quality: draft")

    by_key = storyreel("render", board, "--json")
    by_option = storyreel("render", board, "--quality", "final", "--json")
    assert [ended.json.get("quality") for ended in (by_key, by_option)] == ["draft", None]

    written(tmp_path, BOARD.replace("push_in", "pull_out"), more=", quality: final")
    by_variable = storyreel("render", board, "--json", STORYREEL_QUALITY="draft")
    over_variable = storyreel("render", board, "--json", "--quality", "final", STORYREEL_QUALITY="draft")
    assert [ended.json.get("quality") for ended in (by_variable, over_variable)] == ["draft", None]


def test_a_reroll_makes_a_draft_where_it_is_told_to(storyreel: Storyreel, tmp_path: Path) -> None:
    """Of the frames that had no film yet; the command for the final film stands there too."""
    board = written(tmp_path)

    ended = storyreel("reroll", board, "pier", "--yes", "--quality", "draft", "--json")
    rendered = storyreel("render", board, "--quality", "draft", "--json")
    rerolled = storyreel("reroll", board, "0", "--yes", "--quality", "draft", "--json")

    assert [each.exit_code for each in (ended, rendered, rerolled)] == [0, 0, 0]
    assert rerolled.json.get("quality") == "draft"
    assert f"render {board} " in rerolled.stderr.partition("  final ")[2]


@pytest.mark.parametrize(
    ("word", "cure"),
    [("drafts", "; did you mean 'draft'?"), ("best", "; choose one of draft, final"), ("[draft]", "")],
)
def test_an_unknown_word_is_an_error_at_its_place(storyreel: Storyreel, tmp_path: Path, word: str, cure: str) -> None:
    """With the word that was meant."""
    board = written(tmp_path, more=f", quality: {word}")

    ended = storyreel("check", board)

    assert ended.exit_code == 2
    assert "film.yaml:3:42: output.quality: unknown value" in ended.stderr
    assert cure in ended.stderr


def test_the_option_knows_its_words(storyreel: Storyreel, tmp_path: Path) -> None:
    """Nothing is sent."""
    ended = storyreel("render", written(tmp_path), "--quality", "fine")

    assert (ended.exit_code, Path("outputs").exists()) == (2, False)
    assert "'fine'" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("quality", [None, "final"])
def test_a_review_makes_drafts_unless_told_otherwise(tmp_path: Path, quality: str | None) -> None:
    """Whatever the storyboard says: of what has changed; the page says so."""
    review = ReviewSession(tmp_path, quality=quality)
    review.path.write_text(BOARD % ", quality: final")
    review.render()
    film = review.folder / "pets.mp4"
    assert not drafts_among([film])

    with review.open():
        review.reroll(0)
        wait_until(lambda: review.take_numbers()[0] == [1, 2])
        before = film.stat().st_mtime_ns
        review.post("picks", {"key": review.keys[0], "take": 2})
        wait_until(lambda: film.stat().st_mtime_ns != before)
        page = review.get().text

    assert (film in drafts_among([film])) == (quality is None)
    assert ("storyreel render --quality final" in page) == (quality is None)
