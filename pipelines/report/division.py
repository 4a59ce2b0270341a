"""The division of a long report: an index, and pages of its scenes, none too long to be opened and read.

A scene has a page of its own, a long one several; short ones that follow each other share one, so that a storyboard of
a thousand scenes has no thousand pages.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pipelines.report.models import FrameView, IndexRow, PageView, SceneView, Way
from pipelines.report.page import count_kinds, spent_on

# Beside the report that it is divided from.
FOLDER = "report"
# At a kilobyte and a half each, a page is well below a megabyte.
_MOST_ON_A_PAGE = 500
# As many as a contact sheet shows at once.
_MOST_SHARED = 100


@dataclass(frozen=True, slots=True)
class ScenePage:
    """One page of a long report.

    Attributes:
        name: of its file and of its contact sheet, without their suffixes: `003-harbor`.
        scenes: whole ones, or a part of a long one.
    """

    name: str
    scenes: tuple[SceneView, ...]

    @property
    def frames(self) -> list[FrameView]:
        """The frames of its scenes."""
        return [frame for scene in self.scenes for frame in scene.frames]

    @property
    def title(self) -> str:
        """The title of its scene; of several, of the first and the last."""
        first, last = self.scenes[0].title, self.scenes[-1].title
        return first if len(self.scenes) == 1 else f"{first} \u2013 {last}"


def divide(scenes: Iterable[SceneView]) -> list[ScenePage]:
    """Divide the scenes of a long report into its pages, in order."""
    groups = list(_grouped(chain.from_iterable(map(_parts, scenes))))
    digits = max(3, len(str(len(groups))))
    return [ScenePage(f"{number:0{digits}}-{group[0].id}", group) for number, group in enumerate(groups, start=1)]


def page_view(report: PageView, pages: Sequence[ScenePage], index: int) -> tuple[PageView, Way]:
    """Return what one of the pages says, and where it leads.

    Args:
        report: all that is said; the addresses of its pictures are relative to the folder of the pages.
        pages: all of them.
        index: of the one.
    """
    page = pages[index]
    view = replace(
        report,
        title=page.title,
        scenes=page.scenes,
        films=tuple(replace(film, url=f"../{film.url}") for film in report.films),
        ledger=f"../{report.ledger}",
        sheets=(f"{page.name}.jpg",),
        costs=(),
        last_run=None,
        remarks=(),
        notes=(),
    )
    way = Way(
        of=report.title,
        index="../report.html",
        previous=f"{pages[index - 1].name}.html" if index else None,
        next=f"{pages[index + 1].name}.html" if index + 1 < len(pages) else None,
        spent=_spent(page.frames),
    )
    return view, way


def index_rows(pages: Iterable[ScenePage]) -> Iterator[IndexRow]:
    """Yield the rows of the index, one for each page."""
    for page in pages:
        yield IndexRow(
            scenes=tuple(scene.title for scene in page.scenes),
            start_s=page.scenes[0].start_s,
            page=f"{FOLDER}/{page.name}.html",
            sheet=f"{FOLDER}/{page.name}.jpg",
            frames=len(page.frames),
            kinds=tuple(count_kinds(page.frames).items()),
            spent=_spent(page.frames),
        )


def _parts(scene: SceneView) -> Iterator[SceneView]:
    """Yield a scene, in parts of about one length where it is too long for a page."""
    frames = scene.frames
    count = -(-len(frames) // _MOST_ON_A_PAGE)
    if count == 1:
        yield scene
        return
    for number in range(count):
        part = frames[len(frames) * number // count : len(frames) * (number + 1) // count]
        yield SceneView(scene.id, f"{scene.title} ({number + 1} of {count})", part[0].start_s, part)


def _grouped(scenes: Iterable[SceneView]) -> Iterator[tuple[SceneView, ...]]:
    group: list[SceneView] = []
    for scene in scenes:
        if group and sum(len(each.frames) for each in group) + len(scene.frames) > _MOST_SHARED:
            yield tuple(group)
            group = []
        group.append(scene)
    yield tuple(group)


def _spent(frames: Iterable[FrameView]) -> str:
    return spent_on(attempt for frame in frames for attempt in frame.attempts)
