"""A folder belongs to one file at a time; of several that are entered at once, one is."""

import os
from pathlib import Path

import pytest

from pipelines.ledger.ledger import Ledger
from tests.support.ledger import opened
from tests.support.threads import in_threads

pytestmark = pytest.mark.usefixtures("database")

FOLDER = Path("/films/outputs/story")
ONE, OTHER = Path("/films/ep1/story.yaml"), Path("/films/ep2/story.yaml")


def test_a_folder_belongs_to_nobody_at_first(ledger: Ledger) -> None:
    """As every folder does that an earlier storyreel made."""
    assert ledger.folder_owner(FOLDER) is None


def test_each_folder_belongs_to_the_file_that_was_entered(ledger: Ledger) -> None:
    """Also where the same storyboard has a folder elsewhere."""
    elsewhere = Path("/other/outputs/story")

    entered = [
        ledger.enter_folder_owner(FOLDER, ONE, instead_of=None),
        ledger.enter_folder_owner(elsewhere, OTHER, instead_of=None),
    ]

    assert (entered, ledger.folder_owner(FOLDER), ledger.folder_owner(elsewhere)) == ([True, True], ONE, OTHER)


def test_a_file_is_entered_only_instead_of_the_one_that_was_looked_at(ledger: Ledger) -> None:
    """If another one has been entered meanwhile, that is to be looked at first."""
    ledger.enter_folder_owner(FOLDER, ONE, instead_of=None)

    entered = [ledger.enter_folder_owner(FOLDER, OTHER, instead_of=instead_of) for instead_of in (None, OTHER, ONE)]

    assert (entered, ledger.folder_owner(FOLDER)) == ([False, False, True], OTHER)


@pytest.mark.parametrize("first", [None, Path("/films/old/story.yaml")])
def test_of_several_at_once_one_is_entered(tmp_path: Path, first: Path | None) -> None:
    """Whether the folder belonged to nobody, or to a file that is gone."""
    files = [Path(f"/films/ep{number}/story.yaml") for number in range(4)]
    entered = []
    with opened(tmp_path) as ledger:
        if first:
            ledger.enter_folder_owner(FOLDER, first, instead_of=None)

        def enter(file: Path) -> None:
            with opened(tmp_path) as own:
                if own.enter_folder_owner(FOLDER, file, instead_of=first):
                    entered.append(file)

        in_threads(*(lambda file=file: enter(file) for file in files))

        assert [ledger.folder_owner(FOLDER)] == entered


@pytest.mark.parametrize("name", ["ทะเล 🌊.yaml", "50% of #1?.yaml", "a\\b\n.yaml", os.fsdecode(b"caf\xe9.yaml")])
def test_paths_of_any_name_are_kept(ledger: Ledger, name: str) -> None:
    """Even of bytes that are no text, which no database takes as they are."""
    ledger.enter_folder_owner(FOLDER / name, ONE.with_name(name), instead_of=None)

    assert ledger.folder_owner(FOLDER / name) == ONE.with_name(name)
