"""The local Prefect API where it does not start: tried once more, and then its reason."""

import os
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest

from pipelines.common.errors import PrefectUnavailableError, UsageError
from pipelines.flows import local_api, local_server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that puts a program in the server's place; it returns a file with a line for each start."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))

    def put(script: str) -> Path:
        program, starts = tmp_path / "server", tmp_path / "starts"
        program.write_text(f"#!/bin/sh\necho started >> {starts}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(program))
        return starts

    return put


def test_one_that_ends_is_started_once_more_and_its_reason_told(server: Callable[[str], Path]) -> None:
    """Its exit code, and the end of what it wrote."""
    starts = server("echo 'table flow already exists' >&2; exit 3")
    steps: list[str] = []

    with local_api.prefect_api() as api, pytest.raises(PrefectUnavailableError) as raised:
        api.wait_until_up(steps.append)

    assert steps == ["starting Prefect, for the first time: about half a minute"]
    assert starts.read_text().count("started") == 2
    assert str(raised.value).startswith("Prefect's API did not start: it ended with exit code 3: table flow already")


def test_one_that_does_nothing_is_given_up(server: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a word, though it wrote none."""
    monkeypatch.setattr(local_server, "_IDLE_S", 0.5)
    monkeypatch.setattr(local_server, "_HEALTH_TIMEOUT_S", 0.2)
    starts = server("read line")

    with local_api.prefect_api() as api, pytest.raises(PrefectUnavailableError) as raised:
        api.wait_until_up(print)

    assert starts.read_text() == "started\n"
    assert str(raised.value) == "Prefect's API did not start: it has done nothing for 0.5 s, and gave no reason"


def test_the_environment_is_left_as_it_was(server: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """But within the block, this machine is asked through no proxy."""
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.delenv("no_proxy", raising=False)
    server("read line")

    with local_api.prefect_api():
        inside = os.environ["NO_PROXY"], os.environ["no_proxy"]

    assert inside == ("intranet,127.0.0.1,localhost,::1",) * 2
    assert (os.environ["NO_PROXY"], "no_proxy" in os.environ, "PREFECT_API_URL" in os.environ) == (
        "intranet",
        False,
        False,
    )


@pytest.mark.parametrize(
    ("value", "usable"), [("socks4://x:1", False), ("proxy:3128", True), ("http://proxy:1", True), ("", True)]
)
def test_a_proxy_of_another_kind_is_refused(
    server: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, value: str, usable: bool
) -> None:
    """Without a scheme it is one of HTTP."""
    monkeypatch.setenv("all_proxy", value)
    server("read line")

    try:
        with local_api.prefect_api():
            refused = False
    except UsageError:
        refused = True

    assert refused is not usable


def test_a_clock_that_was_never_set_is_told(server: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything waits for a server that would never answer."""

    class Epoch(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(1970, 1, 1, 0, 0, 10, tzinfo=tz)

    monkeypatch.setattr(local_api, "datetime", Epoch)
    starts = server("read line")

    with pytest.raises(UsageError) as raised, local_api.prefect_api():
        pass

    assert str(raised.value) == "the clock of this machine says 1970-01-01 00:00 UTC; set it, then run again"
    assert not starts.exists()
