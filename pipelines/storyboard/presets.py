"""The presets: what an output's `preset` or `codec` stands for, as data that users can edit (configs/presets)."""

import functools
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import ValidationError

from pipelines.common.errors import UsageError
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.format.base import FormatModel
from pipelines.storyboard.format.fields import FilmFit, FilmSize, Fps, Text
from pipelines.storyboard.format.yaml_tree import YamlError, parse_yaml
from pipelines.storyboard.model import Background

DEFAULT_CODEC = "h264"


class Encoding(FormatModel):
    """How pictures become a film: in pieces that are then joined.

    Attributes:
        encoder: ffmpeg's name of what encodes a piece.
        needs: further encoders, for `join`.
        extension: of the film's file.
        crf, max_crf: the quality that is taken by default, and the coarsest; None where the encoder has no such knob.
        pixel_format: what the encoder is given.
        arguments: further ones, to encode a piece.
        passing: still further ones, for a piece that nobody sees for longer than a transition.
        piece: ffmpeg's name of the format in which a piece is kept.
        join: arguments that make the film of its pieces; `-c:v copy` where they need no second encoding.
        audio, subtitles: arguments and codec for these; None where the format has no room for them.
    """

    encoder: Text
    needs: tuple[Text, ...] = ()
    extension: Text
    crf: int | None = None
    max_crf: int | None = None
    pixel_format: Text = "yuv420p"
    arguments: tuple[Text, ...] = ()
    passing: tuple[Text, ...] = ()
    piece: Literal["h264", "nut"] = "nut"
    join: tuple[Text, ...]
    audio: tuple[Text, ...] | None = ("-c:a", "aac", "-b:a", "192k")
    subtitles: Text | None = "mov_text"

    @property
    def copies(self) -> bool:
        """Whether the pieces go into the film as they are."""
        return "copy" in self.join


class Preset(FormatModel):
    """A preset: what an output takes from it where it says nothing itself."""

    description: Text
    codec: Text | None = None
    size: FilmSize | None = None
    fps: Fps | None = None
    fit: FilmFit | None = None
    background: Background | None = None
    encoding: Encoding | None = None


@functools.cache
def presets() -> dict[str, Preset]:
    """Return every preset by its name.

    Raises:
        UsageError: one of them is wrong.
    """
    return read_presets(files("pipelines.storyboard").joinpath("presets"))


def read_presets(folder: Traversable) -> dict[str, Preset]:
    """Read the presets in a folder.

    Raises:
        UsageError: one of them is wrong; users edit them.
    """
    found = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    read = {path.name.removesuffix(".yaml"): _read(path) for path in found}
    codecs = [name for name, preset in read.items() if preset.encoding]
    for name, preset in read.items():
        if preset.codec is not None and preset.codec not in codecs:
            known = did_you_mean(preset.codec, codecs)
            raise UsageError(f"configs/presets/{name}.yaml: codec: no preset encodes {preset.codec!r}{known}")
    return read


def _read(path: Traversable) -> Preset:
    try:
        return Preset.model_validate(parse_yaml(path.read_text(encoding="utf-8")).data)
    except YamlError as exc:
        raise UsageError(f"{path}:{exc.mark.line}:{exc.mark.column}: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {first['msg']}; mend the preset, or take it away") from exc


def encoding_of(codec: str) -> Encoding:
    """Return how `codec` is made; a codec is a preset that says how to encode.

    Raises:
        KeyError: there is no such codec.
    """
    encoding = presets()[codec].encoding
    if encoding is None:
        raise KeyError(codec)
    return encoding


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return tuple(presets())


def codec_names() -> tuple[str, ...]:
    """Return the names of those presets that say how to encode."""
    return tuple(name for name, preset in presets().items() if preset.encoding)
