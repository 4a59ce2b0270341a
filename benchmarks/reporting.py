"""The report in a browser: how soon a long one can be read, beside a page that simply shows every frame."""

import base64
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.assembling import paint_sketches
from benchmarks.measure import Kind, Row, ratio_row
from pipelines.report.division import divide, index_rows, page_view
from pipelines.report.models import AttemptView, FrameView, PageView, RunView, SceneView, TakeView
from pipelines.report.page import render_index, render_report
from pipelines.report.thumbnails import Thumbnails

_FRAMES = 1000
_MANY = 5000
_LONG = 10_000
_DISTINCT = 20
_OPENED = f"report of {_FRAMES:,} frames, opened in Chromium"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PRICE_USD = Decimal("0.000758")
# Loaded: the page can be read and used. Times are from the start of the navigation.
_LOADED_S = "() => performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
_FILTER_S = """() => {
  const search = document.querySelector("#search");
  const start = performance.now();
  search.value = "view 4321";
  search.dispatchEvent(new Event("input"));
  document.body.offsetHeight;
  return (performance.now() - start) / 1000;
}"""


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    chromium = shutil.which("chromium")
    if chromium is None:
        yield Row(_OPENED, None, "x", Kind.RATIO, "there is no Chromium here", "2 s")
        return
    takes = _linked_takes(folder / "reporting")
    report, naive, longer = (folder / "reporting" / name for name in ("report.html", "naive.html", "longer.html"))
    report.write_text("".join(render_report(_page(takes))))
    naive.write_text("<!doctype html>" + "".join(f"<img src='{take.name}' width=230>" for take in takes))
    longer.write_text("".join(render_report(_page((takes * _MANY)[:_MANY]))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened_s, naive_s = (_opened_s(browser.new_page(), path) for path in (report, naive))
        size_mib = report.stat().st_size / 2**20
        beside = f"a page that shows every whole frame ({naive_s:.1f} s)"
        yield ratio_row(_OPENED, opened_s / naive_s, beside, "2 s", detail=f"{opened_s:.2f} s, {size_mib:.0f} MiB")
        page = browser.new_page()
        long_s = _opened_s(page, longer)
        filtered_s = float(page.evaluate(_FILTER_S))
        name, beside = f"report of {_MANY:,} frames: one search", f"opened in {long_s:.1f} s"
        yield Row(name, filtered_s, "s", Kind.TIME, beside, "1 s")
        yield from _divided(browser.new_page(), folder / "reporting", _page((takes * _LONG)[:_LONG], embedded=False))
        browser.close()


def _divided(page: Page, folder: Path, report: PageView) -> Iterator[Row]:
    """Measure a report that is divided: how soon its index and one of its pages can be read, and how long they are."""
    pages = divide(report.scenes)
    index, first = folder / "index.html", folder / "first.html"
    view, way = page_view(report, pages, 0)
    index.write_text("".join(render_index(report, list(index_rows(pages)))))
    first.write_text("".join(render_report(view, way=way)))
    for name, path in (("the index", index), ("a page", first)):
        size_mib = path.stat().st_size / 2**20
        beside = f"{size_mib:.2f} MiB; {len(pages)} pages"
        yield Row(f"report of {_LONG:,} frames: {name} opened", _opened_s(page, path), "s", Kind.TIME, beside, "2 s")


def _opened_s(page: Page, path: Path) -> float:
    page.goto(path.as_uri(), wait_until="load", timeout=600_000)
    page.wait_for_function("() => performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    return float(page.evaluate(_LOADED_S))


def _linked_takes(folder: Path) -> list[Path]:
    """Return a thousand takes, as other names of a few: to paint them all would take longer than what is measured."""
    folder.mkdir()
    paint_sketches(folder, _DISTINCT)
    painted = sorted(folder.glob("*.png"))
    takes = [folder / f"take-{number:04d}.png" for number in range(_FRAMES)]
    for source, take in zip(itertools.cycle(painted), takes, strict=False):
        os.link(source, take)
    return takes


def _page(takes: Sequence[Path], *, embedded: bool = True) -> PageView:
    distinct = takes[:_DISTINCT]
    made = Thumbnails(takes[0].parent / "thumbnails").make(distinct)
    paths = [path for path in made.values() if path]
    uris = [_data_uri(path) if embedded else f"thumbnails/{path.name}" for path in paths]
    frames = tuple(_frame(number, take, uris[number % len(uris)]) for number, take in enumerate(takes))
    attempts = tuple(frame.attempts[0] for frame in frames)
    run = RunView(_START, attempts, 720, _PRICE_USD * len(frames), None)
    return PageView("Long", "long", _START, (SceneView("one", "One", 0.0, frames),), (), (), run, (), "ledger.csv")


def _data_uri(path: Path) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _frame(number: int, take: Path, thumbnail: str) -> FrameView:
    prompt = f"a harbor at dawn, view {number}"
    return FrameView(
        number=number,
        name=f"frame_{number:04d}",
        key=f"{number:064x}",
        scene="one",
        shot="wide",
        prompt=prompt,
        caption=None,
        width=1344,
        height=768,
        start_s=float(number),
        takes=(TakeView(1, take.name, thumbnail, prompt, _PRICE_USD, 4.0),),
        selected=1,
        picked=False,
        attempts=(AttemptView(1, 1, "ok", 200, None, _PRICE_USD, _PRICE_USD, _START, 4.0),),
    )
