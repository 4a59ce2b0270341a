"""The logs of real runs: a local run's and a task run's say the same of a take, and none holds a secret."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic import SecretStr

from pipelines.common.errors import StoryreelError
from pipelines.common.settings import Settings
from pipelines.run.local import run_locally
from pipelines.storyboard.loader import load_storyboard
from tests.conftest import Ended, Storyreel, serving

TAKE_LOG = "pipelines.run.take_log"
TAKE = "frame_0000 arrival/wide"
SECRETS = ("hunter2", "swordfish", "xyzzy-42")


@pytest.fixture
def harbor(write: Callable[[str], Path]) -> Path:
    """A storyboard of one frame with a fallback prompt."""
    return write(
        "output: {fps: 12, size: 64x64}\n"
        "defaults: {aspect: 1:1, steps: 1, hold: 250ms}\n"
        "scenes:\n"
        "  - id: arrival\n"
        "    shots: [{id: wide, prompt: a quiet harbor, fallback_prompts: [an oil painting]}]\n"
    )


@contextmanager
def captured(name: str) -> Iterator[list[str]]:
    """Yield the messages at INFO of a logger while the block lasts.

    Not with caplog: Prefect removes its handler from the root logger when it configures logging.
    """
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger(name), Handler(logging.INFO)
    level_before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield messages
    finally:
        logger.setLevel(level_before)
        logger.removeHandler(handler)


def without_times(lines: list[str]) -> list[str]:
    """Return the lines with every wait, which is drawn at random, as N."""
    return [re.sub(r"\d+\.\d s", "N s", line) for line in lines]


def render(path: Path, settings: Settings) -> StoryreelError | None:
    """Render without Prefect; return why the run is not whole."""
    try:
        asyncio.run(run_locally(load_storyboard(path), settings))
    except StoryreelError as error:
        return error
    return None


def settings(folder: Path, **values: object) -> Settings:
    return Settings(output=folder / "outputs", rate_limit=60_000, model="sketch", **values)  # type: ignore[arg-type]


def test_a_local_run_logs_what_happens(harbor: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run, its price, its stages, each take and the film, at INFO; by module."""
    with caplog.at_level(logging.INFO, logger="pipelines"):
        error = render(harbor, settings(tmp_path))

    assert error is None
    run_id = caplog.messages[1].split()[2]
    assert [
        (record.name, record.levelname, record.getMessage().replace(run_id, "ID")) for record in caplog.records
    ] == [
        (f"pipelines.run.{module}", "INFO", message)
        for module, message in [
            ("context", f"board: storyboard {harbor}, 1 frame; results in {tmp_path}/outputs"),
            (
                "context",
                "board: run ID asks the embedded endpoint for model sketch, at most 60000 requests a minute and 128 "
                "at once; its costs are simulated",
            ),
            ("context", "board: budget: none"),
            ("pipeline", "board: 1 to generate for 0.000322 USD, at worst 0.002576 USD; 0 to reuse"),
            ("progress", "board: generating frames"),
            ("take_log", f"{TAKE}: generated with 1 request"),
            ("progress", "board: publishing frames"),
            ("progress", "board: assembling the film"),
            ("pipeline", f"{tmp_path}/outputs/board/board.mp4: 0.2 s at 64x64"),
            ("progress", "board: writing the report"),
            ("context", "board: 1 frame: 1 generated, 0 reused, 0 failed, with 1 request"),
            (
                "context",
                "board: cost: 0.000322 USD, 0.01127 THB, 28.8 neurons (simulated); "
                f"ledger: {tmp_path}/outputs/board/ledger.csv",
            ),
            ("context", f"board: report: {tmp_path}/outputs/board/report.html"),
            ("context", "board: run ID ended: Completed"),
        ]
    ]


