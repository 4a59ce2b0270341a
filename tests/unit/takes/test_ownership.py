"""A storyboard's folder belongs to one file; another file of its id is refused as long as the first one keeps it."""

import os
import re
import shutil
from pathlib import Path

import pytest

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.storyboard.loader import load_storyboard
from pipelines.takes.ownership import claim_folder, require_own_folder
from tests.support.threads import in_threads


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with two storyboards of the id `story`."""
    monkeypatch.chdir(tmp_path)
    for episode in ("ep1", "ep2"):
        (tmp_path / episode).mkdir()
        (tmp_path / episode / "story.yaml").write_text("prompts: [a harbor]\n")
    return tmp_path


def claim(path: str, output: str = "outputs") -> Path | None:
    """Claim the folder of a storyboard; return the file that it belongs to then."""
    settings = Settings(output=Path(output))
    with Ledger.open(settings.effective_database_url) as ledger:
        claim_folder(ledger, load_storyboard(Path(path)), settings)
        return ledger.folder_owner(Path(output).resolve() / "story")


def look(path: str, output: str = "outputs") -> None:
    require_own_folder(load_storyboard(Path(path)), Settings(output=Path(output)))


def refusal(path: str) -> str:
    """Return why a storyboard is refused: the same to a command that looks as to one that runs."""
    with pytest.raises(UsageError) as to_look:
        look(path)
    with pytest.raises(UsageError, match=re.escape(str(to_look.value))):
        claim(path)
    return str(to_look.value)


def test_a_folder_belongs_to_the_file_that_claims_it_first(folder: Path) -> None:
    """A look claims nothing, and makes no ledger."""
    look("ep1/story.yaml")
    assert not (folder / "outputs").exists()

    assert claim("ep2/story.yaml") == folder / "ep2/story.yaml"
    assert claim("ep2/story.yaml") == folder / "ep2/story.yaml"


def test_another_file_of_the_same_id_is_refused(folder: Path) -> None:
    """Both files are named, and what to do; the folder stays whose it is."""
    claim("ep1/story.yaml")

    assert refusal("ep2/story.yaml") == (
        f"ep2/story.yaml: has the same id as {folder}/ep1/story.yaml, 'story', and {folder}/outputs/story belongs to "
        "that storyboard: nothing was sent or changed; write an `id:` of its own into one of the two, or choose "
        "another --output"
    )
    assert claim("ep1/story.yaml") == folder / "ep1/story.yaml"


@pytest.mark.parametrize("text", ["id: other\nprompts: [x]", "- a list of things to buy", "prompts: [", "", None])
def test_a_folder_passes_on_from_a_file_that_has_its_id_no_longer(folder: Path, text: str | None) -> None:
    """It has another one now, is no storyboard any more, or is gone: this one was moved, or renamed."""
    claim("ep1/story.yaml")
    Path("ep1/story.yaml").unlink() if text is None else Path("ep1/story.yaml").write_text(text)

    look("ep2/story.yaml")

    assert claim("ep2/story.yaml") == folder / "ep2/story.yaml"


def test_a_file_with_mistakes_keeps_its_folder() -> None:
    """It is being edited; its id is still to be read."""
    claim("ep1/story.yaml")
    Path("ep1/story.yaml").write_text("prompts: [a harbor]\nstepz: 4\n")

    assert "belongs to that storyboard" in refusal("ep2/story.yaml")


@pytest.mark.parametrize("of_its_own", ["ep1", "ep2"])
def test_an_id_of_its_own_is_the_cure(of_its_own: str) -> None:
    """In either file."""
    claim("ep1/story.yaml")

    Path(f"{of_its_own}/story.yaml").write_text("id: other\nprompts: [a harbor]\n")

    look("ep2/story.yaml")


def test_another_output_is_the_cure(folder: Path) -> None:
    """Also where both outputs share a ledger."""
    shared = f"sqlite:///{folder / 'ledger.db'}"
    settings = [Settings(output=Path(output), database_url=shared) for output in ("one", "two")]
    boards = [load_storyboard(Path(f"{episode}/story.yaml")) for episode in ("ep1", "ep2")]
    with Ledger.open(shared) as ledger:
        for board, each in zip(boards, settings, strict=True):
            claim_folder(ledger, board, each)

        with pytest.raises(UsageError):
            claim_folder(ledger, boards[1], settings[0])


def test_the_same_file_by_another_name_is_no_other(folder: Path) -> None:
    """Links and relative spellings; the ledger holds the name that was first."""
    claim("ep1/story.yaml")
    (folder / "linked").symlink_to(folder / "ep1")
    (folder / "hard").mkdir()
    os.link("ep1/story.yaml", "hard/story.yaml")
    names = ["ep2/../ep1/story.yaml", f"{folder}/ep1/story.yaml", "linked/story.yaml", "hard/story.yaml"]

    assert [claim(name) for name in names] == [folder / "ep1/story.yaml"] * 4


def test_a_link_that_leads_elsewhere_now_keeps_the_folder(folder: Path) -> None:
    """It is meant to: `current` is the release of today."""
    current = folder / "current"
    current.symlink_to("ep1")
    claim("current/story.yaml")
    current.unlink()
    current.symlink_to("ep2")

    assert claim("current/story.yaml") == current / "story.yaml"
    assert f"has the same id as {current}/story.yaml" in refusal("ep1/story.yaml")


def test_one_output_folder_by_two_names_is_one(folder: Path) -> None:
    """What it is called does not matter."""
    (folder / "films").symlink_to("outputs")
    claim("ep1/story.yaml")

    with pytest.raises(UsageError, match=f"{folder}/outputs/story belongs to that storyboard"):
        look("ep2/story.yaml", "films")


def test_a_copy_of_everything_belongs_to_nobody_yet(folder: Path) -> None:
    """The ledger that was copied along tells of the folder that it was copied from."""
    claim("ep1/story.yaml")
    shutil.copytree("outputs", "copy")

    assert claim("ep2/story.yaml", "copy") == folder / "ep2/story.yaml"


def test_a_path_of_another_machine_stands_in_no_ones_way(folder: Path) -> None:
    """Machines that share a ledger may see one file under several paths."""
    settings = Settings(output=Path("outputs"))
    with Ledger.open(settings.effective_database_url) as ledger:
        ledger.enter_folder_owner(folder / "outputs/story", Path("/on/another/machine/story.yaml"), instead_of=None)

    assert claim("ep1/story.yaml") == folder / "ep1/story.yaml"


def test_names_that_are_no_text_are_told_and_kept(folder: Path) -> None:
    """By the bytes that they hold."""
    odd = Path(os.fsdecode(b"caf\xe9"))
    shutil.copytree("ep1", odd)
    claim(f"{odd}/story.yaml")

    assert refusal("ep1/story.yaml").startswith(
        rf"ep1/story.yaml: has the same id as {folder}/caf\xe9/story.yaml, 'story'"
    )


def test_a_storyboard_whose_file_is_gone_keeps_its_folder() -> None:
    """A program may have read it before."""
    board = load_storyboard(Path("ep1/story.yaml"))
    claim("ep1/story.yaml")
    Path("ep1/story.yaml").unlink()

    require_own_folder(board, Settings(output=Path("outputs")))


def test_of_two_files_that_claim_a_folder_at_once_one_is_refused() -> None:
    """Whichever comes second; neither waits for the other."""
    claimed, refused = [], []

    def try_to_claim(path: str) -> None:
        try:
            claimed.append(claim(path))
        except UsageError:
            refused.append(Path(path).absolute())

    in_threads(lambda: try_to_claim("ep1/story.yaml"), lambda: try_to_claim("ep2/story.yaml"))

    assert len(claimed) == len(refused) == 1
    assert {*claimed, *refused} == {Path(f"ep{number}/story.yaml").absolute() for number in (1, 2)}
