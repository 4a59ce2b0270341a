"""A take that is there already is found, wherever it lies, so that it is not generated again."""

import shutil
from dataclasses import replace

import pytest

from pipelines.common.files import hash_file
from pipelines.common.geometry import Fit, Size
from pipelines.ledger.models import TakeLoss
from pipelines.ledger.schema import attempts
from pipelines.takes.discovery import FoundTakes, discover_takes
from pipelines.takes.models import Take
from pipelines.takes.place import PLACE_FILE, claim_place
from tests.support.builders import run, take_spec
from tests.support.generation import SPEC
from tests.support.ledger import alter
from tests.support.output_folder import BODY, OutputFolder
from tests.support.pictures import PRICE_USD, picture_bytes, write

KEY = SPEC.request_key
SIZE = Size(16, 16)
ELSEWHERE = "7c1f3d52-2b8e-4a6f-8d55-3f1c2a9b0e22"
OTHER_BODY = picture_bytes("PNG", (32, 32))


def test_nothing_is_found_where_nothing_was_generated(output: OutputFolder) -> None:
    """A new ledger and an empty folder hold nothing."""
    assert output.find() == FoundTakes({}, ())


def test_a_take_in_the_ledger_is_found_with_its_prompt_and_price(output: OutputFolder) -> None:
    """The prompt is the one that made it, a fallback perhaps."""
    path = output.generate(run(), prompt="the fallback")

    assert output.find() == FoundTakes(
        {KEY: Take(SPEC, path, "the fallback", PRICE_USD, SIZE, sha256=hash_file(path))}, ()
    )


def test_a_take_of_another_storyboard_serves_as_well(output: OutputFolder) -> None:
    """It is found where it is, and can be imported."""
    path = output.generate(run(storyboard="other"))

    found = output.find()

    assert found == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD, SIZE, sha256=hash_file(path))}, ())
    assert output.store().import_take(found.takes[KEY]).path == output.store().takes / path.name


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_take_that_no_ledger_knows_counts_too(output: OutputFolder, suffix: str) -> None:
    """It was paid for, at a price that is not known: a ledger may be lost, images must not be paid for again."""
    kind = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix]
    path = write(output.store().takes / f"{KEY}{suffix}", picture_bytes(kind))

    assert output.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, None)}, ())
    assert discover_takes(None, [SPEC], store=output.store(), output=output.path) == output.find()


@pytest.mark.parametrize("body", [b"", BODY[:40], b"<html>"])
def test_a_damaged_file_that_no_ledger_knows_is_no_take(output: OutputFolder, body: bytes) -> None:
    """A name is not enough; the file is reported, so that it can make room."""
    path = write(output.store().takes / f"{KEY}.png", body)

    assert output.find() == FoundTakes({}, (), damaged=(path,), losses={KEY: TakeLoss.UNREADABLE})


def test_a_take_whose_file_is_gone_is_lost(output: OutputFolder) -> None:
    """It is not shown, and the attempt that paid for it is named."""
    output.generate(run()).unlink()

    assert output.find() == FoundTakes({}, (1,), losses={KEY: TakeLoss.GONE})


def test_a_take_whose_file_is_damaged_is_lost_for_good(output: OutputFolder) -> None:
    """Neither before nor after the ledger forgets it does the rest of the file pass for a take."""
    path = output.generate(run())
    path.write_bytes(BODY[:-20])

    before = output.find()
    output.ledger.forget_lost_takes(before.lost)

    unreadable = FoundTakes({}, (), damaged=(path,), losses={KEY: TakeLoss.UNREADABLE})
    assert (before, output.find()) == (replace(unreadable, lost=(1,)), unreadable)


def test_a_take_that_its_owner_retouched_is_not_generated_again(output: OutputFolder) -> None:
    """A whole picture under the take's name is shown, at a price that is not known; the generated one is gone."""
    path = output.generate(run())
    path.write_bytes(OTHER_BODY)

    assert output.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, None)}, (1,))


def test_an_imported_take_outlives_the_folder_it_came_from(output: OutputFolder) -> None:
    """The ledger calls it lost; the link in this folder is whole."""
    output.generate(run(storyboard="other"))
    imported = output.store().import_take(output.find().takes[KEY])
    shutil.rmtree(output.path / "other")

    assert output.find() == FoundTakes({KEY: Take(SPEC, imported.path, SPEC.prompt, None)}, (1,))


def test_a_take_of_another_place_is_neither_here_nor_lost(output: OutputFolder) -> None:
    """Its file is not here; nor is the rest of one that was half copied."""
    path = output.generate(run())
    alter(output.ledger, attempts, {"place": ELSEWHERE})
    path.write_bytes(BODY[:-20])
    half = output.find()
    path.unlink()

    assert output.find() == FoundTakes({}, elsewhere={KEY: ELSEWHERE})
    assert (half.takes, half.lost, half.elsewhere) == ({}, (), {KEY: ELSEWHERE})


def test_a_take_that_is_here_is_found_whatever_its_place(output: OutputFolder) -> None:
    """Its folder was copied without the file of the place."""
    path = output.generate(run())
    alter(output.ledger, attempts, {"place": ELSEWHERE})

    assert output.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD, SIZE, sha256=hash_file(path))})


def test_a_take_that_this_place_has_lost_is_lost(output: OutputFolder) -> None:
    """Or one of a place that it stands for."""
    output.generate(run()).unlink()
    alter(output.ledger, attempts, {"place": ELSEWHERE})
    (output.path / PLACE_FILE).write_text(f"{claim_place(output.path).id}\n{ELSEWHERE}\n")

    assert output.find() == FoundTakes({}, (1,), losses={KEY: TakeLoss.GONE})


def test_a_take_of_another_storyboard_elsewhere_is_nothing_to_this_one(output: OutputFolder) -> None:
    """It is not forgotten, and not in the way."""
    output.generate(run(storyboard="other")).unlink()
    alter(output.ledger, attempts, {"place": ELSEWHERE})

    assert output.find() == FoundTakes({})


def test_of_two_takes_a_lost_one_does_not_hide_the_other(output: OutputFolder) -> None:
    """Once it is generated again after its file was gone, the frame has its picture, and nothing is lost."""
    output.generate(run(storyboard="other")).unlink()
    output.ledger.forget_lost_takes([1])
    path = output.generate(run("run-2"), OTHER_BODY)

    assert output.find() == FoundTakes(
        {KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD, SIZE, sha256=hash_file(path))}, ()
    )
    assert output.rows("cost_usd", "file") == [(PRICE_USD, None), (PRICE_USD, f"takes/{KEY}.png")]


def test_only_what_is_asked_for_is_found(output: OutputFolder) -> None:
    """Takes of other requests are none of this plan's."""
    output.generate(run())

    assert output.find(take_spec(prompt="another"), take_spec(take=2), take_spec(steps=5)) == FoundTakes({}, ())


def test_many_takes_are_found_at_once(output: OutputFolder) -> None:
    """A plan may ask for more than a database takes in one statement."""
    specs = [take_spec(number, prompt=str(number)) for number in range(1200)]
    paths = {number: output.generate(run(), spec=specs[number]) for number in (0, 777, 1199)}

    found = output.find(*specs)

    assert {take.frame.number: take.path for take in found.takes.values()} == paths


def test_a_take_is_found_for_the_place_where_its_frame_stands_now(output: OutputFolder) -> None:
    """Number, shot and fit are the plan's of today, not those under which it was generated."""
    output.generate(run())
    moved = take_spec(9, shot="storm", fit=Fit.STRETCH)

    assert output.find(moved).takes[KEY].spec == moved
