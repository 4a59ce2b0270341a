"""What is bought already is found, wherever it is; what killed runs left loses neither an image nor a cent."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from pipelines.common.files import hash_file
from pipelines.common.geometry import Fit
from pipelines.ledger.gate import Gate
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AlreadyKept, AttemptRequest, Billed, NewTake, Permit, Run
from pipelines.ledger.schema import runs
from pipelines.run.worker import Generated, Reused
from pipelines.storyboard.plan import FrameSpec
from pipelines.takes.discovery import FoundTakes, discover_takes
from pipelines.takes.models import Take
from pipelines.takes.recovery import recover
from pipelines.takes.store import TakeStore
from tests.support.builders import frame_spec, run
from tests.support.generation import NOW_S, attempt_rows, replies, rig
from tests.support.ledger import committed_usd
from tests.support.pictures import PRICE_USD, image_answer, picture_bytes, write

SPEC = frame_spec()
KEY = SPEC.request_key
BODY = picture_bytes("PNG", (16, 16))
OTHER_BODY = picture_bytes("PNG", (32, 32))
ACCOUNT = ("status", "http_status", "cost_usd", "file", "error")


@dataclass
class House:
    """An output folder with its ledger, in which runs come and go."""

    output: Path
    ledger: Ledger

    def store(self, storyboard: str = "harbor") -> TakeStore:
        store = TakeStore(self.output / storyboard)
        store.prepare()
        return store

    def begin(self, which: Run, spec: FrameSpec = SPEC, *, prompt: str | None = None) -> int:
        """Start a run, if it has not, and let it send one attempt; return its number."""
        with self.ledger.database.reading() as connection:
            known = connection.scalar(select(runs.c.run_id).where(runs.c.run_id == which.run_id))
        if known is None:
            self.ledger.start_run(which)
        admitted = Gate(self.ledger, which, rate_limit=720).admit(AttemptRequest(spec, prompt or spec.prompt, 1))
        assert isinstance(admitted, Permit)
        return admitted.attempt_id

    def bill(self, attempt_id: int, cost_usd: Decimal | None = PRICE_USD) -> None:
        self.ledger.settle_bill(attempt_id, Billed(cost_usd))

    def keep(self, attempt_id: int, storyboard: str = "harbor", body: bytes = BODY, spec: FrameSpec = SPEC) -> Path:
        """Write a take down as kept, and put it on disk."""
        path = write(self.store(storyboard).takes / f"{spec.request_key}.png", body)
        take = NewTake(f"takes/{path.name}", len(body), hash_file(path), 16, 16)
        self.ledger.keep_take(attempt_id, take)
        return path

    def buy(self, which: Run, body: bytes = BODY, spec: FrameSpec = SPEC, *, prompt: str | None = None) -> Path:
        """Buy a take from beginning to end."""
        attempt_id = self.begin(which, spec, prompt=prompt)
        self.bill(attempt_id)
        return self.keep(attempt_id, which.storyboard, body, spec)

    def kill(self, run_id: str = "run-1") -> None:
        """Let the process of a run be gone, without a word in the ledger."""
        with self.ledger.database.transaction() as connection:
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(pid_started=1))

    def find(self, *specs: FrameSpec, storyboard: str = "harbor") -> FoundTakes:
        return discover_takes(self.ledger, specs or [SPEC], store=self.store(storyboard), output=self.output)

    def recover(self, storyboard: str = "harbor") -> None:
        recover(self.ledger, storyboard, store=self.store(storyboard))

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        return attempt_rows(self.ledger, *(columns or ACCOUNT))

    def committed_usd(self, run_id: str = "run-1") -> Any:
        return committed_usd(self.ledger, run_id)

    def takes(self, storyboard: str = "harbor") -> dict[str, bytes]:
        """Return every file among a storyboard's takes."""
        folder = self.store(storyboard).takes
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty output folder with fresh ledger."""
    with contextlib.closing(Ledger.open(f"sqlite:///{tmp_path / 'storyreel.db'}", clock=lambda: NOW_S)) as ledger:
        yield House(tmp_path, ledger)


# --- finding


def test_nothing_is_found_where_nothing_was_bought(house: House) -> None:
    """Fresh ledger and an empty folder hold nothing."""
    assert house.find() == FoundTakes({}, ())


def test_a_take_in_the_books_is_found_with_its_prompt_and_price(house: House) -> None:
    """The prompt is the one that made it, a fallback perhaps."""
    path = house.buy(run(), prompt="the fallback")

    assert house.find() == FoundTakes({KEY: Take(SPEC, path, "the fallback", PRICE_USD)}, ())


def test_a_take_of_another_storyboard_serves_as_well(house: House) -> None:
    """It is found where it is, and can be adopted."""
    path = house.buy(run(storyboard="other"))

    found = house.find()

    assert found == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD)}, ())
    assert house.store().import_take(found.takes[KEY]).path == house.store().takes / path.name


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_take_that_no_books_know_of_counts_too(house: House, suffix: str) -> None:
    """It was paid for, who knows how much: ledger may be lost, images must not be bought again."""
    kind = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix]
    path = write(house.store().takes / f"{KEY}{suffix}", picture_bytes(kind))

    assert house.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, None)}, ())
    assert discover_takes(None, [SPEC], store=house.store(), output=house.output) == house.find()


@pytest.mark.parametrize("body", [b"", BODY[:40], b"<html>"])
def test_a_damaged_file_that_no_books_know_of_is_no_take(house: House, body: bytes) -> None:
    """A name is not enough; the file is named, so that it can make room."""
    path = write(house.store().takes / f"{KEY}.png", body)

    assert house.find() == FoundTakes({}, (), damaged=(path,))


def test_a_take_whose_file_is_gone_is_lost(house: House) -> None:
    """It is not shown, and the attempt that paid for it is named."""
    house.buy(run()).unlink()

    assert house.find() == FoundTakes({}, (1,))


def test_a_take_whose_file_is_damaged_is_lost_for_good(house: House) -> None:
    """Neither before nor after the ledger forget it does the rest of the file pass for a take."""
    path = house.buy(run())
    path.write_bytes(BODY[:-20])

    before = house.find()
    house.ledger.forget_lost_takes(before.lost)

    assert (before, house.find()) == (FoundTakes({}, (1,), damaged=(path,)), FoundTakes({}, (), damaged=(path,)))


def test_a_take_that_its_owner_retouched_is_not_bought_again(house: House) -> None:
    """A whole picture under the take's name is shown, at a price that is not known; the bought one is gone."""
    path = house.buy(run())
    path.write_bytes(OTHER_BODY)

    assert house.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, None)}, (1,))


