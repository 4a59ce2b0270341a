"""The Dockerfile and compose.yaml, by their own linters and by what the docs promise of them; no engine is needed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, clean_environment
from tests.support.patience import WAIT_S

REPOSITORY = Path(__file__).parents[2]
PATH = f"{BIN}{os.pathsep}{os.environ['PATH']}"


def linter(name: str) -> str:
    """Return the path of a program; without it the test is skipped."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed; .ci/run does it, from PyPI")
    return found


def dockerfile() -> list[str]:
    """Return the lines of the Dockerfile without its comments."""
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the services of compose.yaml, as Compose itself understands them beside an .env of one line."""
    compose = linter("docker-compose")
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(REPOSITORY / "compose.yaml", folder)
    (folder / ".env").write_text("POSTGRES_PASSWORD=secret\n")
    done = subprocess.run(
        [compose, "--project-directory", folder, "config", "--format", "json"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    # Its wrapper from PyPI drops the exit code.
    assert (done.stderr, bool(done.stdout)) == ("", True)
    return dict(json.loads(done.stdout)["services"])


def test_the_dockerfile_passes_its_linter() -> None:
    """No rule of hadolint is switched off."""
    done = subprocess.run(
        [linter("hadolint"), "--no-color", REPOSITORY / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_one_that_a_pool_can_run() -> None:
    """As a user by number, with the pool's own command, and without a claim about where films stay."""
    lines = dockerfile()

    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert not [line for line in lines if "ENTRYPOINT" in line or "STORYREEL_ROOT" in line]


def test_only_the_page_is_published_and_only_to_this_machine(services: dict[str, Any]) -> None:
    """Neither a database nor a worker has a port on the host."""
    published = {
        name: [(port["host_ip"], port["published"]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }

    assert published == {"server": [("127.0.0.1", "4200")]}


def test_workers_share_the_ledger_and_the_folder(services: dict[str, Any]) -> None:
    """A database without the folder would pay twice; nor may the folder be one that Docker makes, as root."""
    worker = services["worker"]
    [films] = worker["volumes"]

    assert worker["environment"]["STORYREEL_DATABASE_URL"] == "postgresql+psycopg://storyreel:secret@postgres/storyreel"
    assert worker["environment"]["STORYREEL_ROOT"] == films["target"] == "/films"
    assert (films["type"], films["bind"].get("create_host_path", False)) == ("bind", False)


def test_lanes_have_workers_of_their_own(services: dict[str, Any]) -> None:
    """A run that waits for its lanes must not take their place, nor they that of a run; all else is the same."""
    worker, lane = services["worker"], services["lane"]

    assert {**lane, "command": None} == {**worker, "command": None}
    work = "prefect worker start --pool storyreel --work-queue {} --limit 1 --with-healthcheck"
    assert [" ".join(service["command"]) for service in (worker, lane)] == [
        work.format("default"),
        work.format("lanes"),
    ]


@pytest.mark.parametrize("name", ["server", "deploy", "worker", "lane"])
def test_services_of_the_image_may_write_nowhere_but_in_their_volumes(services: dict[str, Any], name: str) -> None:
    """They have no rights beyond those of a user, and none to gain."""
    service = services[name]

    assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "1000:1000"
