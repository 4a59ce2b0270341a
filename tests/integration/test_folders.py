"""Folders and ids by the command: a folder shows one storyboard, names of any script make a film of their own."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from pipelines import api
from tests.conftest import Board, Storyreel
from tests.support.accounts import rows
from tests.support.review import BOARD, ReviewSession

# Every command that looks at a storyboard's takes or account, or makes some.
LOOKING = [
    ("render",),
    ("plan",),
    ("reroll", "0", "--yes"),
    ("reroll", "0", "--dry-run"),
    ("pick", "0", "1"),
    ("takes",),
    ("animatic",),
    ("ledger", "--verify"),
    ("ledger", "--settle", "1", "--cost", "0"),
    ("status",),
    ("review", "--no-open"),
]


@pytest.fixture
def episodes(board: Board, tmp_path: Path) -> tuple[Path, Path]:
    """Two storyboards of one name, in folders of their own."""
    for episode in ("ep1", "ep2"):
        (tmp_path / episode).mkdir()
    return board("ep1/story.yaml", frames=1), board("ep2/story.yaml", frames=2)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file of a folder, with its content and when it was written."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_a_second_storyboard_of_the_same_id_is_refused(
    storyreel: Storyreel, episodes: tuple[Path, Path], tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Before anything is sent; the first one's folder is as it was, and both are named."""
    first, second = episodes
    storyreel("render", str(first))
    before = contents(tmp_path / "outputs/story")
    verb, *rest = command

    ended = storyreel(verb, str(second), *rest)

    assert ended.exit_code == 2
    assert ended.stderr == (
        f"{second}: has the same id as {first}, 'story', and {tmp_path}/outputs/story belongs to that storyboard: "
        "nothing was sent or changed; write an `id:` of its own into one of the two, or choose another --output\n"
    )
    assert contents(tmp_path / "outputs/story") == before


def test_of_several_storyboards_none_is_begun_if_one_is_refused(
    storyreel: Storyreel, episodes: tuple[Path, Path], board: Board, tmp_path: Path
) -> None:
    """The first of them may take hours."""
    storyreel("render", str(episodes[0]))

    ended = storyreel("render", str(board("other.yaml")), str(episodes[1]))

    assert (ended.exit_code, (tmp_path / "outputs/other").exists()) == (2, False)


def test_each_cure_works(storyreel: Storyreel, episodes: tuple[Path, Path]) -> None:
    """Another output, or an id of its own; a frame that the first one has made is not made again."""
    first, second = episodes
    storyreel("render", str(first))

    elsewhere = storyreel("render", str(second), "--output", "other", "--json")
    second.write_text(f"id: story-2\n{second.read_text()}")
    renamed = storyreel("render", str(second), "--json")

    assert [(ended.exit_code, ended.json["generated"]) for ended in (elsewhere, renamed)] == [(0, 2), (0, 1)]
    assert storyreel("status", str(first), "--json").json["runs"][0]["frames"] == 1


def test_a_storyboard_that_was_moved_keeps_its_takes(storyreel: Storyreel, episodes: tuple[Path, Path]) -> None:
    """Its folder passes to it at its new place."""
    first, second = episodes
    storyreel("render", str(first))
    first.rename(second)

    ended = storyreel("render", str(second), "--json")

    assert (ended.exit_code, ended.json["generated"], ended.json["reused"]) == (0, 0, 1)


