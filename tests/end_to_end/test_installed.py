"""storyreel for somebody who has its wheel and no copy of the repository: the package, the command, the deployments."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import wave
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import clean_environment, wait_until
from tests.support.patience import WAIT_S
from tests.support.prefect_server import SHORT_WAITS, free_port, reap, wait_for_server

REPOSITORY = Path(__file__).parents[2]
BOARD = """\
title: Harbor
output: [{size: 192x192, fps: 12}, reel, gif]
audio: tone.wav
defaults: {aspect: 1:1, hold: 500ms}
scenes:
  - shots:
      - {prompt: a harbor at dawn, caption: "Dawn שלום 港"}
      - {prompt: a storm}
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installed")]


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment that holds the wheel.

    Attributes:
        wheel: what was installed.
        programs: the environment's folder of programs, the first on PATH.
        home: an empty folder.
    """

    wheel: Path
    programs: Path
    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment in which the virtual environment is active, with `more`."""
        path = f"{self.programs}{os.pathsep}{os.defpath}"
        own = {name: value for name, value in clean_environment().items() if not name.startswith("PYTHON")}
        return {**own, "PATH": path, "HOME": str(self.home), **more}

    def call(self, *command: str, cwd: Path, **environment: str) -> str:
        """Run a command to its end; return what it printed on stdout."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def running(self, *command: str, cwd: Path, **environment: str) -> Iterator["Running"]:
        """Run a command for as long as the block lasts."""
        log = self.home / f"{'-'.join(command[:2])}.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=cwd, env=self.environment(**environment), stdout=said, stderr=subprocess.STDOUT
            )
        try:
            yield Running(process, log)
        finally:
            reap(process)


@dataclass(frozen=True, slots=True)
class Running:
    """A server of storyreel's or Prefect's."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def address(self) -> str:
        """Return the address that it has said, once it has."""
        wait_until(lambda: "http://" in self.log.read_text())
        # What stands below it is how to ask there.
        address, *_ = re.findall(r"http://\S+", self.log.read_text())
        return str(address)


def build_context(folder: Path) -> Path:
    """Copy what the image is built of, as .dockerignore names it: it must be enough for the wheel."""
    named = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in named:
        source = REPOSITORY / name
        if source.is_dir():
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, symlinks=True, ignore=without)
        else:
            shutil.copy(source, folder / name)
    return folder


def build_wheel(folder: Path) -> Path:
    """Build the source distribution, and the wheel of that; return the wheel."""
    context, built = folder / "context", folder / "built"
    context.mkdir()
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", built, build_context(context)],
        check=True,
        capture_output=True,
        timeout=WAIT_S,
    )
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel and install it, on the packages that the tests have, and without the repository."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(folder)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=WAIT_S)
    python = venv / "bin/python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel],
        check=True,
        timeout=WAIT_S,
    )
    # A path within a .pth is searched, but not for further .pth: what is installed as editable stays out.
    own = sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)})
    Path(own, "packages.pth").write_text(sysconfig.get_path("purelib"))
    prefect = python.with_name("prefect")
    prefect.write_text(f'#!/bin/sh\nexec {python} -m prefect "$@"\n')
    prefect.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    return Installed(wheel, python.parent, home)


def write_board(folder: Path) -> None:
    """Write a storyboard with a sound of its own, a caption and presets."""
    (folder / "harbor.yaml").write_text(BOARD, encoding="utf-8")
    with wave.open(str(folder / "tone.wav"), "wb") as sound:
        sound.setparams((1, 2, 48_000, 0, "NONE", ""))
        sound.writeframes(bytes(range(256)) * 375)


def test_the_wheel_holds_the_package_to_the_last_file(installed: Installed) -> None:
    """Presets, templates and all other data, by way of the source distribution; and nothing that is not of it."""
    package = REPOSITORY / "pipelines"
    files = {
        str(Path(folder, name).relative_to(REPOSITORY))
        for folder, _, names in os.walk(package, followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    }

    held = set(zipfile.ZipFile(installed.wheel).namelist())
    assert {name for name in held if ".dist-info/" not in name} == files


def test_a_film_is_planned_and_previewed_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    """From the starter storyboard, and from one with a sound, a caption and presets."""
    installed.call("storyreel", "new", "film.yaml", cwd=tmp_path)
    write_board(tmp_path)

    installed.call("storyreel", "check", "--strict", "film.yaml", "harbor.yaml", cwd=tmp_path)
    quote = installed.call("storyreel", "plan", "harbor.yaml", "--json", cwd=tmp_path)
    installed.call("storyreel", "animatic", "harbor.yaml", cwd=tmp_path)

    assert '"frames": 2' in quote
    assert (tmp_path / "outputs/harbor/harbor-animatic.mp4").is_file()
    assert installed.call("python", "-c", "import pipelines; print(pipelines.__path__[0])", cwd=tmp_path).startswith(
        str(installed.programs.parent)
    )


def test_its_servers_answer(installed: Installed, tmp_path: Path) -> None:
    """The API for rehearsal with a picture, the review with its page."""
    write_board(tmp_path)
    with installed.running("storyreel", "serve", "--port", "0", cwd=tmp_path) as api:
        picture = httpx.post(api.address, json={"prompt": "a harbor"}, timeout=WAIT_S)
    with installed.running("storyreel", "review", "harbor.yaml", "--no-open", cwd=tmp_path) as review:
        page = httpx.get(review.address, timeout=WAIT_S)

    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")
    assert (page.status_code, "a harbor at dawn" in page.text) == (200, True)


def test_a_worker_runs_its_deployments_wherever_they_were_made(installed: Installed, tmp_path: Path) -> None:
    """As compose.yaml makes them, in a folder that is gone before a worker in another one makes the film."""
    deployer, worker = tmp_path / "deployer", tmp_path / "worker"
    deployer.mkdir()
    worker.mkdir()
    write_board(worker)
    port = free_port()
    variables = {
        **SHORT_WAITS,
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with installed.running("prefect", "server", "start", cwd=tmp_path, **variables) as server:
        wait_for_server(variables["PREFECT_API_URL"], server.process)
        installed.call("storyreel", "new", "prefect.yaml", "--deployments", cwd=deployer)
        installed.call("sh", "-euc", compose_deploys("prefect.yaml"), cwd=deployer, **variables)
        shutil.rmtree(deployer)
        root = {"STORYREEL_ROOT": str(worker)}
        with installed.running("prefect", "worker", "start", "--pool", "storyreel", cwd=tmp_path, **variables, **root):
            installed.call(
                *["prefect", "deployment", "run", "render-storyboard/on-demand", "--watch"],
                *["--param", "storyboard=harbor.yaml"],
                cwd=tmp_path,
                **variables,
            )

    films = {path.name for path in (worker / "outputs/harbor").glob("harbor*.*")}
    assert films == {"harbor.mp4", "harbor-reel.mp4", "harbor-gif.gif", "harbor.srt", "harbor.vtt"}


def compose_deploys(path: str) -> str:
    """Return the shell script with which compose.yaml makes the work pool and the deployments of this file."""
    script = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]["deploy"]["command"][-1]
    return str(script).replace("/etc/storyreel/prefect.yaml", path)
