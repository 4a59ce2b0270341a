"""Presets are data that users edit: a mistake in one is reported with its place, before anything else."""

from pathlib import Path

import pytest

from pipelines.common.errors import UsageError
from pipelines.storyboard.presets import presets, read_presets

ENCODING = "{encoder: libx264, extension: mp4, join: ['-c:v', copy]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("description: x\ncodec: h265x\n", "configs/presets/mine.yaml: codec: no preset encodes 'h265x'; did you mean"),
        ("description: x\nsise: 10x10\n", "sise: is unknown here; fix the preset, or remove it"),
        ("description: x\nsize: 11x10\n", "size: must be even in both directions"),
        ("description: x\nencoding: {encoder: libx264}\n", "encoding.extension: is missing; fix the preset"),
        (
            "description: x\ndelivery: {max_bitrate: 25}\n",
            "delivery.max_bitrate: must be bits a second from 64k to 200M",
        ),
        ("description: x\ndelivery: {keyframes: 0}\n", "delivery.keyframes: must be above 0"),
        ("description: x\ndelivery: {bframes: 0}\n", "delivery.bframes: must be between 1 and 3"),
        (
            "description: x\ncodec: h265\ndelivery: {bframes: 2}\n",
            "configs/presets/mine.yaml: delivery: h265 cannot be held to it; remove it, or set codec: h264",
        ),
        ("description: [\n", "mine.yaml:1:14: is never closed; add ]"),
    ],
)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    """And with its cure."""
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "h265.yaml").write_text(f"description: other\nencoding: {ENCODING}\n")

    with pytest.raises(UsageError) as caught:
        read_presets(tmp_path)

    assert expected in str(caught.value)


def test_a_preset_of_ones_own_is_one_more(tmp_path: Path) -> None:
    """A file in the folder is all that it takes."""
    (tmp_path / "mine.yaml").write_text("description: mine\ncodec: fast\nsize: 10x10\n")
    (tmp_path / "fast.yaml").write_text(f"description: fast\nencoding: {ENCODING}\n")

    read = read_presets(tmp_path)

    assert read["mine"].codec == "fast"
    assert read["fast"].encoding is not None


def test_what_storyreel_ships_is_whole() -> None:
    """Every codec and every social preset."""
    assert presets().keys() == {
        "av1", "gif", "h264", "h265", "prores", "reel", "square", "vp9", "webp", "youtube",
    }  # fmt: skip
