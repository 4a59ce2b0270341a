"""Verification finds each kind of difference, names it, and is silent where all agrees."""

import hashlib
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import update

from pipelines.common.geometry import AspectRatio
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.rates import tiles_of
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptStatus, Billed, Correction, NewTake, Outcome, TakeLoss
from pipelines.ledger.schema import attempts
from tests.support.builders import run, take_spec
from tests.support.ledger import admit, attempt_request, nth_request
from tests.support.pictures import picture_bytes

pytestmark = pytest.mark.usefixtures("database")

SPEC = take_spec()
IMAGE = picture_bytes()
TAKE = f"takes/{SPEC.request_key}.png"


@pytest.fixture
def folder(ledger: Ledger, gate: Gate, tmp_path: Path) -> Path:
    """A folder with one take that was generated, and its ledger.csv; all agrees."""
    folder = tmp_path / "harbor"
    (folder / "takes").mkdir(parents=True)
    (folder / TAKE).write_bytes(IMAGE)
    attempt_id = admit(gate, attempt_request(SPEC)).attempt_id
    ledger.settle_bill(attempt_id, Billed(SPEC.price.usd, SPEC.price.neurons, 4))
    ledger.keep_take(attempt_id, NewTake(TAKE, 8, hashlib.sha256(IMAGE).hexdigest(), 1024, 1024))
    ledger.write_csv("harbor", folder / "ledger.csv")
    return folder


def differences(ledger: Ledger, folder: Path) -> list[str]:
    """Verify with a ledger.csv that is up to date."""
    ledger.write_csv("harbor", folder / "ledger.csv")
    return ledger.verify("harbor", folder=folder)


def rewrite(ledger: Ledger, **values: object) -> None:
    """Change the entry of the first attempt."""
    with ledger.database.transaction() as connection:
        connection.execute(update(attempts).where(attempts.c.attempt_id == 1).values(values))


def test_a_ledger_and_a_disk_that_agree_differ_in_nothing(ledger: Ledger, folder: Path) -> None:
    """An empty list is the good news."""
    assert ledger.verify("harbor", folder=folder) == []


def test_attempts_without_a_take_are_no_difference(ledger: Ledger, gate: Gate, folder: Path) -> None:
    """Free ones, unbilled ones, open ones, and ones whose cost is not known."""
    requests = [nth_request(n) for n in range(3)]
    outcomes = [
        Outcome(AttemptStatus.RATE_LIMITED, "429", 429, Decimal(0)),
        Outcome(AttemptStatus.UNKNOWN, "no answer"),
    ]
    for request, outcome in zip(requests, outcomes, strict=False):
        ledger.close_attempt(admit(gate, request).attempt_id, outcome)
    admit(gate, requests[2])

    assert differences(ledger, folder) == []


def test_every_list_price_is_accepted(ledger: Ledger, gate: Gate, folder: Path) -> None:
    """The price of what was asked, for each aspect ratio and number of steps."""
    for number, (aspect, steps) in enumerate(product(AspectRatio, (1, 4, 8)), start=1):
        spec = take_spec(number, prompt="another", aspect=aspect, steps=steps)
        ledger.settle_bill(
            admit(gate, attempt_request(spec)).attempt_id,
            Billed(spec.price.usd, spec.price.neurons, tiles_of(aspect.size)),
        )

    assert differences(ledger, folder) == []


def test_a_cost_that_is_not_the_list_price_is_found(ledger: Ledger, folder: Path) -> None:
    """To the last digit that the ledger holds; its sums no longer fit either."""
    sums = "attempt 1 and those before it come to 0.000652000001 USD, the ledger's sum for"
    rewrite(ledger, cost_usd=Decimal("0.000652000001"))

    assert differences(ledger, folder) == [
        "attempt 1: cost 0.000652000001 USD, for 4 tiles and 4 steps the price list says 0.000652",
        f"{sums} run run-1 is 0.000652",
        f"{sums} storyboard real harbor is 0.000652",
    ]


def test_neurons_that_are_not_on_the_list_are_found(ledger: Ledger, folder: Path) -> None:
    """They are billed beside the dollars, and must agree as well."""
    rewrite(ledger, neurons=Decimal("57.5"))

    assert differences(ledger, folder) == ["attempt 1: 57.5 neurons, for 4 tiles and 4 steps the price list says 57.6"]


def test_an_image_made_otherwise_than_asked_has_the_price_of_what_was_made(ledger: Ledger, gate: Gate) -> None:
    """An endpoint that states the true tiles and steps of what it made: told, and no difference of the account."""
    folder, spec = Path("nowhere"), take_spec(aspect=AspectRatio.LANDSCAPE, steps=6)
    made = price_list("flux").model(spec.frame.model.name).rates.price(spec.frame.aspect.size, steps=4, tiles=4)
    ledger.settle_bill(admit(gate, attempt_request(spec)).attempt_id, Billed(made.usd, made.neurons, 4, 4))

    [gone] = ledger.verify("harbor", folder=folder)
    assert gone == "nowhere/ledger.csv: is gone; render again, or write it with --csv"
    assert ledger.made_otherwise("harbor") == {"4 tiles instead of 6 and 4 steps instead of 6": [1]}


