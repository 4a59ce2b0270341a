"""Presets of outputs, the values of `preset` and `codec`: data that users can edit, in configs/presets."""

import functools
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import ValidationError

from pipelines.common.errors import UsageError
from pipelines.common.geometry import Margins
from pipelines.common.quality import Quality
from pipelines.common.requirements import requirement
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.format.base import FormatModel
from pipelines.storyboard.format.fields import (
    BetweenCount,
    Bitrate,
    FilmFit,
    FilmSize,
    Fps,
    KeyframeTime,
    Percent,
    Text,
)
from pipelines.storyboard.format.yaml_errors import YamlError
from pipelines.storyboard.format.yaml_tree import parse_yaml
from pipelines.storyboard.model import Background, Delivery

DEFAULT_CODEC = "h264"


class PieceKind(StrEnum):
    """A kind of piece, by what its pictures do; the word in the preset of an encoding."""

    # Nothing in it changes but by cuts.
    STILL = "still"
    MOVING = "moving"
    # On screen only as long as a transition.
    PASSING = "passing"


class PieceEncoding(FormatModel):
    """What belongs to the encoding of one kind of piece only.

    Attributes:
        finer: by how much the constant rate factor is lower than the film's.
        arguments: further ffmpeg arguments.
    """

    finer: int = 0
    arguments: tuple[Text, ...] = ()


class PieceEncodings(FormatModel):
    """The encodings of each kind of piece."""

    still: PieceEncoding = PieceEncoding()
    moving: PieceEncoding = PieceEncoding()
    passing: PieceEncoding = PieceEncoding()

    def of(self, kind: PieceKind) -> PieceEncoding:
        """Return the one of a kind."""
        match kind:
            case PieceKind.STILL:
                return self.still
            case PieceKind.MOVING:
                return self.moving
            case PieceKind.PASSING:
                return self.passing


class Encoding(FormatModel):
    """An encoding of films: pieces are encoded one by one and then joined.

    Attributes:
        encoder: ffmpeg's name of the encoder of the pieces.
        needs: further encoders, which `join` uses.
        extension: of the film's file, without the dot.
        crf, max_crf: the default constant rate factor and the coarsest; None where the encoder has none.
        pixel_format: ffmpeg's name of the pixel format that the encoder is given.
        arguments: further ffmpeg arguments, to encode a piece.
        final: what belongs to each kind of piece.
        draft: the same for a draft, which is to be there soon; None where it is encoded as the final film is.
        piece: ffmpeg's name of the format of a piece's file.
        decoded_ahead: by how many video frames the pictures of a `nut` piece are decoded before they are shown; 0 where
            they are decoded in the order in which they are shown.
        join: ffmpeg arguments that make the film of its pieces; `-c:v copy` where they need no second encoding.
        audio: ffmpeg arguments for sound; None where the format holds none.
        subtitles: ffmpeg's name of the subtitle codec; None where the format holds no subtitles.
    """

    encoder: Text
    needs: tuple[Text, ...] = ()
    extension: Text
    crf: int | None = None
    max_crf: int | None = None
    pixel_format: Text = "yuv420p"
    arguments: tuple[Text, ...] = ()
    final: PieceEncodings = PieceEncodings()
    draft: PieceEncodings | None = None
    piece: Literal["h264", "nut"] = "nut"
    decoded_ahead: int = 0
    join: tuple[Text, ...]
    audio: tuple[Text, ...] | None = ("-c:a", "aac", "-b:a", "192k")
    subtitles: Text | None = "mov_text"

    @property
    def takes_delivery(self) -> bool:
        """Whether films can be made as a `Delivery` says."""
        return self.piece == "h264"

    @property
    def copies(self) -> bool:
        """Whether the pieces go into the film without a second encoding."""
        return "copy" in self.join

    def pieces(self, quality: Quality) -> PieceEncodings:
        """Return what belongs to each kind of piece, at a quality."""
        return self.draft if self.draft and quality is Quality.DRAFT else self.final


