"""The animatic: the whole film in its true timing, with sketch cards where frames have no take. It costs nothing."""

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from pipelines.common.files import storage_errors, write_atomic
from pipelines.common.geometry import Size
from pipelines.common.quality import Quality
from pipelines.common.settings import Settings
from pipelines.film.assembler import FilmAssembler
from pipelines.film.encoders import require_encoder
from pipelines.film.frame_picture import FramePicture
from pipelines.film.outputs import drop_unused
from pipelines.film.probe import Film
from pipelines.run.checking import check_storyboard
from pipelines.server.engines.sketch import SketchEngine
from pipelines.storyboard.ids import ANIMATIC_NAME
from pipelines.storyboard.model import Output, Storyboard
from pipelines.storyboard.plan import FrameSpec
from pipelines.storyboard.presets import DEFAULT_CODEC
from pipelines.storyboard.timeline import Timeline
from pipelines.takes.frame_folder import is_as_requested
from pipelines.takes.inventory import elsewhere_text, read_inventory
from pipelines.takes.models import FrameTakes
from pipelines.takes.ownership import require_own_folder
from pipelines.takes.store import TakeStore
from pipelines.voice.observer import SpeechObserver
from pipelines.voice.planning import plan_spoken

# Pictures are yuv420p, in which two pixels share a colour.
_LEAST_SIDE = 2


@dataclass(frozen=True, slots=True)
class Animatic:
    """An animatic that was cut.

    Attributes:
        film: its file, size and length.
        frames: frames in the storyboard.
        cards: those of them that are shown as sketch cards.
        elsewhere: how many takes lie in other output folders, and in which; None where none do.
    """

    film: Film
    frames: int
    cards: int
    elsewhere: str | None = None


async def make_animatic(
    board: Storyboard, settings: Settings, *, scale: Decimal, observer: SpeechObserver | None = None
) -> Animatic:
    """Cut the animatic of a storyboard into its folder, as `<id>-animatic.mp4`.

    Args:
        board: the storyboard.
        settings: takes of its model in its output folder are shown.
        scale: a factor of the film's width and height, above 0 and up to 1.
        observer: sees what is spoken for it.

    Raises:
        StoryboardError: a sound cannot be read, or a narration cannot be spoken.
        FilmError: it could not be cut.
        StorageError: a file could not be written.
        UsageError: the storyboard's folder is another file's.
    """
    require_own_folder(board, settings)
    require_encoder(DEFAULT_CODEC)
    await check_storyboard(board, settings, observer=observer)
    plan = await asyncio.to_thread(plan_spoken, board, settings)
    store = TakeStore(settings.output / plan.storyboard)
    workshop = store.folder / "animatic"
    with storage_errors(workshop):
        workshop.mkdir(parents=True, exist_ok=True)
    inventory = read_inventory(plan, settings)
    pictures = [_picture(frame) or _card(frame.frame, workshop) for frame in inventory.frames]
    target = store.folder / f"{plan.storyboard}-{ANIMATIC_NAME}.mp4"
    segments = workshop / "segments"
    async with FilmAssembler(scaled(plan.timeline, scale), segments) as assembler:
        film = await assembler.cut(pictures, target)
    drop_unused(segments, assembler.used)
    cards = sum(picture.path.parent == workshop for picture in pictures)
    return Animatic(film, len(pictures), cards, elsewhere_text(inventory) if inventory.found.elsewhere else None)


def scaled(timeline: Timeline, scale: Decimal) -> Timeline:
    """Return the same film at another size, as a draft in H.264; sides stay even, and two pixels or more."""
    output = timeline.output

    def side(length: int) -> int:
        return max(_LEAST_SIDE, int(length * scale / 2) * 2)

    smaller = Output(
        output.fps,
        Size(side(output.size.width), side(output.size.height)),
        DEFAULT_CODEC,
        # x264's own default: a preview need not be finer.
        23,
        output.fit,
        output.background,
        quality=Quality.DRAFT,
    )
    return replace(timeline, output=smaller)


def _picture(frame: FrameTakes) -> FramePicture | None:
    """Return the take that a frame shows; None if it has none, or one that must be fitted first."""
    take = frame.selected
    return FramePicture(take.path, take.sha256) if take and is_as_requested(take) else None


def _card(frame: FrameSpec, folder: Path) -> FramePicture:
    """Return a frame's card; draw it if it is not there."""
    # Named by what it shows, and drawn with a fixed seed: its segments are found again by the next animatic.
    path = folder / f"{frame.request_key}.png"
    if not path.is_file():
        request = frame.request_with(frame.prompt)
        write_atomic(path, SketchEngine(0).paint(request, frame.aspect.size, frame.copy))
    return FramePicture(path)