def test_an_adopted_take_outlives_the_folder_it_came_from(house: House) -> None:
    """The ledger call it lost; the link in this folder is whole."""
    house.buy(run(storyboard="other"))
    adopted = house.store().import_take(house.find().takes[KEY])
    shutil.rmtree(house.output / "other")

    assert house.find() == FoundTakes({KEY: Take(SPEC, adopted.path, SPEC.prompt, None)}, (1,))


def test_of_two_takes_a_lost_one_does_not_hide_the_other(house: House) -> None:
    """FoundTakes again after its file was gone, the frame has its picture; what was lost is still named until noted."""
    house.buy(run(storyboard="other")).unlink()
    house.ledger.forget_lost_takes([1])
    path = house.buy(run("run-2"), OTHER_BODY)

    assert house.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD)}, ())
    assert house.rows("cost_usd", "file") == [(PRICE_USD, None), (PRICE_USD, f"takes/{KEY}.png")]


def test_only_what_is_asked_for_is_found(house: House) -> None:
    """TakeInventory of other requests are none of this plan's."""
    house.buy(run())

    assert house.find(frame_spec(prompt="another"), frame_spec(take=2), frame_spec(steps=5)) == FoundTakes({}, ())


def test_many_frames_are_found_at_once(house: House) -> None:
    """A plan may ask for more than a database takes in one statement."""
    specs = [frame_spec(number, prompt=str(number)) for number in range(1200)]
    paths = {number: house.buy(run(), spec=specs[number]) for number in (0, 777, 1199)}

    found = house.find(*specs)

    assert {take.spec.number: take.path for take in found.takes.values()} == paths


def test_a_frame_is_found_for_the_place_where_it_stands_now(house: House) -> None:
    """Number, shot and fit are the plan's of today, not those under which it was bought."""
    house.buy(run())
    moved = frame_spec(9, shot="storm", fit=Fit.STRETCH)

    assert house.find(moved).takes[KEY].spec == moved


# --- recovering


def lost_message(kept: str = "") -> str:
    """Return what the ledger say of an attempt whose process was killed."""
    return f"its process was killed before the image was kept{kept}"