def test_an_output_folder_of_an_earlier_storyreel_belongs_to_the_first_that_renders(
    storyreel: Storyreel, episodes: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its ledger knows of no owner."""
    first, second = episodes
    storyreel("render", str(first))
    (tmp_path / "outputs/storyreel.db").unlink()

    ended = [storyreel("render", str(path)) for path in (second, first)]

    assert [each.exit_code for each in ended] == [0, 2]


def test_programs_are_refused_alike(storyreel: Storyreel, episodes: tuple[Path, Path]) -> None:
    """Whatever they ask for."""
    storyreel("render", str(episodes[0]))
    board, settings = api.load_storyboard(episodes[1]), api.Settings()
    calls: list[Callable[[], object]] = [
        lambda: api.quote(board, settings),
        lambda: api.render(board, settings),
        lambda: api.reroll(board, 0, settings=settings),
        lambda: api.pick(board, 0, 1, settings),
    ]

    for call in calls:
        with pytest.raises(api.UsageError, match="belongs to that storyboard"):
            call()


def test_a_storyboard_under_review_does_not_become_another(tmp_path: Path, plain_sketches: None) -> None:
    """Edited so that it has the id of another one, it is shown as it was before."""
    review = ReviewSession(tmp_path)
    review.render()
    (tmp_path / "other").mkdir()
    other = ReviewSession(tmp_path / "other")
    other.edit(f"id: birds\n{BOARD}")
    other.settings = review.settings
    other.render()

    with review.open():
        review.get()
        with review.listening() as page:
            review.edit(f"id: birds\n{BOARD}")
            message = page.wait_for_event("failure")["message"]

    assert f"has the same id as {tmp_path}/other/pets.yaml, 'birds'" in message


@pytest.mark.parametrize("name", ["storyreel.db.yaml", "StoryReel.db-wal.yaml", "nul.yaml"])
def test_no_storyboard_takes_the_place_of_the_ledger(
    storyreel: Storyreel, board: Board, tmp_path: Path, name: str
) -> None:
    """Every command says so, with the cure; the others in that output are as they were."""
    storyreel("render", str(board()))
    path = str(board(name))

    ended = [storyreel(verb, path) for verb in ("check", "plan", "render", "animatic", "status")]

    assert {each.exit_code for each in ended} == {2}
    assert {each.stderr for each in ended} == {ended[0].stderr}
    assert re.match(
        rf"{path}:1:1: id: '{Path(name).stem}' is the name of .*; write another `id:` into", ended[0].stderr
    )
    assert storyreel("plan", "film.yaml", "--json").json["reuse"] == 3


@pytest.mark.parametrize(
    ("name", "own_id"),
    [
        ("ทะเลสาบ", "ทะเลสาบ"),
        ("हिन्दी फ़िल्म", "हिन्दी-फ़िल्म"),
        ("港の朝", "港の朝"),
        ("🌊", "water-wave"),
        ("مرفأ", "مرفأ"),
        (os.fsdecode(b"caf\xe9"), "caf-xe9"),
    ],
)
def test_a_storyboard_of_any_name_has_a_film_of_its_own(
    storyreel: Storyreel, board: Board, tmp_path: Path, name: str, own_id: str
) -> None:
    """With its captions, its report, whose links lead to its files, and its account."""
    path = str(board(f"{name}.yaml", frames=2, more="captions: {burn: false}\n"))

    ended = storyreel("render", path, "--json", "--otio")
    animatic = storyreel("animatic", path)

    folder = tmp_path / "outputs" / own_id
    assert (ended.exit_code, animatic.exit_code) == (0, 0), ended.stderr
    assert ended.json["storyboard"] == own_id
    assert {f"{own_id}.mp4", f"{own_id}.otio", f"{own_id}-animatic.mp4"} <= {file.name for file in folder.iterdir()}
    assert {row["storyboard"] for row in rows(folder)} == {own_id}
    links = re.findall(r'(?:href|src)="([^"#][^":]*\.mp4)"', (folder / "report.html").read_text())
    assert links
    assert all(link.isascii() and (folder / unquote(link)).is_file() for link in links)
    assert storyreel("ledger", path, "--verify").exit_code == 0


def test_a_list_with_names_in_any_script_is_rendered_by_them(storyreel: Storyreel, tmp_path: Path) -> None:
    """Scenes and shots can be named on the command line."""
    (tmp_path / "list.csv").write_text("scene,shot,prompt\n港,朝,a harbor at dawn\n,🌊,a wave\n", encoding="utf-8")
    made = storyreel("new", "film.yaml", "--from", "list.csv")

    ended = storyreel("reroll", "film.yaml", "gang/chao,gang/water-wave", "--dry-run", "--json")

    assert (made.exit_code, ended.exit_code) == (0, 0), ended.stderr
    assert ended.json["generate"] == 2
