"""Takes in a store, and a look at the folder that they lie in."""

from decimal import Decimal
from pathlib import Path

from PIL.PngImagePlugin import PngImageFile

from pipelines.storyboard.plan import TakeSpec
from pipelines.takes.models import Take
from pipelines.takes.png_metadata import metadata_chunks, with_metadata
from pipelines.takes.store import TakeStore
from tests.support.pictures import spec_picture, write


def prepared_store(folder: Path) -> TakeStore:
    """Return the store of a storyboard's folder, ready to be written to."""
    store = TakeStore(folder)
    store.prepare()
    return store


def stored_take(
    store: TakeStore, spec: TakeSpec, data: bytes | None = None, *, suffix: str = ".png", prompt: str | None = None
) -> Take:
    """Put a take into a store: a picture of the size asked for, unless `data` says otherwise."""
    body = spec_picture(spec.frame) if data is None else data
    path = write(store.takes / f"{spec.request_key}{suffix}", body)
    return Take(spec, path, spec.prompt if prompt is None else prompt, Decimal("0.000652"))


def described_take(store: TakeStore, spec: TakeSpec) -> Take:
    """Put a take into a store that carries its frame's metadata, as one that has just been kept does."""
    take = stored_take(store, spec)
    write(take.path, b"".join(with_metadata(take.path.read_bytes(), metadata_chunks(take))))
    return take


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, hidden ones too, sorted."""
    return sorted(path.name for path in folder.iterdir())


def text_of(path: Path) -> dict[str, str]:
    """Return the text chunks of a PNG, as Pillow reads them."""
    with PngImageFile(path) as image:
        image.load()
        return {str(key): str(value) for key, value in image.text.items()}