class SafeArea(FormatModel):
    """The edges of a picture, in percent, under which a platform shows controls of its own: captions keep out of them.

    Attributes:
        top, bottom: percent of the height.
        left, right: percent of the width.
    """

    top: Percent = Decimal(5)
    right: Percent = Decimal(5)
    bottom: Percent = Decimal(5)
    left: Percent = Decimal(5)

    @property
    def margins(self) -> Margins:
        """The same as shares."""
        return Margins(*(Fraction(side) / 100 for side in (self.top, self.right, self.bottom, self.left)))


class DeliveryPreset(FormatModel):
    """What a platform asks of the files that it takes; see `model.Delivery`.

    Attributes:
        keyframes: seconds from one keyframe to the next, at most.
        bframes: pictures between two references, at most.
        max_bitrate: bits that the video may take in a second.
        audio_bitrate: bits that the sound takes in a second.
        edit_list: whether the file may have edit lists.
    """

    keyframes: KeyframeTime | None = None
    bframes: BetweenCount | None = None
    max_bitrate: Bitrate | None = None
    audio_bitrate: Bitrate | None = None
    edit_list: bool = True

    @property
    def resolved(self) -> Delivery:
        """The same as the rest of the program uses it."""
        keyframe_s = Fraction(self.keyframes) if self.keyframes is not None else None
        return Delivery(keyframe_s, self.bframes, self.max_bitrate, self.audio_bitrate, self.edit_list)


class Preset(FormatModel):
    """Values for the keys that an output does not set itself.

    Attributes:
        description: one line for people.
        codec: the name of a preset with an `encoding`.
        size: of the film, in pixels.
        fps: video frames a second, exact.
        fit: of frames of another shape than the film's.
        background: beside a frame that does not fill the film.
        safe_area: what captions keep out of.
        delivery: what the platform asks for, where the film's codec can be held to it.
        encoding: makes the preset's own name a codec.
    """

    description: Text
    codec: Text | None = None
    size: FilmSize | None = None
    fps: Fps | None = None
    fit: FilmFit | None = None
    background: Background | None = None
    safe_area: SafeArea = SafeArea()
    delivery: DeliveryPreset = DeliveryPreset()
    encoding: Encoding | None = None


@functools.cache
def presets() -> dict[str, Preset]:
    """Return every preset by its name, read once.

    Raises:
        UsageError: one of them is wrong.
    """
    # A link to configs/presets, so that the installed package holds them too.
    return read_presets(files("pipelines.storyboard").joinpath("presets"))


def read_presets(folder: Traversable) -> dict[str, Preset]:
    """Return the presets in a folder by their names, which are the stems of the .yaml files.

    Raises:
        UsageError: one of them is wrong.
    """
    found = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    read = {path.name.removesuffix(".yaml"): _read(path) for path in found}
    codecs = [name for name, preset in read.items() if preset.encoding]
    # Only now: the codec that a preset names may be in a file that is read after it.
    for name, preset in read.items():
        if preset.codec is not None and preset.codec not in codecs:
            known = did_you_mean(preset.codec, codecs)
            raise UsageError(f"configs/presets/{name}.yaml: codec: no preset encodes {preset.codec!r}{known}")
        encoding = preset.encoding or (read[preset.codec].encoding if preset.codec else None)
        if encoding and not encoding.takes_delivery and preset.delivery != DeliveryPreset():
            held = f"{preset.codec or name} cannot be held to it; remove it, or set codec: {DEFAULT_CODEC}"
            raise UsageError(f"configs/presets/{name}.yaml: delivery: {held}")
    return read


def _read(path: Traversable) -> Preset:
    try:
        return Preset.model_validate(parse_yaml(path.read_text(encoding="utf-8")).data)
    except YamlError as exc:
        raise UsageError(f"{path}:{exc.mark.line}:{exc.mark.column}: {exc}") from exc
    except ValidationError as exc:
        # One mistake at a time is enough for a file of few keys, which hardly ever changes.
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {requirement(first)}; fix the preset, or remove it") from exc


def encoding_of(codec: str) -> Encoding:
    """Return the encoding of `codec`, which is the name of a preset with an `encoding`.

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
    """Return the names of the presets with an `encoding`."""
    return tuple(name for name, preset in presets().items() if preset.encoding)
