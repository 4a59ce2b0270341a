"""A ledger opens whole or not at all, and says what is wrong with it."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import insert

from pipelines.common.errors import LedgerError, OutdatedLedgerError, StorageError
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import RunCounters
from pipelines.ledger.schema import SCHEMA_VERSION, attempts, gates, meta, metadata, runs
from tests.support.builders import frame_spec, run
from tests.support.ledger import admit, alter, committed_usd, gate_of, nth_request, opened, table_rows, url_of
from tests.support.older_ledgers import OLDER_VERSIONS, schema_of, statements_back_to

CURE = "check the output folder and STORYREEL_DATABASE_URL"


# Opening


def test_a_new_ledger_holds_every_table_and_its_version(ledger: Ledger, tmp_path: Path) -> None:
    """One file, made with its folder; the version is in it once."""
    with closing(sqlite3.connect(tmp_path / "storyreel.db")) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    assert tables - {"sqlite_sequence"} == set(metadata.tables)
    assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    """The first run finds no output folder, and needs none."""
    with opened(tmp_path / "new" / "folder"):
        pass

    assert (tmp_path / "new" / "folder" / "storyreel.db").is_file()


def test_a_ledger_opened_again_is_as_it_was(tmp_path: Path) -> None:
    """What was committed survives, and nothing is entered twice."""
    with opened(tmp_path) as ledger:
        admit(gate_of(ledger, run()))

    with opened(tmp_path) as ledger:
        assert table_rows(ledger, attempts, "run_id") == [("run-1",)]
        assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]


def test_commits_survive_a_power_cut(ledger: Ledger) -> None:
    """Every connection, to read or to write, works with a write-ahead log that is synced at each commit."""
    with ledger.database.transaction() as writer, ledger.database.reading() as reader:
        found = [
            connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for connection in (writer, reader)
            for pragma in ("journal_mode", "synchronous")
        ]

    full = 2
    assert found == ["wal", full, "wal", full]


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_a_ledger_of_an_older_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    """Attempts, gates and what is committed are kept; sums and tables that it lacked are made."""
    with opened(tmp_path) as ledger:
        gate = gate_of(ledger, run())
        admit(gate, nth_request(1))
        gate.slow_down(sent_at=0, cool_down_s=30)
    with closing(sqlite3.connect(tmp_path / "storyreel.db")) as database:
        database.executescript(";\n".join(statements_back_to(version)))

    with opened(tmp_path) as ledger:
        assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]
        assert admit(gate_of(ledger, run("run-2")), nth_request(2)).wait_s == 30
        assert len(table_rows(ledger, attempts, "attempt_id")) == 2
        assert committed_usd(ledger) == committed_usd(ledger, "run-2") == frame_spec().price.usd
        ledger.record_heartbeat("run-2", RunCounters("generating frames", quote_usd=Decimal("0.000652")))
        assert table_rows(ledger, runs, "stage", "quote_usd") == [
            (None, None),
            ("generating frames", Decimal("0.000652")),
        ]
        # The first is of the older version, which knew one dialect.
        asked = [("http://flux.test", "flux"), (None, None)]
        assert table_rows(ledger, runs, "address", "dialect") == asked
        ledger.pick_take("harbor", "k", 2)
        assert (ledger.picked_takes("harbor"), ledger.requested_takes("harbor")) == ({"k": 2}, [])


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_an_older_ledger_gets_the_schema_of_a_new_one(tmp_path: Path, ledger: Ledger, version: int) -> None:
    """The same tables, columns and indexes."""
    older = tmp_path / "older"
    with opened(older):
        pass
    with closing(sqlite3.connect(older / "storyreel.db")) as database:
        database.executescript(";\n".join(statements_back_to(version)))

    with opened(older) as upgraded:
        assert schema_of(upgraded) == schema_of(ledger)


# Opening to read


def test_a_ledger_opened_to_read_is_not_touched(tmp_path: Path) -> None:
    """Not a byte of it, and every attempt to write is refused."""
    with opened(tmp_path) as ledger:
        admit(gate_of(ledger, run()))
    before = (tmp_path / "storyreel.db").read_bytes()

    with Ledger.open(url_of(tmp_path), read_only=True) as ledger:
        found = table_rows(ledger, attempts, "run_id")
        with pytest.raises(StorageError, match="readonly database"):
            ledger.record_heartbeat("run-1")

    assert (found, (tmp_path / "storyreel.db").read_bytes()) == ([("run-1",)], before)


def test_a_ledger_is_read_while_another_connection_writes(ledger: Ledger, tmp_path: Path) -> None:
    """Neither waits for the other; what is not committed is not found."""
    with ledger.database.transaction() as writer:
        writer.execute(insert(gates).values(endpoint="http://flux.test", tat=0, cool_until=0))
        with Ledger.open(url_of(tmp_path), read_only=True) as reader:
            seen = table_rows(reader, gates, "endpoint")

    assert seen == []


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (SCHEMA_VERSION + 1, f"this storyreel knows {SCHEMA_VERSION}: upgrade storyreel"),
        (
            SCHEMA_VERSION - 1,
            f"this storyreel reads {SCHEMA_VERSION}: any command that writes, like `storyreel ledger`, "
            "brings it up to date",
        ),
    ],
)
def test_a_ledger_of_another_version_is_not_read(tmp_path: Path, version: int, message: str) -> None:
    """To bring it up to date would be to write."""
    with opened(tmp_path) as ledger:
        alter(ledger, meta, {"schema_version": version})

    with pytest.raises(LedgerError) as caught:
        Ledger.open(url_of(tmp_path), read_only=True)

    assert str(caught.value) == f"{url_of(tmp_path)}: the ledger has schema version {version}, {message}"


def test_a_ledger_that_lacks_a_table_gets_it(tmp_path: Path, ledger: Ledger) -> None:
    """Made by a storyreel on the way to this version: it is not read as it is, and opened to read it is made whole."""
    url = url_of(tmp_path / "older")
    Ledger.open(url).close()
    with closing(sqlite3.connect(tmp_path / "older" / "storyreel.db")) as database:
        database.execute("DROP TABLE folders")

    with pytest.raises(OutdatedLedgerError):
        Ledger.open(url, read_only=True)
    with Ledger.open_to_read(url) as opened_to_read:
        assert opened_to_read.folder_owner(tmp_path) is None
        assert schema_of(opened_to_read) == schema_of(ledger)


def test_a_database_without_a_ledger_is_not_read(tmp_path: Path) -> None:
    """Nor is one made in it."""
    (tmp_path / "storyreel.db").touch()

    with pytest.raises(LedgerError, match="holds no ledger yet; render a storyboard first"):
        Ledger.open(url_of(tmp_path), read_only=True)

    assert (tmp_path / "storyreel.db").read_bytes() == b""


def test_a_ledger_with_an_odd_name_is_read(tmp_path: Path) -> None:
    """No character of a folder's name means anything to SQLite."""
    folder = tmp_path / "50% of #1?"
    with opened(folder):
        pass

    with Ledger.open(url_of(folder), read_only=True) as ledger:
        assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]