def test_an_image_made_as_asked_is_not_made_otherwise(ledger: Ledger, folder: Path) -> None:
    """Nor is one whose answer states no tiles."""
    rewrite(ledger, stated_steps=None)

    assert (ledger.made_otherwise("harbor"), differences(ledger, folder)) == ({}, [])


@pytest.mark.parametrize(
    ("model", "neurons", "told"),
    [
        # 16:9 in 4 steps: as many tiles as have its pixels, and a square whatever is asked.
        ("flux-2-klein-4b", "104.2", {}),
        ("flux-2-klein-4b", "156.3", {"156.3 neurons instead of 104.2": [1]}),
        ("flux-1-schnell", "57.6", {}),
        ("flux-1-schnell", "0", {"0 neurons instead of 57.6": [1]}),
        ("flux-1-schnell", None, {}),
        # Of which no list knows the price.
        ("dreamshaper-8-lcm", "12", {}),
    ],
)
def test_another_sellers_bill_is_compared_with_its_list_and_holds(
    ledger: Ledger, model: str, neurons: str | None, told: dict[str, list[int]]
) -> None:
    """Told as a fact: what is charged is what the answer states, and no difference of the account."""
    folder, asked = Path("nowhere"), replace(run(model=model), dialect="cloudflare")
    ledger.start_run(asked)
    spec = take_spec(aspect=AspectRatio.LANDSCAPE)
    billed = Billed(Decimal("0.001"), None if neurons is None else Decimal(neurons))
    ledger.settle_bill(admit(ledger.gate(asked, rate_limit=720), attempt_request(spec)).attempt_id, billed)

    assert ledger.billed_otherwise("harbor") == told
    assert ledger.verify("harbor", folder=folder) == [
        "nowhere/ledger.csv: is gone; render again, or write it with --csv"
    ]


def test_a_cost_that_a_list_has_estimated_is_verified_against_nothing(ledger: Ledger, folder: Path) -> None:
    """It is the list's own, of the day on which it was charged."""
    rewrite(ledger, cost_basis="estimated", cost_usd=Decimal("0.5"), neurons=None)

    assert ledger.billed_otherwise("harbor") == {}
    assert not [line for line in differences(ledger, folder) if "price list" in line]


def test_a_cost_that_was_settled_by_hand_need_not_be_the_list_price(ledger: Ledger, gate: Gate, folder: Path) -> None:
    """It is as right as the hand."""
    attempt_id = admit(gate, nth_request(5)).attempt_id
    ledger.close_attempt(attempt_id, Outcome(AttemptStatus.FAILED, "error code: 524", 524))
    ledger.correct_attempt(attempt_id, Correction(Decimal("0.0123"), "amy", "invoice"), storyboard="harbor")

    assert differences(ledger, folder) == []


def test_a_take_whose_file_is_gone_is_found(ledger: Ledger, folder: Path) -> None:
    """Deleted by hand, perhaps."""
    (folder / TAKE).unlink()

    assert differences(ledger, folder) == [f"attempt 1: its take {TAKE} is gone; render again to generate another"]


def test_a_take_that_was_forgotten_is_found(ledger: Ledger, folder: Path) -> None:
    """The ledger has noted that its file was lost."""
    (folder / TAKE).unlink()
    ledger.forget_lost_takes([1])

    assert differences(ledger, folder) == ["attempt 1: its take is gone; render again to generate another"]


def test_a_take_that_was_changed_is_found(ledger: Ledger, folder: Path) -> None:
    """As many bytes, other ones."""
    (folder / TAKE).write_bytes(b"no image")

    assert differences(ledger, folder) == [
        f"attempt 1: its take {TAKE} is not the one that was generated: the sha-256 differs"
    ]


def test_a_take_that_is_no_picture_is_found(ledger: Ledger, folder: Path) -> None:
    """Its bytes are those that were received; an earlier version did not look at all of them."""
    rewrite(ledger, sha256=hashlib.sha256(b"no image").hexdigest())
    (folder / TAKE).write_bytes(b"no image")

    assert differences(ledger, folder) == [
        f"attempt 1: its take {TAKE} is unreadable: not an image: it starts with b'no image'; "
        "render again to set it aside"
    ]


def test_a_take_that_was_set_aside_is_found(ledger: Ledger, folder: Path) -> None:
    """With the reason for which it was."""
    (folder / TAKE).unlink()
    ledger.forget_lost_takes([1], loss=TakeLoss.UNREADABLE, detail="a damaged PNG")

    assert differences(ledger, folder) == [
        "attempt 1: its take is unreadable: a damaged PNG; render again to generate another"
    ]


