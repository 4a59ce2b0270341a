"""A machine with nothing: no fonts, and none of the system's libraries that lay out text."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, clean_environment
from tests.support.film_samples import ask_ffmpeg

BOARD = """\
title: ความฝัน of שלום
output: {size: 320x180, fps: 12}
defaults: {hold: 250ms}
captions: {size: 12}
scenes:
  - shots:
      - {prompt: 港の朝焼け, caption: "สวัสดีชาวโลก"}
      - {prompt: "नमस्ते, مرحبا", caption: "שלום עולם. 123 (abc)"}
      - {prompt: "a family 👩‍👩‍👧", caption: "日本の港、Žluťoučký kůň 🌅"}
"""
# The fonts and the libraries are covered, in a mount namespace of its own that ends with the command.
SLIM = """\
set -e
[ ! -d /usr/share/fonts ] || mount -t tmpfs none /usr/share/fonts
for library in $(ldconfig -p | sed -nE 's|.*=> (.*/lib(fribidi|harfbuzz|icu|raqm|fontconfig)[^ ]*)|\\1|p' | sort -u); do
    mount --bind /dev/null "$library"
done
exec "$@"
"""


def run(folder: Path, *, slim: bool) -> bytes:
    """Make the animatic in a folder of its own, whose cards are the same each time; return a digest of its pictures."""
    folder.mkdir()
    (folder / "film.yaml").write_text(BOARD, encoding="utf-8")
    command = [str(BIN / "storyreel"), "animatic", "film.yaml", "--scale", "1"]
    if slim:
        command = ["unshare", "--mount", "bash", "-c", SLIM, "bash", *command]
    environment = clean_environment(HOME=str(folder), XDG_CACHE_HOME=str(folder))
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)
    film = folder / "outputs/film/film-animatic.mp4"
    return ask_ffmpeg("-i", str(film), "-map", "0:v:0", "-f", "md5", "-")


@pytest.mark.slow
def test_a_slim_machine_draws_every_letter_as_any_other(tmp_path: Path) -> None:
    """On sketch cards and in captions, to the bit."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("namespaces cannot be made here: they want root and util-linux's unshare")

    assert run(tmp_path / "slim", slim=True) == run(tmp_path / "usual", slim=False)
