"""The presets: what an output's `preset` or `codec` stands for, as data that users can edit (configs/presets)."""

import functools
from importlib.resources import files
from typing import Literal

from pipelines.storyboard.board import Background
from pipelines.storyboard.noun import Noun
from pipelines.storyboard.values import FilmFit, FilmSize, Fps, Text
from pipelines.storyboard.yaml_tree import parse_yaml

DEFAULT_CODEC = "h264"


class Encoding(Noun):
    """How pictures become a film: in pieces that are then joined.

    Attributes:
        encoder: ffmpeg's name of what encodes a piece.
        needs: further encoders, for `join`.
        extension: of the film's file.
        crf, max_crf: the quality that is taken by default, and the coarsest; None where the encoder has no such knob.
        pixel_format: what the encoder is given.
        arguments: further ones, to encode a piece.
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
    piece: Literal["h264", "nut"] = "nut"
    join: tuple[Text, ...]
    audio: tuple[Text, ...] | None = ("-c:a", "aac", "-b:a", "192k")
    subtitles: Text | None = "mov_text"

    @property
    def copies(self) -> bool:
        """Whether the pieces go into the film as they are."""
        return "copy" in self.join


class Preset(Noun):
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
    """Return every preset by its name."""
    folder = files("pipelines").joinpath("presets")
    found = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    return {
        path.name.removesuffix(".yaml"): Preset.model_validate(parse_yaml(path.read_text(encoding="utf-8")).data)
        for path in found
    }


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