def test_a_ledger_of_a_newer_storyreel_is_left_alone(tmp_path: Path) -> None:
    """The message says which versions meet and what to do; nothing is written."""
    with opened(tmp_path) as ledger:
        alter(ledger, meta, {"schema_version": SCHEMA_VERSION + 1})
    before = (tmp_path / "storyreel.db").read_bytes()

    with pytest.raises(LedgerError) as caught, opened(tmp_path):
        pass

    assert str(caught.value) == (
        f"{url_of(tmp_path)}: the ledger has schema version {SCHEMA_VERSION + 1}, "
        f"this storyreel knows {SCHEMA_VERSION}: upgrade storyreel"
    )
    assert (tmp_path / "storyreel.db").read_bytes() == before


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    """A damaged file is named, with the cure, and left as it is."""
    (tmp_path / "storyreel.db").write_bytes(b"this is not a database" * 100)

    with pytest.raises(LedgerError) as caught, opened(tmp_path):
        pass

    assert str(caught.value) == f"{url_of(tmp_path)}: the ledger cannot be opened: file is not a database; {CURE}"
    assert (tmp_path / "storyreel.db").read_bytes() == b"this is not a database" * 100


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder in the database's place is named, with the cure."""
    (tmp_path / "storyreel.db").mkdir()

    with pytest.raises(LedgerError) as caught, opened(tmp_path):
        pass

    assert str(caught.value) == f"{url_of(tmp_path)}: the ledger cannot be opened: unable to open database file; {CURE}"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file is where the output folder should be; that stops root too."""
    (tmp_path / "outputs").write_text("in the way")

    with pytest.raises(LedgerError) as caught, opened(tmp_path / "outputs"):
        pass

    assert str(caught.value).startswith(f"{url_of(tmp_path / 'outputs')}: the ledger cannot be opened: [Errno 17]")
    assert str(caught.value).endswith(CURE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    """Another user's output folder is named, with the cure."""
    tmp_path.chmod(0o555)

    with pytest.raises(LedgerError) as caught, opened(tmp_path):
        pass

    assert str(caught.value) == f"{url_of(tmp_path)}: the ledger cannot be opened: unable to open database file; {CURE}"


