"""The documentation: it builds strictly, its links resolve, it needs no other host, and it agrees with the code."""

import html
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import imageio_ffmpeg
import pytest

from pipelines import api
from pipelines.cli.main import run, storyreel
from pipelines.common.errors import (
    BudgetError,
    EndpointError,
    IncompleteError,
    InterruptedRunError,
    StoryreelError,
    UsageError,
)
from pipelines.ledger.models import AttemptStatus
from pipelines.ledger.queries import COLUMNS
from pipelines.run.result import state_after
from pipelines.server.config import FaultKind
from pipelines.storyboard.format.schema import json_schema
from pipelines.storyboard.loader import load_storyboard

# The site is built once.
pytestmark = pytest.mark.xdist_group("docs")

DOCS = Path(__file__).parents[2] / "docs"
# Tags whose address a browser loads without being asked.
LOADED = {"audio", "embed", "iframe", "img", "link", "object", "script", "source", "track", "video"}


@dataclass(slots=True)
class Page(HTMLParser):
    """A page of the site, read.

    Attributes:
        ids: anchors in it.
        links: addresses that a reader may follow.
        assets: addresses that a browser loads.
    """

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    @classmethod
    def read(cls, path: Path) -> "Page":
        page = cls()
        page.feed(path.read_text())
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value for name, value in attrs if value}
        self.ids.update(named[name] for name in ("id", "name") if name in named)
        found = self.assets if tag in LOADED else self.links
        found.extend(named[name] for name in ("href", "src", "srcset", "data", "poster") if name in named)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does."""
    lacking = [name for name in ("sphinx", "myst_parser", "furo") if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)}: not installed; pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-E", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path_factory.mktemp("doctrees"))]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder)]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page.read(path) for path in site.rglob("*.html")}


def section(page: Path, anchor: str) -> str:
    """Return the HTML of the section with this anchor, up to the next section of its page."""
    return page.read_text().split(f'<section id="{anchor}">')[1].split("<section ")[0]


def first_column(page: str) -> list[str]:
    """Return what stands as code in the first column of a page's tables."""
    cells = re.findall(r"^\| ([^|]*)\|", (DOCS / page).read_text(), re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def test_every_page_and_nothing_else_is_in_the_site(site: Path) -> None:
    """Each Markdown file has its page; no script of the folder is copied."""
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    copied = {path.name for path in site.rglob("*.py")}

    assert {path for path in written if not (site / path).is_file()} == set()
    assert copied & {path.name for path in DOCS.rglob("*.py")} == set()


def test_every_link_within_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    """To a file that is there, and to an anchor that is in it."""
    broken = []
    for path, page in pages.items():
        for link in page.links + page.assets:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            anchor = unquote(address.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                broken.append((path.name, link))

    assert broken == []


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    """Neither by a page nor by a style sheet."""
    sheets = "".join(path.read_text() for path in site.rglob("*.css"))
    loaded = [asset for page in pages.values() for asset in page.assets]
    imported = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", sheets)

    assert [asset for asset in loaded if urlsplit(asset).scheme not in ("", "data") or urlsplit(asset).netloc] == []
    assert imported == []


def test_the_first_page_plays_a_film_with_captions(site: Path, pages: dict[Path, Page]) -> None:
    """From the site itself: the film, a still of it, and what is said in it; small enough for a page."""
    assets = pages[site / "index.html"].assets
    loaded = {Path(asset).name: site / asset for asset in assets if "_static/first-film" in asset}

    assert sorted(loaded) == ["first-film.jpg", "first-film.mp4", "first-film.vtt"]
    assert imageio_ffmpeg.count_frames_and_secs(str(loaded["first-film.mp4"]))[1] > 20
    assert sum(path.stat().st_size for path in loaded.values()) < 1_500_000
    board = load_storyboard(DOCS.parent / "configs/storyboards/cat-in-a-garden.yaml")
    shown = " ".join(re.findall(r"^(?!WEBVTT|\d\d:)(.+)$", loaded["first-film.vtt"].read_text(), re.MULTILINE))
    assert shown == " ".join(narration.text for narration in board.narrations)


def test_the_reference_of_the_command_lists_its_own_options(site: Path) -> None:
    """Those that stand before a subcommand."""
    text = section(site / "reference/commands.html", "the-command")
    names = [name for option in storyreel.params for name in (*option.opts, *option.secondary_opts)]

    assert [name for name in [*names, "--help"] if name not in text] == []


@pytest.mark.parametrize("name", sorted(storyreel.commands))
def test_the_reference_of_the_command_is_whole(site: Path, name: str) -> None:
    """A section for each subcommand, with its arguments and each of its options."""
    text = html.unescape(section(site / "reference/commands.html", f"storyreel-{name}"))
    command = storyreel.commands[name]
    context = click.Context(command, info_name=name)
    options = [param for param in command.get_params(context) if isinstance(param, click.Option)]
    names = [name for option in options for name in (*option.opts, *option.secondary_opts)]

    assert [piece for piece in [*command.collect_usage_pieces(context), *names] if piece not in text] == []


def test_the_reference_of_the_format_is_whole(site: Path) -> None:
    """A section for each object of the JSON Schema, with each of its keys."""
    page = site / "reference/storyboard-format.html"
    schema = json_schema()
    objects = {"StoryboardModel": schema, **schema["definitions"]}
    lacking = [
        (name, key)
        for name, found in objects.items()
        for key in found.get("properties", {})
        if f">{key}<" not in section(page, name.removesuffix("Model").lower().replace("cascading", "defaults"))
    ]

    assert lacking == []


def test_every_transition_is_in_the_reference_of_the_format(site: Path) -> None:
    """A choice that is too long for a table has a section of its own."""
    text = section(site / "reference/storyboard-format.html", "transition-type")
    types = json_schema()["definitions"]["TransitionModel"]["properties"]["type"]["enum"]

    assert [name for name in types if f">{name}<" not in text] == []


def test_the_reference_of_the_python_api_is_whole(site: Path) -> None:
    """An entry for each name that the module exports."""
    entries = Page.read(site / "reference/python-api.html").ids

    assert [name for name in api.__all__ if f"pipelines.api.{name}" not in entries] == []


def test_the_page_about_money_explains_each_column_and_status() -> None:
    """In the order of ledger.csv."""
    words = first_column("money.md")

    assert [word for word in words if word in COLUMNS] == list(COLUMNS)
    assert [word for word in words if word in set(AttemptStatus)] == [status.value for status in AttemptStatus]


@pytest.mark.parametrize("model", ["NarratorModel", "CaptionsModel", "AudioModel"])
def test_the_page_about_the_film_explains_each_key_of_voice_captions_and_sound(model: str) -> None:
    """In its tables or in its examples."""
    page = (DOCS / "film.md").read_text()
    keys = json_schema()["definitions"][model]["properties"]

    assert [key for key in keys if f"`{key}`" not in page and f"{key}:" not in page] == []


def test_the_page_about_endpoints_explains_each_fault() -> None:
    """Those of `storyreel serve --fault`."""
    words = first_column("endpoints.md")

    assert {kind.value for kind in FaultKind} <= set(words)


def test_the_page_about_scheduling_has_each_state_with_its_exit_code() -> None:
    """As a run ends in it."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", (DOCS / "scheduling.md").read_text(), re.MULTILINE)
    errors: list[type[StoryreelError]] = [
        IncompleteError,
        BudgetError,
        EndpointError,
        InterruptedRunError,
        UsageError,
        StoryreelError,
    ]

    assert rows == [("Completed", "0"), *((state_after(error()).value, str(error.exit_code)) for error in errors)]


def test_the_worked_example_has_the_quote_that_plan_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The block below the storyboard of "The whole"; how long it takes depends on the machine."""
    whole = (DOCS / "storyboard.md").read_text().split("## The whole")[1]
    board, quote = (whole.split(f"```{language}\n")[1].split("```")[0] for language in ("yaml", "text"))
    path = tmp_path / "ferry.yaml"
    path.write_text(board)

    assert run(["plan", str(path), "--output", str(tmp_path)]) == 0
    times = r"about .* until the film is there|[^(]* of encoding"
    assert re.sub(times, "", capsys.readouterr().err) == re.sub(times, "", quote)