def test_there_is_nothing_to_recover_where_nothing_was_left(house: House) -> None:
    """A kept take is left as it is."""
    house.buy(run())
    house.kill()
    before = house.rows()

    house.recover()

    assert house.rows() == before


def test_killed_after_sending_stays_charged_at_the_reserve(house: House) -> None:
    """Nobody knows whether it was billed: no cost is written, the reservation stands."""
    house.begin(run())
    house.kill()

    house.recover()

    assert (house.rows(), house.committed_usd()) == ([("unknown", None, None, None, lost_message())], PRICE_USD)
    account = house.ledger.run_totals("run-1")
    assert (account.cost.usd, account.uncertain_usd) == (Decimal(0), PRICE_USD)


@pytest.mark.parametrize("part", [None, b""])
@pytest.mark.parametrize("cost_usd", [Decimal("0.0005"), None])
def test_killed_after_the_bill_stays_charged_at_it(house: House, part: bytes | None, cost_usd: Decimal | None) -> None:
    """The headers came, the body did not: what they said is what it cost, if they said it."""
    attempt_id = house.begin(run())
    house.bill(attempt_id, cost_usd)
    if part is not None:
        write(house.store().part_path(attempt_id), part)
    house.kill()

    house.recover()

    assert house.rows() == [("unknown", 200, cost_usd, None, lost_message())]
    assert (house.committed_usd(), house.takes()) == (PRICE_USD if cost_usd is None else cost_usd, {})


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")])
def test_killed_with_the_whole_body_on_disk_becomes_a_take(house: House, kind: str, suffix: str) -> None:
    """The image is there and paid for: it is kept, and found from then on."""
    body = picture_bytes(kind, (16, 16))
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    write(house.store().part_path(attempt_id), body)
    house.kill()

    house.recover()

    assert house.rows() == [("ok", 200, PRICE_USD, f"takes/{KEY}{suffix}", None)]
    assert (house.takes(), house.committed_usd()) == ({f"{KEY}{suffix}": body}, PRICE_USD)
    path = house.store().takes / f"{KEY}{suffix}"
    assert house.find() == FoundTakes({KEY: Take(SPEC, path, SPEC.prompt, PRICE_USD)}, ())


