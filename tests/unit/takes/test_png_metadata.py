"""A frame's PNG says what it shows, in any script, and is known again by it."""

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from pipelines.common.geometry import AspectRatio
from pipelines.takes.frame_folder import FrameFolder
from pipelines.takes.png_metadata import metadata_chunks, read_metadata
from pipelines.takes.store import TakeStore
from tests.support.builders import take_spec
from tests.support.pictures import write
from tests.support.takes import prepared_store, stored_take, text_of

SMALL = AspectRatio.CLASSIC_LANDSCAPE


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    """A prepared store in a fresh folder."""
    return prepared_store(tmp_path / "harbor")


@pytest.fixture
def folder(store: TakeStore) -> FrameFolder:
    """The frames of the same storyboard."""
    return FrameFolder(store.folder)


def test_a_frame_carries_its_metadata_as_text(store: TakeStore, folder: FrameFolder) -> None:
    """Prompt, steps, size, cost and request key can be read by any program that opens the file."""
    spec = take_spec(prompt="a harbor at dawn", steps=6, aspect=SMALL)

    [path] = folder.publish([stored_take(store, spec, prompt="a harbor, oil painting")])

    assert text_of(path) == {
        "prompt": "a harbor, oil painting",
        "steps": "6",
        "size": "1024x768",
        "fit": "cover",
        "cost_usd": "0.000652",
        "request_key": spec.request_key,
        "picture": "as the film shows it",
        "Software": "storyreel",
    }


def test_a_cost_that_is_not_known_is_called_unknown(store: TakeStore, folder: FrameFolder) -> None:
    """Never zero."""
    take = replace(stored_take(store, take_spec()), cost_usd=None)

    [path] = folder.publish([take])

    assert text_of(path)["cost_usd"] == "unknown"


@pytest.mark.parametrize(
    "prompt", ["ท่าเรือยามรุ่งอรุณ", "港の夜明け 🌅", "é" * 2048, "𝄞" * 2048, "two\nlines", 'quotes " and <b>', "x"]
)
def test_a_prompt_in_any_script_survives(store: TakeStore, folder: FrameFolder, prompt: str) -> None:
    """The text is UTF-8, of any length that a prompt may have, and imageio reads the picture beside it."""
    spec = take_spec(aspect=SMALL)

    [path] = folder.publish([stored_take(store, spec, prompt=prompt)])

    pixels = iio.imread(path)
    assert (text_of(path)["prompt"], pixels.shape) == (prompt, (768, 1024, 3))
    assert np.array_equal(np.unique(pixels), [0, 128])


def test_a_long_prompt_s_frame_is_known_again(store: TakeStore, folder: FrameFolder) -> None:
    """Even the longest metadata are read back, so that the frame is linked and not written twice."""
    take = stored_take(store, take_spec(), prompt="𝄞" * 2048)
    [path] = folder.publish([take])
    inode = path.stat().st_ino

    folder.publish([take])

    assert path.stat().st_ino == inode


def test_the_metadata_of_a_frame_are_read_back(store: TakeStore, folder: FrameFolder) -> None:
    """To the byte."""
    take = stored_take(store, take_spec())

    [path] = folder.publish([take])

    assert read_metadata(path) == metadata_chunks(take)


@pytest.mark.parametrize("data", [b"", b"no PNG at all"])
def test_a_file_without_metadata_has_none(tmp_path: Path, data: bytes) -> None:
    """Nor has one that is not there."""
    path = write(tmp_path / "frame_0000.png", data)

    assert (read_metadata(path), read_metadata(tmp_path / "frame_0001.png")) == (None, None)