def test_a_take_without_an_attempt_is_found(ledger: Ledger, folder: Path) -> None:
    """Temporary files and folders are not takes."""
    (folder / "takes" / "stray.png").write_bytes(b"")
    (folder / "takes" / ".part.png").write_bytes(b"")
    (folder / "takes" / "folder.d").mkdir()

    assert differences(ledger, folder) == ["takes/stray.png: no attempt has generated it"]


def test_a_take_that_another_storyboard_generated_is_no_difference(ledger: Ledger, folder: Path) -> None:
    """It is shared, not generated again; it is accounted for there."""
    with ledger.database.transaction() as connection:
        connection.execute(update(attempts).values(storyboard="forest"))

    assert differences(ledger, folder) == []


def test_a_take_generated_twice_is_found(ledger: Ledger, gate: Gate, folder: Path) -> None:
    """Both are paid for and both are kept; the second is named."""
    again = admit(gate, attempt_request(take_spec(1, prompt="another"))).attempt_id
    spare = f"takes/spare/{again}.png"
    (folder / "takes/spare").mkdir()
    (folder / spare).write_bytes(IMAGE)
    ledger.keep_take(again, NewTake(spare, 8, hashlib.sha256(IMAGE).hexdigest(), 1024, 1024))
    with ledger.database.transaction() as connection:
        connection.execute(update(attempts).values(request_key=SPEC.request_key))

    assert differences(ledger, folder) == [f"attempt 2: generated what attempt 1 had generated; see {spare}"]


def test_a_take_that_was_lost_and_generated_again_is_no_difference(ledger: Ledger, gate: Gate, folder: Path) -> None:
    """The lost one is not reported any more."""
    ledger.forget_lost_takes([1])
    again = admit(gate, attempt_request(SPEC)).attempt_id
    ledger.keep_take(again, NewTake(TAKE, 8, hashlib.sha256(IMAGE).hexdigest(), 1024, 1024))

    assert differences(ledger, folder) == []


def test_attempts_of_unknown_outcome_stay_unsettled_until_they_are_settled_by_hand(
    ledger: Ledger, gate: Gate, folder: Path
) -> None:
    """With a cost, or with the note that it cannot be found out."""
    sent = [admit(gate, nth_request(n)).attempt_id for n in range(3)]
    for attempt_id in sent:
        ledger.close_attempt(attempt_id, Outcome(AttemptStatus.UNKNOWN, "no answer"))
    ledger.correct_attempt(sent[0], Correction(Decimal(0), "amy", "not on the invoice"), storyboard="harbor")
    ledger.correct_attempt(sent[1], Correction(None, "amy", "the invoice does not say"), storyboard="harbor")

    assert ledger.unsettled_attempts("harbor") == [sent[2]]
    assert differences(ledger, folder) == []


def test_a_csv_that_is_gone_is_found(ledger: Ledger, folder: Path) -> None:
    """With the cure."""
    (folder / "ledger.csv").unlink()

    found = ledger.verify("harbor", folder=folder)

    assert found == [f"{folder / 'ledger.csv'}: is gone; render again, or write it with --csv"]


@pytest.mark.parametrize("tampering", [(b"0.000652", b"0.000651"), (b"\r\n", b"\n"), (b"harbor", b"h\xffrbor")])
def test_a_csv_that_was_changed_is_found(ledger: Ledger, folder: Path, tampering: tuple[bytes, bytes]) -> None:
    """A figure, the line ends, or bytes that are no text at all."""
    path = folder / "ledger.csv"
    path.write_bytes(path.read_bytes().replace(*tampering))

    found = ledger.verify("harbor", folder=folder)

    assert found == [f"{path}: is not what the ledger says; render again, or write it with --csv"]


def test_any_prompt_leaves_a_csv_that_agrees(ledger: Ledger, gate: Gate, folder: Path) -> None:
    """Line ends in a prompt are not taken for the file's own."""
    for number, prompt in enumerate(("one\rtwo", "one\r\ntwo", "one\ntwo", "日の出"), start=1):
        admit(gate, attempt_request(take_spec(number, prompt=prompt)))

    assert differences(ledger, folder) == []


def test_every_difference_is_reported_at_once(ledger: Ledger, folder: Path) -> None:
    """Attempts first, then takes, then ledger.csv."""
    rewrite(ledger, neurons=Decimal(2), tiles=5)
    (folder / TAKE).unlink()
    (folder / "takes" / "stray.png").write_bytes(b"")

    found = ledger.verify("harbor", folder=folder)

    assert found == [
        "attempt 1: cost 0.000652 USD, for 5 tiles and 4 steps the price list says 0.000705",
        "attempt 1: 2 neurons, for 5 tiles and 4 steps the price list says 62.4",
        f"attempt 1: its take {TAKE} is gone; render again to generate another",
        "takes/stray.png: no attempt has generated it",
        f"{folder / 'ledger.csv'}: is not what the ledger says; render again, or write it with --csv",
    ]