@pytest.mark.parametrize("length", [1, 20, len(BODY) // 2, len(BODY) - 13])
def test_killed_in_mid_body_is_set_aside(house: House, length: int) -> None:
    """Half an image is no take; it was paid for, so it is kept for its owner."""
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    write(house.store().part_path(attempt_id), BODY[:length])
    house.kill()

    house.recover()

    said = lost_message("; what had arrived is kept as takes/unusable/1.bin")
    assert house.rows() == [("unknown", 200, PRICE_USD, None, said)]
    assert (house.takes(), house.find()) == ({"unusable/1.bin": BODY[:length]}, FoundTakes({}, ()))


def test_killed_after_naming_the_take_becomes_a_take(house: House) -> None:
    """The file has its name, the ledger did not hear of it: they do now, and nothing is bought twice."""
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    write(house.store().takes / f"{KEY}.png", BODY)
    house.kill()

    house.recover()

    assert house.rows() == [("ok", 200, PRICE_USD, f"takes/{KEY}.png", None)]
    assert (house.takes(), house.committed_usd()) == ({f"{KEY}.png": BODY}, PRICE_USD)


def test_recovering_twice_changes_nothing(house: House) -> None:
    """What is closed stays closed."""
    for number in range(3):
        attempt_id = house.begin(run(), frame_spec(number, prompt=str(number)))
        if number:
            house.bill(attempt_id)
            write(house.store().part_path(attempt_id), BODY[: 40 * number * number])
    house.kill()
    house.recover()
    before = (house.rows(), house.takes(), house.committed_usd())

    house.recover()

    assert (house.rows(), house.takes(), house.committed_usd()) == before


def test_a_recovery_that_is_itself_killed_is_taken_up_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between naming and writing down, the next recovery goes on from there."""
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    write(house.store().part_path(attempt_id), BODY)
    house.kill()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.takes.recovery.keep_take", die)
    with pytest.raises(KeyboardInterrupt):
        house.recover()
    monkeypatch.setattr("pipelines.takes.recovery.keep_take", keep_take)
    house.recover()

    assert (house.rows("status", "file"), house.takes()) == ([("ok", f"takes/{KEY}.png")], {f"{KEY}.png": BODY})


def test_a_living_run_is_left_alone(house: House) -> None:
    """What is in flight in another process is not ours to close."""
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    part = write(house.store().part_path(attempt_id), BODY)

    house.recover()

    assert (house.rows(), part.read_bytes()) == ([(None, 200, PRICE_USD, None, None)], BODY)


def test_another_storyboard_is_left_alone(house: House) -> None:
    """Its parts are in its own folder; its own next run will see to them."""
    house.begin(run(storyboard="other"))
    house.kill()

    house.recover("harbor")

    assert house.rows("status") == [(None,)]


def test_a_take_that_the_books_know_is_not_taken_for_the_killed_one_s(house: House) -> None:
    """Killed before its body came, while another storyboard had bought the same: that take stays that one's."""
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    house.kill()
    house.buy(run("run-2", storyboard="other"))
    house.store().import_take(house.find().takes[KEY])

    house.recover()

    assert house.rows("status", "file") == [("unknown", None), ("ok", f"takes/{KEY}.png")]
    assert house.takes() == {f"{KEY}.png": BODY}


def test_the_lease_of_a_recovered_take_is_let_go(house: House) -> None:
    """The next run finds it kept, not held."""
    attempt_id = house.begin(run())
    house.bill(attempt_id)
    write(house.store().part_path(attempt_id), BODY)
    house.kill()
    house.recover()
    house.ledger.start_run(run("run-2"))

    admission = Gate(house.ledger, run("run-2"), rate_limit=720).admit(AttemptRequest(SPEC, SPEC.prompt, 1))

    assert admission == AlreadyKept()


def test_what_could_not_be_recovered_is_bought_again_once(house: House) -> None:
    """The killed run's claim does not block the next, and both attempts stand in the ledger."""
    house.begin(run())
    house.kill()
    house.recover()

    house.buy(run("run-2"))

    assert (house.rows("run_id", "status"), house.committed_usd(), house.committed_usd("run-2")) == (
        [("run-1", "unknown"), ("run-2", "ok")],
        PRICE_USD,
        PRICE_USD,
    )


# --- a real run, killed at each of its steps


async def killed(tmp_path: Path, spec: FrameSpec, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin to buy a frame and cancel it at a step, as a killed process would leave it."""
    here = asyncio.Event()

    async def stand_still(*_: object, **__: object) -> Any:
        here.set()
        await asyncio.Event().wait()

    async def body() -> Any:
        whole = image_answer(spec).content
        yield whole[: len(whole) // 2] if step == "half" else whole
        await stand_still()

    async def answer(_: httpx.Request) -> httpx.Response:
        if step == "sent":
            await stand_still()
        headers = {name: value for name, value in image_answer(spec).headers.items() if name.startswith("x-")}
        return httpx.Response(
            200, headers=headers, content=body() if step in ("half", "whole") else image_answer(spec).content
        )

    async with rig(tmp_path, answer, run()) as bench:
        if step == "billed":
            monkeypatch.setattr("pipelines.endpoints.client.FluxClient._save", stand_still)
        if step == "named":
            monkeypatch.setattr("pipelines.run.attempt.AttemptRunner._keep", named_only(bench.store, stand_still))
        task = asyncio.create_task(bench.buy(spec))
        await asyncio.wait_for(here.wait(), timeout=30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()


def named_only(store: TakeStore, stand_still: Any) -> Any:
    """Return a stand-in for the last step that names the take and then goes no further."""

    async def keep(_: object, order: AttemptRequest, attempt_id: int, *__: object) -> None:
        store.keep(attempt_id, request_key=order.spec.request_key, suffix=".png")
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
    """A whole image is never bought again, anything less once; every attempt is charged once."""
    await killed(tmp_path, SPEC, step, monkeypatch)

    async with rig(tmp_path, replies(image_answer(SPEC)), run("run-2")) as bench:
        recover(bench.ledger, "harbor", store=bench.store)
        outcome = await bench.buy(SPEC)

        assert (outcome, len(bench.requests)) == (Generated(SPEC, 1) if requests else Reused(SPEC), requests)
        assert bench.rows("run_id", "status") == [("run-1", status), ("run-2", "ok")][: 1 + requests]
        assert (bench.ledger.run_totals("run-1").requests, bench.committed_usd()) == (1, requests * PRICE_USD)
        assert list(discover_takes(bench.ledger, [SPEC], store=bench.store, output=tmp_path).takes) == [KEY]
        assert not list(bench.store.takes.glob(".*.part"))