def test_retries_fallbacks_and_failures_are_logged(
    harbor: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with its reason; the last line says what became of the take."""
    with serving("refused=1") as url, caplog.at_level(logging.INFO, logger="pipelines"):
        error = render(harbor, settings(tmp_path, endpoint=url))

    assert error is not None
    refused = next(text for text in caplog.messages if "sending again" in text).partition(" s: ")[2]
    assert re.fullmatch(r"prompt refused \(\d+ .*\)", refused)
    assert without_times([record.getMessage() for record in caplog.records if record.name == TAKE_LOG]) == [
        f"{TAKE}: sending again in N s: {refused}",
        f"{TAKE}: {refused}: trying the next fallback prompt",
        f"{TAKE}: sending again in N s: {refused}",
        f"{TAKE}: {refused}: trying the next fallback prompt",
        f"{TAKE}: failed: {refused}; reword the prompt or add fallback_prompts",
    ]


def test_a_damaged_take_is_a_warning(harbor: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was paid for, and is generated again."""
    render(harbor, settings(tmp_path))
    [take] = (tmp_path / "outputs/board/takes").glob("*.png")
    take.write_bytes(take.read_bytes()[:-20])
    caplog.clear()

    error = render(harbor, settings(tmp_path))

    assert error is None
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "board: frame_0000 arrival/wide: its take is damaged, and moved to takes/unusable" in warnings


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refused=1", "server-error=0"])
def test_a_task_run_s_log_has_the_lines_of_the_local_one(
    storyreel_on_prefect: Storyreel, harbor: Path, tmp_path: Path, fault: str
) -> None:
    """Under Prefect both logs get them: the task run's, and the command's on stderr; a local run's are the same."""
    from prefect.logging.configuration import setup_logging

    # Otherwise the first flow of the process would configure the loggers, and drop our handler.
    setup_logging()
    with serving(fault) as url:
        with captured("prefect.task_runs") as messages:
            arguments = ("--endpoint", url, "--model", "sketch", "--rate-limit", "60000", "--output", "flow")
            ended = storyreel_on_prefect("render", str(harbor), *arguments, "-v")
        with captured(TAKE_LOG) as local:
            render(harbor, settings(tmp_path, endpoint=url))

    # Prefect adds lines of its own about the task run's state.
    task_run = [message for message in messages if message.startswith(TAKE)]
    lines = [re.sub(r"^\d\d:\d\d:\d\d INFO \S+: ", "", line) for line in ended.stderr.splitlines() if TAKE_LOG in line]
    assert task_run
    assert task_run == lines
    assert without_times(task_run) == without_times(local)


@pytest.mark.slow
def test_a_quiet_render_prints_nothing_but_its_error(storyreel_on_prefect: Storyreel, harbor: Path) -> None:
    """No display, no summary; JSON where it is asked for."""
    whole = storyreel_on_prefect("render", str(harbor), "--quiet")
    with serving("refused=1") as url:
        failed = storyreel_on_prefect(
            "render", str(harbor), "--endpoint", url, "-q", "--json", "--output", "other", "--model", "x"
        )

    assert whole == Ended(0, "", "")
    assert (failed.exit_code, failed.json["state"]) == (4, "Incomplete")
    assert failed.stderr == f"{failed.json['error']}\n"


@pytest.mark.parametrize("fault", ["server-error=0", "server-error=1", "authentication=1", "truncate=1"])
def test_no_secret_is_logged(harbor: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    """Neither the token nor the password or the key in the endpoint's URL, by no library and at no level."""
    with serving(fault) as url, caplog.at_level(logging.DEBUG):
        scheme, netloc, *_ = urlsplit(url)
        endpoint = urlunsplit((scheme, f"amy:hunter2@{netloc}", "/", "key=swordfish", ""))
        render(harbor, settings(tmp_path, endpoint=endpoint, api_token=SecretStr("xyzzy-42"), max_resends=1))

    assert f"{TAKE}: " in caplog.text
    assert f"HTTP Request: POST {url}" in caplog.text
    assert [secret for secret in SECRETS if secret in caplog.text] == []


def test_an_endpoint_that_cannot_be_reached_is_logged_without_secrets(
    harbor: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is named, and no more of its URL."""
    with serving() as url:
        address = url
    endpoint = address.replace("http://", "http://amy:hunter2@")

    with caplog.at_level(logging.DEBUG):
        error = render(harbor, settings(tmp_path, endpoint=endpoint, api_token=SecretStr("xyzzy-42"), max_connects=1))

    assert error is not None
    assert f"cannot connect to {address}" in caplog.text
    assert [secret for secret in SECRETS if secret in caplog.text + str(error)] == []