def test_a_database_that_may_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archived one can be accounted for; what would write in it is a storage error."""
    with opened(tmp_path) as ledger:
        gate_of(ledger, run())

    monkeypatch.chdir(tmp_path)
    with Ledger.open(f"sqlite:///file:{tmp_path / 'storyreel.db'}?mode=ro&uri=true") as ledger:
        assert table_rows(ledger, runs, "run_id") == [("run-1",)]
        with pytest.raises(
            StorageError, match="cannot be written: attempt to write a readonly database; what was generated is kept"
        ):
            ledger.start_run(run("run-2"))
    assert not (tmp_path / "file:").exists()


def test_a_locked_database_cannot_be_opened(tmp_path: Path, impatient: None) -> None:
    """The lock of another connection is the reason given."""
    with (
        opened(tmp_path) as ledger,
        ledger.database.transaction(),
        pytest.raises(LedgerError, match="database is locked; check"),
    ):
        Ledger.open(url_of(tmp_path))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", "STORYREEL_DATABASE_URL"),
        ("harbor hunter2", "STORYREEL_DATABASE_URL"),
        ("postgresql://amy:hunter2@ledger.test:port/reel", "STORYREEL_DATABASE_URL"),
        ("oracular://amy:hunter2@ledger.test/reel", "oracular://amy:***@ledger.test/reel"),
        ("postgresql+nothing://amy:hunter2@ledger.test/reel", "postgresql+nothing://amy:***@ledger.test/reel"),
        ("oracular://ledger.test/reel?password=hunter2", "oracular://ledger.test/reel"),
        ("oracular://amy:pass@hunter2@ledger.test/reel", "oracular://amy:***@ledger.test/reel"),
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_password(url: str, shown: str) -> None:
    """Whatever is wrong with the address, the message names it and the cure, and never a password."""
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url)

    assert str(caught.value).startswith(f"{shown}: the ledger cannot be opened: ")
    assert str(caught.value).endswith(CURE)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_ledger_is_not_kept_in_memory(url: str) -> None:
    """Each thread would have a ledger of its own there, and it would be gone with the run."""
    with pytest.raises(LedgerError, match=f": a ledger in memory would end with the thread .*; name a file; {CURE}$"):
        Ledger.open(url)


def test_processes_that_open_a_new_ledger_at_once_all_succeed(tmp_path: Path) -> None:
    """The first run on a farm finds no file, in many places at the same moment."""
    program = f"from pipelines.ledger.ledger import Ledger; Ledger.open({url_of(tmp_path)!r}).close()"

    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate()[1] for process in processes]

    assert errors == [""] * 4


def test_threads_that_open_a_new_ledger_at_once_all_succeed(tmp_path: Path) -> None:
    """Making the tables is one transaction; the second thread finds them made."""
    start, failures = threading.Barrier(8), list[BaseException]()

    def open_ledger() -> None:
        start.wait()
        try:
            with opened(tmp_path):
                pass
        except LedgerError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=open_ledger) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with opened(tmp_path) as ledger:
        assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]


def test_a_ledger_that_is_just_being_made_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite refuses the switch to its write-ahead log at once then, whatever its timeout."""
    with closing(_being_made(tmp_path)) as other:
        pauses = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            other.execute("COMMIT")

        monkeypatch.setattr("time.sleep", pause)
        with opened(tmp_path) as ledger:
            assert table_rows(ledger, meta, "schema_version") == [(SCHEMA_VERSION,)]

    assert len(pauses) == 1


@pytest.mark.usefixtures("impatient")
def test_a_ledger_that_is_never_finished_being_made_is_an_error(tmp_path: Path) -> None:
    """The wait has an end."""
    with closing(_being_made(tmp_path)), pytest.raises(LedgerError, match=f"database is locked; {CURE}$"):
        Ledger.open(url_of(tmp_path))


def _being_made(folder: Path) -> sqlite3.Connection:
    """Return a connection that is in the middle of making a ledger."""
    connection = sqlite3.connect(folder / "storyreel.db", isolation_level=None)
    connection.execute("CREATE TABLE begun (x)")
    connection.execute("BEGIN IMMEDIATE")
    return connection


# Whether there is one


def test_asking_whether_a_ledger_exists_makes_none(tmp_path: Path) -> None:
    """A quote must leave no file behind."""
    before = ledger_exists(url_of(tmp_path))
    with opened(tmp_path):
        pass

    assert (before, ledger_exists(url_of(tmp_path))) == (False, True)


@pytest.mark.parametrize(("url", "exist"), [("sqlite://", False), ("postgresql://ledger.test/reel", True)])
def test_a_ledger_on_a_server_is_taken_to_exist(url: str, exist: bool) -> None:
    """A database server is asked by opening it; memory holds no ledger from before."""
    assert ledger_exists(url) is exist


@pytest.mark.parametrize("url", ["harbor", "postgresql://amy:hunter2@ledger.test:port/reel"])
def test_asking_at_an_address_that_is_none_is_a_usage_error(url: str) -> None:
    """`plan` reports a wrong address as `render` does."""
    with pytest.raises(LedgerError, match=r"^STORYREEL_DATABASE_URL: the ledger cannot be opened: ") as caught:
        ledger_exists(url)

    assert "hunter2" not in str(caught.value)
