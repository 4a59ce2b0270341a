"""Fixtures that the tests of the commands share: the command in an empty folder, and a storyboard with a take."""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.cli import main as cli
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptRequest, Billed, NewTake, Permit
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from tests.conftest import Ended
from tests.support.builders import run as a_run
from tests.support.pictures import picture_bytes

BOARD = "title: Harbor\ndefaults: {aspect: 1:1, hold: 2s}\nprompts: [a, b, c]\n"


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Return a function that runs the command in a folder that holds harbor.yaml alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STORYREEL_ENDPOINT", raising=False)
    (tmp_path / "harbor.yaml").write_text(BOARD)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        exit_code = cli.run(arguments)
        printed = capsys.readouterr()
        return Ended(exit_code, printed.out, printed.err)

    return run


@pytest.fixture
def first_take(invoke: Callable[..., Ended], tmp_path: Path) -> Path:
    """Return the only take of harbor.yaml: of its first frame, a sketch, with its row in the ledger."""
    plan = plan_frames(load_storyboard(tmp_path / "harbor.yaml"), model="sketch")
    spec = plan.frames[0].first_take
    run = a_run(storyboard="harbor", model="sketch", simulated=True)
    take = tmp_path / "outputs/harbor/takes" / f"{spec.request_key}.png"
    take.parent.mkdir(parents=True)
    take.write_bytes(picture_bytes())
    sha256 = hashlib.sha256(picture_bytes()).hexdigest()
    with Ledger.open(f"sqlite:///{tmp_path}/outputs/storyreel.db") as ledger:
        ledger.start_run(run)
        permit = ledger.gate(run, rate_limit=720).admit(AttemptRequest(spec, spec.prompt, 1))
        assert isinstance(permit, Permit)
        ledger.settle_bill(permit.attempt_id, Billed(Decimal("0.000652"), Decimal("57.6"), 4))
        ledger.keep_take(permit.attempt_id, NewTake(f"takes/{take.name}", len(picture_bytes()), sha256, 1024, 1024))
    return take
