"""The clients that flux-api.md shows, against the served API: curl, Python, Node and PHP, with the same calls."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from pipelines.server.config import EngineKind, ServerConfig, parse_fault
from pipelines.server.running import serve_in_thread
from tests.support.patience import WAIT_S
from tests.support.upstreams import passing_on
from tests.support.workerd import Deployment

CLIENTS = Path(__file__).parents[1] / "fixtures" / "clients"
NODE_CLIENT = ["node", str(CLIENTS / "image.js")]
PYTHON_CLIENT = [sys.executable, str(CLIENTS / "image.py")]
PHP_CLIENT = ["php", str(CLIENTS / "image.php")]


def _needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"there is no {program} here")


@pytest.fixture(scope="module", params=["drawn", "passed on"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of an API that draws, and then of one in front of it."""
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(serve_in_thread(ServerConfig(engine=EngineKind.PLAIN)))
        if request.param == "passed on":
            address = stack.enter_context(passing_on(address, tmp_path_factory.mktemp("passing")))
        yield address


def run(command: list[str], folder: Path) -> str:
    """Run a client in a folder, and return what it prints."""
    # Where Node finds the package that stands beside the client.
    environment = {**os.environ, "NODE_PATH": str(CLIENTS)}
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=WAIT_S
    ).stdout


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture, formats=["PNG"]) as opened:
        opened.load()
        return opened.size


@_needs("curl")
def test_curl_saves_an_image(url: str, tmp_path: Path) -> None:
    """The quick start: a prompt alone, and the body into a file."""
    body = '{"prompt": "a beautiful sunset"}'
    run(["curl", "-sS", "-X", "POST", url, "-H", "Content-Type: application/json", "-d", body, "-o", "a.png"], tmp_path)

    assert size_of(tmp_path / "a.png") == (1024, 1024)


@_needs("curl")
def test_the_command_that_the_address_shows_works(url: str, tmp_path: Path) -> None:
    """A person opens the address in a browser, and copies the line into a shell."""
    shown = httpx.get(url, timeout=WAIT_S).text
    command = next(line for line in shown.splitlines() if line.lstrip().startswith("curl"))
    run(shlex.split(command), tmp_path)

    assert size_of(tmp_path / "image.png") == (1024, 1024)


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        pytest.param(PYTHON_CLIENT, "Cost: 0.0342 baht\n", id="python"),
        pytest.param(NODE_CLIENT, "Cost: 0.0342 baht\nSize: 1344x768\n", id="node", marks=_needs("node")),
        pytest.param(PHP_CLIENT, "Cost: 0.0342 baht\n", id="php", marks=_needs("php")),
    ],
)
def test_a_program_saves_an_image_and_reads_its_cost(
    url: str, tmp_path: Path, command: list[str], printed: str
) -> None:
    """Six steps of a landscape: (6 x 0.000053 + 6 x 0.00011) USD x 35."""
    assert run([*command, url, "a cat wearing a hat"], tmp_path) == printed
    assert size_of(tmp_path / "image.png") == (1344, 768)


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        pytest.param(PYTHON_CLIENT, "Cost: 0.0305 baht\n", id="python"),
        pytest.param(NODE_CLIENT, "Cost: 0.0305 baht\nSize: 1024x1024\n", id="node", marks=_needs("node")),
        pytest.param(PHP_CLIENT, "Cost: 0.0305 baht\n", id="php", marks=_needs("php")),
    ],
)
def test_a_program_reads_what_the_worker_made(
    deployment: Deployment, tmp_path: Path, command: list[str], printed: str
) -> None:
    """A square, though a landscape was asked for, and no other cost: (4 x 0.000053 + 6 x 0.00011) USD x 35."""
    assert run([*command, deployment.url, "a cat wearing a hat"], tmp_path) == printed


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        pytest.param(PYTHON_CLIENT, "Error: {'error': 'Prompt is required'}\n", id="python"),
        pytest.param(NODE_CLIENT, "Failed: Prompt is required\n", id="node", marks=_needs("node")),
        pytest.param(PHP_CLIENT, 'Error: {"error":"Prompt is required"}\n', id="php", marks=_needs("php")),
    ],
)
def test_a_program_reads_what_is_wrong(url: str, tmp_path: Path, command: list[str], printed: str) -> None:
    """The error is where the documentation says, and nothing is saved."""
    assert run([*command, url, ""], tmp_path) == printed
    assert list(tmp_path.iterdir()) == []


def test_a_cost_is_found_in_the_text_of_the_headers(url: str) -> None:
    """With the pattern of the PHP example, which heeds case; here also where there is no PHP."""
    answer = httpx.post(url, json={"prompt": "a dragon", "steps": 6, "aspectRatio": "16:9"}, timeout=WAIT_S)
    block = b"".join(b"%b: %b\r\n" % header for header in answer.headers.raw).decode()

    assert re.findall(r"X-Cost-THB: ([\d.]+)", block) == ["0.0342"]


def test_a_program_adds_up_the_cost_of_frames(url: str, tmp_path: Path) -> None:
    """Three landscapes of four steps."""
    client = [sys.executable, str(CLIENTS / "frames.py"), url]
    prompts = [f"a cat {verb} in a garden, morning light" for verb in ("sitting", "standing up", "walking")]
    printed = run([*client, *prompts], tmp_path)

    assert printed == "Total: 0.0795 baht\n"
    sizes = {picture.name: size_of(picture) for picture in tmp_path.iterdir()}
    assert sizes == {f"frame_{number:04d}.png": (1344, 768) for number in range(3)}


def test_a_program_waits_out_the_rate_limit(tmp_path: Path) -> None:
    """It is told 429 once, waits, and gets its image."""
    faults = (parse_fault("rate-limit=0.5"),)
    # With the seed 0 the first request has the fault, and the second has none.
    with serve_in_thread(ServerConfig(engine=EngineKind.PLAIN, faults=faults)) as url:
        printed = run([sys.executable, str(CLIENTS / "patient.py"), url, "a harbor"], tmp_path)

    assert printed == "Waiting 1 s\nSaved\n"
    assert size_of(tmp_path / "image.png") == (1024, 1024)


def test_a_program_is_told_other_errors_and_broken_connections(tmp_path: Path) -> None:
    """A 500 with its text; an answer that breaks off is an exception of the client's own."""
    printed = []
    for fault in ("refused=1", "truncate=1", "reset=1"):
        with serve_in_thread(ServerConfig(engine=EngineKind.PLAIN, faults=(parse_fault(fault),))) as url:
            printed.append(run([sys.executable, str(CLIENTS / "patient.py"), url, "a harbor"], tmp_path))

    assert printed == [
        'Error 500: {"error":"Failed to generate image"}\n' * 3,
        "Failed: ChunkedEncodingError\n" * 3,
        "Failed: ConnectionError\n" * 3,
    ]
