"""A run is entered in the ledger before its first request, and closed with its state however it ends."""

from pathlib import Path

import pytest
from sqlalchemy import select

from pipelines.common.errors import BudgetError, StorageError
from pipelines.common.settings import Settings
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptRequest, RunState
from pipelines.ledger.schema import attempts, runs
from pipelines.run.context import RunContext, ledger_path, open_run
from pipelines.run.observer import RunObserver
from pipelines.run.preparation import PreparedRun, prepare_run
from pipelines.storyboard.loader import load_storyboard
from pipelines.takes.place import read_place
from tests.support import builders
from tests.support.builders import take_spec
from tests.support.ledger import kill, table_rows
from tests.support.pictures import picture_bytes, write


async def prepared_in(folder: Path) -> PreparedRun:
    """Return a run of one frame, ready to be opened."""
    path = folder / "pets.yaml"
    path.write_text("prompts: [a cat]\n")
    return await prepare_run(load_storyboard(path), Settings(output=folder / "outputs", max_wait_s=1))


def entries(context: RunContext) -> list[tuple[object, ...]]:
    """Return what the ledger says of all runs."""
    return table_rows(context.ledger.blocking, runs, "storyboard", "state", "stage")


def left_open(folder: Path, storyboard: str) -> None:
    """Leave an attempt of a storyboard open, as a killed run does."""
    which = builders.run(f"run of {storyboard}", storyboard=storyboard)
    with Ledger.open(f"sqlite:///{folder / 'outputs/storyreel.db'}") as ledger:
        ledger.start_run(which)
        spec = take_spec(prompt=storyboard)
        ledger.gate(which, rate_limit=720).admit(AttemptRequest(spec, spec.prompt, 1))
        kill(ledger, which.run_id)


async def test_a_run_is_entered_while_it_lasts_and_closed_after(tmp_path: Path) -> None:
    """Its last counters are kept, and its ledger.csv is written."""
    prepared, observer = await prepared_in(tmp_path), RunObserver()

    async with open_run(prepared, observer) as context:
        during = [row[:2] for row in entries(context)]
        observer.progress.enter("writing the report")

    with Ledger.open(prepared.settings.effective_database_url) as ledger:
        after = table_rows(ledger, runs, "storyboard", "state", "stage")
    assert (during, after) == ([("pets", None)], [("pets", RunState.COMPLETED, "writing the report")])
    assert ledger_path(prepared.settings, "pets").read_text().startswith("attempt_id,run_id,storyboard,")


async def test_what_is_known_of_a_run_is_shown_from_the_start(tmp_path: Path) -> None:
    """Before anything is generated."""
    observer = RunObserver()

    async with open_run(await prepared_in(tmp_path), observer):
        assert (observer.progress.storyboard, observer.progress.frames, observer.progress.simulated) == (
            "pets",
            1,
            True,
        )


@pytest.mark.parametrize(
    ("error", "state"), [(BudgetError("too dear"), RunState.OVER_BUDGET), (ZeroDivisionError("a bug"), RunState.FAILED)]
)
async def test_a_run_that_fails_is_closed_with_its_state(tmp_path: Path, error: Exception, state: RunState) -> None:
    """The error comes up as it is."""
    prepared = await prepared_in(tmp_path)

    with pytest.raises(type(error)):
        async with open_run(prepared, RunObserver()):
            raise error

    with Ledger.open(prepared.settings.effective_database_url) as ledger:
        assert table_rows(ledger, runs, "state") == [(state,)]


async def test_what_killed_runs_left_open_is_closed_first(tmp_path: Path) -> None:
    """Of every storyboard in this output folder; one that lies elsewhere is left to its own next run."""
    prepared = await prepared_in(tmp_path)
    for storyboard in ("pets", "harbor", "elsewhere"):
        left_open(tmp_path, storyboard)
    (tmp_path / "outputs/harbor/takes").mkdir(parents=True)

    async with open_run(prepared, RunObserver()) as context:
        with context.ledger.blocking.database.reading() as connection:
            rows = connection.execute(select(attempts.c.storyboard, attempts.c.status)).all()

    assert dict(map(tuple, rows)) == {"pets": "unknown", "harbor": "unknown", "elsewhere": None}


@pytest.mark.parametrize("storyboard", ["pets", "harbor"])
async def test_an_image_that_a_killed_run_left_is_kept_in_this_place(tmp_path: Path, storyboard: str) -> None:
    """As those are that this run generates; whichever storyboard's it is."""
    prepared = await prepared_in(tmp_path)
    left_open(tmp_path, storyboard)
    write(tmp_path / "outputs" / storyboard / "takes/.1.part", picture_bytes())

    async with open_run(prepared, RunObserver()) as context:
        kept = table_rows(context.ledger.blocking, attempts, "status", "place")

    assert kept == [("ok", read_place(tmp_path / "outputs").id)]
    assert context.store.place == read_place(tmp_path / "outputs")


async def test_a_folder_that_another_run_holds_is_not_written(tmp_path: Path) -> None:
    """After the longest wait that the settings allow, the run gives up."""
    prepared = await prepared_in(tmp_path)

    async with open_run(prepared, RunObserver()) as context, context.folder_lock:
        with pytest.raises(StorageError, match="another run has been at work here for too long"):
            async with context.folder_lock:
                pass
