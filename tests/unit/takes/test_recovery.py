"""What killed runs left open is closed: a whole image becomes a take, and every attempt is charged once."""

import asyncio
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.common.files import hash_file
from pipelines.common.geometry import Size
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AlreadyKept, AttemptRequest, Permit, Remark, RemarkKind
from pipelines.run.outcomes import Generated, Reused
from pipelines.storyboard.plan import TakeSpec
from pipelines.takes.discovery import FoundTakes, discover_takes
from pipelines.takes.models import Take
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore, check_and_store
from tests.support.builders import run, take_spec
from tests.support.generation import SPEC, replies, rig
from tests.support.output_folder import BODY, OutputFolder
from tests.support.patience import WAIT_S
from tests.support.pictures import PRICE_USD, image_answer, picture_bytes, write

KEY = SPEC.request_key
REMARK = Remark(RemarkKind.SIZE, "was made at 16x16 instead of 1024x1024")


def lost_message(kept: str = "") -> str:
    """Return what the ledger says of an attempt whose process was killed."""
    return f"its process was killed before the image was kept{kept}"


def test_there_is_nothing_to_recover_where_nothing_was_left(output: OutputFolder) -> None:
    """A kept take is left as it is."""
    output.generate(run())
    output.kill()
    before = output.rows()

    output.recover()

    assert output.rows() == before


