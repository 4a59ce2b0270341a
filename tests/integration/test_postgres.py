"""The ledger on a database server: its clock, restarts, suspended machines, many machines at once."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from pipelines.common.errors import DatabaseAwayError, LedgerError
from pipelines.ledger.batches import Batch
from pipelines.ledger.executor import AsyncLedger
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Billed, Permit
from pipelines.ledger.schema import SCHEMA_VERSION, attempts, meta, spending
from tests.support.builders import run
from tests.support.ledger import admit, alter, gate_of, new_take, nth_request, table_rows
from tests.support.older_ledgers import OLDER_VERSIONS, schema_of, statements_back_to
from tests.support.pictures import PRICE_USD
from tests.support.postgres import Postgres, database_for


@pytest.fixture
def url(postgres: Postgres, tmp_path: Path) -> str:
    return database_for(tmp_path, postgres.port)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


def test_the_servers_clock_decides(ledger: Ledger) -> None:
    """A machine whose clock is wrong keeps the same pace as all others."""
    with ledger.database.reading() as connection:
        now = ledger.database.now(connection)
        server_us = connection.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))

    assert abs(int(server_us or 0) - now) < 1_000_000


def test_a_ledger_that_many_open_at_once_is_made_once(url: str) -> None:
    """Eight machines start at the same moment on an empty database."""
    with ThreadPoolExecutor(8) as machines:
        for opened in [machines.submit(Ledger.open, url) for _ in range(8)]:
            opened.result().close()

    with Ledger.open(url) as ledger:
        assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_an_older_ledger_is_brought_up_to_date_without_loss(url: str, version: int) -> None:
    """What was spent before there were sums is added up; tables, columns and indexes are those of a new ledger."""
    with Ledger.open(url) as ledger:
        new = schema_of(ledger)
        admit(gate_of(ledger, run()), nth_request(1))
        with ledger.database.transaction() as connection:
            for statement in statements_back_to(version):
                connection.execute(text(statement))

    with Ledger.open(url) as ledger:
        admit(gate_of(ledger, run("run-2")), nth_request(2))
        sums = {scope: usd for scope, usd in table_rows(ledger, spending, "scope", "committed_usd") if "run" in scope}

        upgraded = schema_of(ledger)

    assert sums == {"run run-1": PRICE_USD, "run run-2": PRICE_USD}
    assert upgraded == new


def test_a_ledger_of_a_newer_storyreel_is_refused(url: str) -> None:
    """With the versions that meet, and what to do."""
    with Ledger.open(url) as ledger:
        alter(ledger, meta, {"schema_version": SCHEMA_VERSION + 1})

    with pytest.raises(LedgerError, match=rf"version {SCHEMA_VERSION + 1}, .* knows {SCHEMA_VERSION}: upgrade"):
        Ledger.open(url)


def test_machines_that_race_share_one_limit_and_one_budget(url: str) -> None:
    """Places are an interval apart, whichever machine takes them, and no cent is reserved twice."""
    frames, machines = 20, 4

    def admit_all(machine: int) -> list[int]:
        with Ledger.open(url) as ledger:
            gate = gate_of(ledger, run(f"run-{machine}"), rate_limit=60_000)
            return [admit(gate, nth_request(machine * 1000 + n)).send_at for n in range(frames)]

    with ThreadPoolExecutor(machines) as pool:
        places = sorted(place for of_machine in pool.map(admit_all, range(machines)) for place in of_machine)

    gaps = [later - earlier for earlier, later in pairwise(places)]
    with Ledger.open(url) as ledger:
        days = [usd for scope, usd in table_rows(ledger, spending, "scope", "committed_usd") if scope.startswith("day")]
    assert min(gaps) >= 60_000_000 // (60_000 * 0.98)
    assert days == [machines * frames * PRICE_USD]


def test_a_take_is_granted_to_one_of_two_machines(url: str) -> None:
    """However close together they ask."""

    def ask(machine: int) -> str:
        with Ledger.open(url) as ledger:
            gate = gate_of(ledger, run(f"run-{machine}"))
            start.wait()
            return type(gate.admit(nth_request(7))).__name__

    start = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(ask, range(2)))

    assert answers == ["HeldElsewhere", "Permit"]


async def test_what_was_paid_for_outlives_a_restart_of_the_server(postgres: Postgres, ledger: Ledger) -> None:
    """While it is away, the bill and the take wait for it; nothing is entered twice."""
    attempt_id = admit(gate_of(ledger, run())).attempt_id
    waits = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            await asyncio.to_thread(postgres.start)

    with AsyncLedger(ledger, pause=pause) as asynchronous:
        postgres.kill()
        await asynchronous.settle_bill(attempt_id, Billed(PRICE_USD))
        await asynchronous.keep_take(attempt_id, new_take())

    assert len(waits) == 2
    assert table_rows(ledger, attempts, "attempt_id", "status", "http_status") == [(attempt_id, "ok", 200)]


async def test_reading_outlives_a_restart_of_the_server_too(postgres: Postgres, ledger: Ledger) -> None:
    """Both while it is away, and afterwards on a connection from before."""
    admit(gate_of(ledger, run()))
    waits = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            await asyncio.to_thread(postgres.start)

    with AsyncLedger(ledger, pause=pause) as asynchronous:
        before = await asynchronous.run_totals("run-1")
        postgres.kill()
        meanwhile = await asynchronous.run_totals("run-1")
        await asyncio.to_thread(postgres.kill)
        await asyncio.to_thread(postgres.start)
        afterwards = await asynchronous.run_totals("run-1")

    assert before.requests == 1
    assert (meanwhile, afterwards) == (before, before)
    assert len(waits) == 3


async def test_a_server_that_stays_away_is_an_error(postgres: Postgres, ledger: Ledger) -> None:
    """After thirty tries, a second apart."""
    attempt_id = admit(gate_of(ledger, run())).attempt_id
    waits = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    with AsyncLedger(ledger, pause=pause) as asynchronous:
        postgres.kill()
        try:
            with pytest.raises(
                DatabaseAwayError, match=r"the ledger cannot be written: .*; what was generated is kept"
            ):
                await asynchronous.settle_bill(attempt_id, Billed(PRICE_USD))
        finally:
            postgres.start()

    assert waits == [1.0] * 30


def test_a_machine_suspended_in_mid_transaction_delays_others_only_shortly(url: str, ledger: Ledger) -> None:
    """The server ends its session, and its half-done admission with it."""
    gate = gate_of(ledger, run("run-2"))
    with Ledger.open(url) as theirs:
        theirs.start_run(run("run-1"))
        with pytest.raises(DatabaseAwayError), theirs.database.transaction() as connection:
            locking = Batch(connection)
            theirs.gate(run("run-1"), rate_limit=720)._lock(locking)
            locking.send()
            connection.execute(text("SET idle_in_transaction_session_timeout = '200ms'"))
            began = time.monotonic()
            admission = gate.admit(nth_request(1))
            waited_s = time.monotonic() - began
            connection.execute(text("SELECT 1"))

    assert isinstance(admission, Permit)
    assert waited_s < 20
