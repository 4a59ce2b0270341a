"""A first run as a newcomer sees it, and what becomes of the Prefect API that it brings."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import imageio_ffmpeg
import psutil
import pytest

from tests.conftest import BIN, clean_environment
from tests.support.patience import WAIT_S

pytestmark = pytest.mark.slow

BOARD = """title: Harbor
output: {fps: 12, size: 192x192}
defaults: {aspect: 1:1, hold: 500ms}
prompts: [a harbor, a storm]
"""


def render(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Render the storyboard in an empty folder, as a newcomer does."""
    (folder / "harbor.yaml").write_text(BOARD)
    return subprocess.run(
        [BIN / "storyreel", "render", "harbor.yaml"],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def local_apis(run: psutil.Process) -> list[psutil.Process]:
    return [child for child in run.children() if "pipelines.flows.local_server_main" in " ".join(child.cmdline())]


def test_a_first_run_says_nothing_that_a_friend_should_not_see(tmp_path: Path) -> None:
    """No home, no Prefect state: the whole output is ours, to the letter, and nothing is left running."""
    (tmp_path / "home").mkdir()
    done = render(tmp_path, HOME=str(tmp_path / "home"))

    assert (done.returncode, done.stdout) == (0, "")
    said = done.stderr.splitlines()
    assert len(said) == len(set(said))
    *closing, review = said[-7:]
    assert said[0] == "starting Prefect, for the first time: about half a minute"
    assert all(
        line.split(",")[0] in ("starting Prefect", "starting") or line.startswith("harbor: ") for line in said[:-7]
    )
    assert closing[0].startswith("harbor: completed after ")
    assert closing[1:] == [
        "  frames  2: 2 generated, 0 reused, 0 failed",
        "  cost    0.001304 USD, 0.04564 THB for 2 requests, simulated: sketches are free",
        "  film    outputs/harbor/harbor.mp4, 1.0 s",
        "  ledger  outputs/harbor/ledger.csv",
        "  report  outputs/harbor/report.html",
    ]
    assert review == f"  review  {BIN}/storyreel review harbor.yaml: look, generate other takes, pick"
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "outputs/harbor/harbor.mp4")) == (12, 1.0)


def test_two_first_runs_at_once_both_come_through(tmp_path: Path) -> None:
    """One makes Prefect's database, the other waits for it."""
    (tmp_path / "home").mkdir()
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "harbor.yaml").write_text(BOARD)
        runs.append(
            subprocess.Popen(
                [BIN / "storyreel", "render", "harbor.yaml"],
                cwd=tmp_path / name,
                env=clean_environment(HOME=str(tmp_path / "home")),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    said = [run.communicate(timeout=WAIT_S)[1] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said
    assert all("Traceback" not in text for text in said)


def test_a_folder_that_prefect_cannot_use_is_named(tmp_path: Path) -> None:
    """With the variable that names another."""
    (tmp_path / "file").write_text("no folder")
    done = render(tmp_path, HOME=str(tmp_path), PREFECT_HOME=str(tmp_path / "file/prefect"))

    assert done.returncode == 2
    assert "Prefect cannot keep its state there: Not a directory; let PREFECT_HOME name a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_this_machine_is_never_asked_through_a_proxy(tmp_path: Path) -> None:
    """Neither Prefect's API nor the embedded endpoint, whatever the environment says."""
    (tmp_path / "home").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")
        done = render(tmp_path, HOME=str(tmp_path / "home"), NO_PROXY="", **dict.fromkeys(names, address))
        proxy.setblocking(False)

        assert done.returncode == 0, done.stderr
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.mark.parametrize("name", ["ALL_PROXY", "http_proxy"])
def test_a_proxy_that_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    """Before anything is started or sent."""
    done = render(tmp_path, HOME=str(tmp_path), **{name: "socks5://127.0.0.1:1080"})

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"{name}: names a proxy that cannot be used, of the kind 'socks5'; name an http:// one, or unset it; "
        "nothing was sent"
    )
    assert not (tmp_path / "outputs").exists()


def test_a_configured_prefect_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """Without its password, and before anything is sent."""
    done = render(tmp_path, HOME=str(tmp_path), PREFECT_API_URL="http://amy:pw@127.0.0.1:9/api")

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "asking Prefect's API",
        "Prefect's API at http://127.0.0.1:9/api/ cannot be reached: [Errno 111] Connection refused; start it, or "
        "unset PREFECT_API_URL, for one on this machine for the time of the run; nothing was sent",
    ]
    assert not (tmp_path / "outputs").exists()


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Prefect could not even be imported with them."""
    done = render(tmp_path, HOME=str(tmp_path), SSL_CERT_FILE="/nowhere/ca.pem")

    assert done.returncode == 2
    assert done.stderr == (
        "SSL_CERT_FILE: /nowhere/ca.pem: cannot be read: No such file or directory; let it name a file of certificates "
        "in PEM, or unset it; nothing was sent\n"
    )


def test_a_killed_run_takes_its_prefect_api_with_it(tmp_path: Path) -> None:
    """The API ends when the run that brought it is no more, however it ended."""
    (tmp_path / "harbor.yaml").write_text(BOARD)
    (tmp_path / "home").mkdir()
    with subprocess.Popen(
        [BIN / "storyreel", "render", "harbor.yaml"],
        cwd=tmp_path,
        env=clean_environment(HOME=str(tmp_path / "home")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        deadline = time.monotonic() + WAIT_S
        while not (apis := local_apis(psutil.Process(run.pid))):
            assert run.poll() is None, "it ended before it brought an API"
            assert time.monotonic() < deadline, "it brought no API"
            time.sleep(0.1)
        os.kill(run.pid, signal.SIGKILL)

    _, alive = psutil.wait_procs(apis, timeout=WAIT_S)
    assert alive == []