def test_what_becomes_of_each_attempt_is_logged(output: OutputFolder, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO: it is what a user asks after a crash."""
    output.begin(run())
    output.kill()

    with caplog.at_level(logging.INFO, logger="pipelines"):
        output.recover()

    [message] = caplog.messages
    assert message.endswith("of a run that ended: stays charged as unknown")


def test_killed_after_sending_stays_charged_at_the_reserve(output: OutputFolder) -> None:
    """It may have been billed or not: no cost is written, the reservation stands."""
    output.begin(run())
    output.kill()

    output.recover()

    assert (output.rows(), output.committed_usd()) == ([("unknown", None, None, None, lost_message())], PRICE_USD)
    account = output.ledger.run_totals("run-1")
    assert (account.cost.usd, account.uncertain_usd) == (Decimal(0), PRICE_USD)


@pytest.mark.parametrize("part", [None, b""])
@pytest.mark.parametrize("cost_usd", [Decimal("0.0005"), None])
def test_killed_after_the_bill_stays_charged_at_it(
    output: OutputFolder, part: bytes | None, cost_usd: Decimal | None
) -> None:
    """The headers came, the body did not: what they said is what it cost, if they said it."""
    attempt_id = output.begin(run())
    output.bill(attempt_id, cost_usd)
    if part is not None:
        write(output.store().part_path(attempt_id), part)
    output.kill()

    output.recover()

    assert output.rows() == [("unknown", 200, cost_usd, None, lost_message())]
    assert (output.committed_usd(), output.takes()) == (PRICE_USD if cost_usd is None else cost_usd, {})


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_killed_with_the_whole_body_on_disk_becomes_a_take(output: OutputFolder, kind: str, suffix: str) -> None:
    """The image is there and paid for: it is kept, and found from then on."""
    body = picture_bytes(kind, (16, 16))
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().part_path(attempt_id), body)
    output.kill()

    output.recover()

    assert output.rows() == [("ok", 200, PRICE_USD, f"takes/{KEY}{suffix}", None)]
    assert (output.takes(), output.committed_usd()) == ({f"{KEY}{suffix}": body}, PRICE_USD)
    path = output.store().takes / f"{KEY}{suffix}"
    assert output.find() == FoundTakes(
        {KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD, Size(16, 16), (REMARK,), hash_file(path))}, ()
    )


def test_a_run_that_wakes_during_its_recovery_keeps_its_own_image(
    output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asleep, and not dead: what it has kept in this moment stays kept."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().part_path(attempt_id), BODY)
    output.kill()

    def wake_first(path: Path) -> str:
        monkeypatch.undo()
        take = check_and_store(output.store(), attempt_id, KEY, asked=Size(16, 16))
        output.ledger.keep_take(attempt_id, take)
        return hash_file(path)

    monkeypatch.setattr("pipelines.takes.store.hash_file", wake_first)
    output.recover()

    assert output.rows() == [("ok", 200, PRICE_USD, f"takes/{KEY}.png", None)]
    assert output.takes() == {f"{KEY}.png": BODY}


@pytest.mark.parametrize("length", [1, 20, len(BODY) // 2, len(BODY) - 13])
def test_killed_in_mid_body_is_quarantined(output: OutputFolder, length: int) -> None:
    """Half an image is no take; it was paid for, so it is kept for its owner."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().part_path(attempt_id), BODY[:length])
    output.kill()

    output.recover()

    said = lost_message("; what had arrived is kept as takes/unusable/1.bin")
    assert output.rows() == [("unknown", 200, PRICE_USD, None, said)]
    assert (output.takes(), output.find()) == ({"unusable/1.bin": BODY[:length]}, FoundTakes({}, ()))


def test_killed_after_naming_the_take_becomes_a_take(output: OutputFolder) -> None:
    """The file has its name and no entry in the ledger: it gets one now, and nothing is generated twice."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().takes / f"{KEY}.png", BODY)
    output.kill()

    output.recover()

    assert output.rows() == [("ok", 200, PRICE_USD, f"takes/{KEY}.png", None)]
    assert (output.takes(), output.committed_usd()) == ({f"{KEY}.png": BODY}, PRICE_USD)


def test_killed_while_its_text_was_written_becomes_a_take_as_it_came(output: OutputFolder) -> None:
    """The half that was written is removed; the body beside it is whole."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().part_path(attempt_id), BODY)
    write(output.store().takes / f".{attempt_id}.described", BODY[:40])
    output.kill()

    output.recover()

    assert output.rows() == [("ok", 200, PRICE_USD, f"takes/{KEY}.png", None)]
    assert output.takes() == {f"{KEY}.png": BODY}


def test_recovering_twice_changes_nothing(output: OutputFolder) -> None:
    """What is closed stays closed."""
    for number in range(3):
        attempt_id = output.begin(run(), take_spec(number, prompt=str(number)))
        if number:
            output.bill(attempt_id)
            write(output.store().part_path(attempt_id), BODY[: 40 * number * number])
    output.kill()
    output.recover()
    before = (output.rows(), output.takes(), output.committed_usd())

    output.recover()

    assert (output.rows(), output.takes(), output.committed_usd()) == before


def test_a_recovery_that_is_itself_killed_is_taken_up_again(
    output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between naming and writing down, the next recovery goes on from there."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().part_path(attempt_id), BODY)
    output.kill()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Ledger, "keep_take", die)
        output.recover()
    output.recover()

    assert (output.rows("status", "file"), output.takes()) == ([("ok", f"takes/{KEY}.png")], {f"{KEY}.png": BODY})


def test_a_living_run_is_left_alone(output: OutputFolder) -> None:
    """What is in flight in another process is not ours to close."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    part = write(output.store().part_path(attempt_id), BODY)

    output.recover()

    assert (output.rows(), part.read_bytes()) == ([(None, 200, PRICE_USD, None, None)], BODY)


def test_another_storyboard_is_left_alone(output: OutputFolder) -> None:
    """Its parts are in its own folder; its own next run will see to them."""
    output.begin(run(storyboard="other"))
    output.kill()

    output.recover("harbor")

    assert output.rows("status") == [(None,)]


def test_a_take_that_the_ledger_knows_is_not_taken_for_the_killed_one_s(output: OutputFolder) -> None:
    """Killed before its body came, while another storyboard generated the same: that take stays that one's."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    output.kill()
    output.generate(run("run-2", storyboard="other"))
    output.store().import_take(output.find().takes[KEY])

    output.recover()

    assert output.rows("status", "file") == [("unknown", None), ("ok", f"takes/{KEY}.png")]
    assert output.takes() == {f"{KEY}.png": BODY}


def test_the_lease_of_a_recovered_take_is_let_go(output: OutputFolder) -> None:
    """The next run finds it kept, not held."""
    attempt_id = output.begin(run())
    output.bill(attempt_id)
    write(output.store().part_path(attempt_id), BODY)
    output.kill()
    output.recover()
    output.ledger.start_run(run("run-2"))

    admission = output.ledger.gate(run("run-2"), rate_limit=720).admit(AttemptRequest(SPEC, SPEC.prompt, 1))

    assert admission == AlreadyKept()


def test_what_could_not_be_recovered_is_generated_again_once(output: OutputFolder) -> None:
    """The killed run's claim does not block the next, and both attempts stand in the ledger."""
    output.begin(run())
    output.kill()
    output.recover()

    output.generate(run("run-2"))

    assert (output.rows("run_id", "status"), output.committed_usd(), output.committed_usd("run-2")) == (
        [("run-1", "unknown"), ("run-2", "ok")],
        PRICE_USD,
        PRICE_USD,
    )


# --- a real run, killed at each of its steps


async def killed(tmp_path: Path, spec: TakeSpec, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin to generate a take and cancel it at a step, as a killed process would leave it."""
    here = asyncio.Event()

    async def stand_still(*_: object, **__: object) -> Any:
        here.set()
        await asyncio.Event().wait()

    async def body() -> Any:
        whole = image_answer(spec.frame).content
        yield whole[: len(whole) // 2] if step == "half" else whole
        await stand_still()

    async def answer(_: httpx.Request) -> httpx.Response:
        if step == "sent":
            await stand_still()
        headers = {name: value for name, value in image_answer(spec.frame).headers.items() if name.startswith("x-")}
        return httpx.Response(
            200, headers=headers, content=body() if step in ("half", "whole") else image_answer(spec.frame).content
        )

    async with rig(tmp_path, answer, run()) as bench:
        if step == "billed":
            monkeypatch.setattr("pipelines.endpoints.client.EndpointClient._save", stand_still)
        if step == "named":
            monkeypatch.setattr("pipelines.run.attempt.AttemptRunner._keep", named_only(bench.store, stand_still))
        task = asyncio.create_task(bench.generate(spec))
        await asyncio.wait_for(here.wait(), timeout=WAIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()


def named_only(store: TakeStore, stand_still: Any) -> Any:
    """Return a stand-in for the last step that names the take and then goes no further."""

    async def keep(_: object, request: AttemptRequest, permit: Permit, *__: object) -> None:
        store.store(permit.attempt_id, request_key=request.take.request_key, suffix=".png")
        await stand_still()

    return keep


@pytest.mark.parametrize(
    ("step", "status", "requests"),
    [
        ("sent", "unknown", 1),
        ("billed", "unknown", 1),
        ("half", "unknown", 1),
        ("whole", "ok", 0),
        ("named", "ok", 0),
    ],
)
async def test_a_run_killed_at_any_step_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, status: str, requests: int
) -> None:
    """A whole image is never generated again, anything less once; every attempt is charged once."""
    await killed(tmp_path, SPEC, step, monkeypatch)

    async with rig(tmp_path, replies(image_answer(SPEC.frame)), run("run-2")) as bench:
        recover(bench.ledger, "harbor", store=bench.store)
        outcome = await bench.generate(SPEC)

        assert (outcome, len(bench.requests)) == (Generated(SPEC, 1) if requests else Reused(SPEC), requests)
        assert bench.rows("run_id", "status") == [("run-1", status), ("run-2", "ok")][: 1 + requests]
        assert (bench.ledger.run_totals("run-1").requests, bench.committed_usd()) == (1, requests * PRICE_USD)
        assert list(discover_takes(bench.ledger, [SPEC], store=bench.store, output=tmp_path).takes) == [KEY]
        assert not list(bench.store.takes.glob(".*.part"))
