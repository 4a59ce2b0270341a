"""Models of the film language: transitions, motion, captions, sound, outputs."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from pipelines.common.geometry import Fit, Size
from pipelines.common.quality import Quality
from pipelines.storyboard.format.base import FormatModel, require
from pipelines.storyboard.format.fields import (
    Amount,
    Bitrate,
    Color,
    Crf,
    Decibels,
    FilmFit,
    FilmSize,
    FilmTime,
    Fps,
    Id,
    LineCount,
    LineLength,
    Loudness,
    Percent,
    ReadingSpeed,
    Reference,
    Time,
    TimeOnScreen,
    Volume,
)
from pipelines.storyboard.format.parsers import Duration, known_word, short_form
from pipelines.storyboard.model import (
    Background,
    CaptionStyle,
    Delivery,
    Ease,
    MotionType,
    Output,
    Position,
    SmoothMethod,
    WordCaptions,
)
from pipelines.storyboard.presets import DEFAULT_CODEC, Preset, codec_names, encoding_of, preset_names, presets
from pipelines.storyboard.transitions import CUT, TYPES

DEFAULT_FPS = Fraction(24)
# ffmpeg's xfade, which draws most of the transitions, takes no longer duration (ffmpeg-filters, "xfade").
_MAX_TRANSITION_S = 60


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


# The names are enumerated in the JSON Schema, so that editors complete them.
TransitionType = Annotated[
    str, BeforeValidator(known_word(TYPES)), WithJsonSchema({"type": "string", "enum": list(TYPES)})
]
PresetName = Annotated[
    str, BeforeValidator(known_word(preset_names())), WithJsonSchema({"type": "string", "enum": list(preset_names())})
]
CodecName = Annotated[
    str, BeforeValidator(known_word(codec_names())), WithJsonSchema({"type": "string", "enum": list(codec_names())})
]


class TransitionModel(FormatModel):
    """The way from a frame or shot to the next."""

    type: TransitionType = Field(description="cut, dissolve, fade_black, wipe_left ..., or one of ffmpeg's xfade.")
    duration: TimeOnScreen = Field(
        Duration(Fraction(1, 2)), description="Half of it in each of the two holds: 0.5s, 12f. Default 0.5s."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        cut_with_more = self.type == CUT and len(self.model_fields_set) > 1
        require(not cut_with_more, "", "a cut takes nothing besides its type; remove duration")
        too_long = not self.duration.in_video_frames and self.duration.amount > _MAX_TRANSITION_S
        require(not too_long, "duration", f"must be at most {_MAX_TRANSITION_S} s, as ffmpeg's are")
        return self


class MotionModel(FormatModel):
    """A slow move over a frame."""

    type: Annotated[MotionType, BeforeValidator(known_word(tuple(MotionType)))] = Field(
        description="What the camera does, or none."
    )
    amount: Amount = Field(Decimal("0.1"), description="How far, as a share of the picture. Default 0.1.")
    ease: Annotated[Ease, BeforeValidator(known_word(tuple(Ease)))] = Field(
        Ease.LINEAR, description="At one speed, or slow at both ends. Default linear."
    )


class SmoothModel(FormatModel):
    """In-between pictures for a shot that is a sequence of frames."""

    fps: Fps | None = Field(None, description="Pictures a second, in-betweens included. Default the film's own.")
    method: Annotated[SmoothMethod, BeforeValidator(known_word(tuple(SmoothMethod)))] = Field(
        SmoothMethod.MOTION, description="motion follows what moves; blend only mixes. Default motion."
    )


class CaptionsModel(FormatModel):
    """Looks of the captions."""

    burn: bool = Field(
        True, description="Draw them into the picture. They are always in the subtitle track, .srt and .vtt."
    )
    position: Annotated[Position, BeforeValidator(known_word(tuple(Position)))] = Field(
        Position.BOTTOM, description="Where they stand. Default bottom."
    )
    size: Percent = Field(Decimal(5), description="Height of a line in percent of the film's shorter side. Default 5.")
    color: Color = Field("#ffffff", description='Default "#ffffff".')
    outline: Color = Field("#000000", description='Default "#000000".')
    font: Reference | None = Field(None, description="A font of this machine. Default those that storyreel brings.")
    line_length: LineLength = Field(
        42, description="Letters in a line at most, unless the text has to be shrunk. Default 42."
    )
    words: Annotated[WordCaptions, BeforeValidator(known_word(tuple(WordCaptions)))] = Field(
        WordCaptions.OFF,
        description="Of narration: highlight the word that is spoken, or let words appear one-by-one. Default off.",
    )
    highlight: Color = Field("#ffd60a", description='Of the word that is spoken. Default "#ffd60a".')
    lines: LineCount = Field(2, description="Lines of narration at a time, at most. Default 2.")
    letters_per_second: ReadingSpeed = Field(
        Decimal(17), description="How fast narration may have to be read. Default 17."
    )


_MAX_TRACKS = 1000
# What is said of one track beside its file.
_TRACK_KEYS = ("volume", "fade_in", "fade_out", "offset", "loop")


class _SoundSettings(FormatModel):
    volume: Volume = Field(Decimal(1), description="1 is as loud as it came, 0.5 half of that. Default 1.")
    fade_in: Time = Field(Duration(Fraction(0)), description="Time to grow to its volume.")
    fade_out: Time = Field(Duration(Fraction(0)), description="Time to fall silent, at its end.")
    offset: Time = Field(Duration(Fraction(0)), description="Where in the file to begin.")


class TrackModel(_SoundSettings):
    """A track of music under a part of the film."""

    file: Reference = Field(description="A sound file, from the storyboard's folder.")
    start: FilmTime | None = Field(
        None,
        alias="from",
        description="A scene's id, scene/shot, or a time from the film's beginning. Default where the track before it "
        "ends.",
    )
    end: FilmTime | None = Field(
        None,
        alias="to",
        description="Likewise; a scene or shot to its end. Default where the next track begins, or the film ends.",
    )
    crossfade: Time = Field(
        Duration(Fraction(2)),
        description="How long it and the track before it are heard together, half before the change. Default 2s.",
    )
    loop: bool = Field(False, description="Begin again, from the file's beginning, where it ends too early.")


TrackValue = Annotated[TrackModel, BeforeValidator(short_form("file"), json_schema_input_type=Reference | TrackModel)]


class AudioModel(_SoundSettings):
    """Sound under the whole film."""

    track: Reference | None = Field(None, description="A sound file, from the storyboard's folder.")
    tracks: Annotated[list[TrackValue], Field(min_length=1, max_length=_MAX_TRACKS)] | None = Field(
        None, description="In place of one track, several that follow one another."
    )
    loop: bool = Field(False, description="Begin again, from the file's beginning, where it ends before the film does.")
    duck: Decibels = Field(
        Decimal(12),
        description="How far music and sounds go down under narration, at least: 12dB. Further where the voice would "
        "be less than 12 LU above them. Default 12dB.",
    )
    normalize: Loudness = Field(
        False, description="Bring the whole mix to -16 LUFS, or to another loudness: -23. Default false."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.track is None or self.tracks is None, "tracks", "cannot stand beside track; keep one of them")
        for key in _TRACK_KEYS:
            own = self.tracks is not None and key in self.model_fields_set
            require(not own, key, "belongs to each of the tracks; write it there")
        return self


class SoundModel(_SoundSettings):
    """A sound that starts with its shot."""

    file: Reference = Field(description="A sound file, from the storyboard's folder.")


class OutputModel(FormatModel):
    """A film to make."""

    preset: PresetName | None = Field(None, description="A name from configs/presets that sets what is not set here.")
    name: Id | None = Field(None, description="Ends the file's name, where there are several outputs.")
    fps: Fps | None = Field(None, description="Video frames a second: 24, 23.976, 30000/1001. Default 24.")
    size: FilmSize | None = Field(None, description="Pixels, 1344x768. Default the aspect ratio's own.")
    codec: CodecName | None = Field(None, description="Video codec, or gif or webp. Default h264.")
    crf: Crf | None = Field(
        None, description="Constant rate factor: lower is finer and larger. Default the codec's own; 18 for h264."
    )
    quality: Annotated[Quality, BeforeValidator(known_word(tuple(Quality)))] = Field(
        Quality.FINAL, description="A draft is there sooner, coarser where the picture moves. Default final."
    )
    max_bitrate: Bitrate | None = Field(
        None, description="Bits that the video may take in a second: 25M, 8000k. Default the preset's; else no bound."
    )
    fit: FilmFit | None = Field(None, description="How a frame of another shape is laid into the film. Default cover.")
    background: Annotated[Background, BeforeValidator(known_word(tuple(Background)))] | None = Field(
        None, description="What fit: contain leaves free: black, or a blurred copy. Default black."
    )
    captions: CaptionsModel | None = Field(None, description="Looks of the captions in this film, where they differ.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        # Not in the parser of `crf`: its bound depends on the codec, which may come from the preset.
        encoding = encoding_of(self.codec_name)
        if self.crf is not None:
            most = encoding.max_crf
            cure = f"must be between 0 and {most}" if most is not None else f"is nothing that {self.codec_name} has"
            require(most is not None and self.crf <= most, "crf", f"{cure}, got {self.crf}")
        bounded = ", ".join(name for name in codec_names() if encoding_of(name).takes_delivery)
        unbounded = self.max_bitrate is not None and not encoding.takes_delivery
        require(not unbounded, "max_bitrate", f"holds for {bounded} only, not for {self.codec_name}; remove it")
        shown_nowhere = self.background is not None and self.fit not in (None, Fit.CONTAIN)
        require(not shown_nowhere, "background", "only fit: contain leaves anything free; remove it")
        return self

    @property
    def codec_name(self) -> str:
        """The codec: its own, or its preset's; a preset that says how to encode is one."""
        if self.codec or not self.preset:
            return self.codec or DEFAULT_CODEC
        return self.preset if self._preset.encoding else self._preset.codec or DEFAULT_CODEC

    @property
    def rate(self) -> Fraction:
        """Video frames a second."""
        return self.fps or self._preset.fps or presets()[self.codec_name].fps or DEFAULT_FPS

    def resolved(self, *, size: Size, name: str) -> Output:
        """Return the film to make; `size` is its size where neither it nor its preset says one."""
        preset, encoding = self._preset, encoding_of(self.codec_name)
        return Output(
            fps=self.rate,
            size=self.size or preset.size or size,
            codec=self.codec_name,
            crf=self.crf if self.crf is not None else encoding.crf or 0,
            fit=self.fit or preset.fit or Fit.COVER,
            background=self.background or preset.background or Background.BLACK,
            name=name,
            quality=self.quality,
            delivery=self._delivery,
        )

    def caption_style(self, captions: CaptionsModel, *, language: str | None) -> CaptionStyle:
        """Return the looks of this film's captions: its own, else those of all films.

        Args:
            captions: the looks in all films.
            language: of the text.
        """
        own = self.captions.model_dump(exclude_unset=True) if self.captions else {}
        looks = captions.model_copy(update=own)
        return CaptionStyle(
            burn=looks.burn,
            position=looks.position,
            size=Fraction(looks.size) / 100,
            color=looks.color,
            outline=looks.outline,
            font=looks.font,
            line_length=looks.line_length,
            safe_area=self._preset.safe_area.margins,
            language=language,
            words=looks.words,
            highlight=looks.highlight,
            lines=looks.lines,
            letters_per_second=Fraction(looks.letters_per_second),
        )

    @property
    def _delivery(self) -> Delivery:
        if not encoding_of(self.codec_name).takes_delivery:
            return Delivery()
        asked = self._preset.delivery.resolved
        return replace(asked, max_bitrate=self.max_bitrate or asked.max_bitrate)

    @property
    def _preset(self) -> Preset:
        # An empty preset in place of none, so that every key can be looked up in it.
        return presets()[self.preset] if self.preset else Preset(description="none")


TransitionValue = Annotated[
    TransitionModel, BeforeValidator(short_form("type"), json_schema_input_type=TransitionType | TransitionModel)
]
MotionValue = Annotated[
    MotionModel, BeforeValidator(short_form("type"), json_schema_input_type=MotionType | MotionModel)
]
SoundValue = Annotated[SoundModel, BeforeValidator(short_form("file"), json_schema_input_type=Reference | SoundModel)]
AudioValue = Annotated[AudioModel, BeforeValidator(short_form("track"), json_schema_input_type=Reference | AudioModel)]
OutputValue = Annotated[
    OutputModel, BeforeValidator(short_form("preset"), json_schema_input_type=PresetName | OutputModel)
]
Outputs = Annotated[
    list[OutputValue],
    BeforeValidator(_as_list, json_schema_input_type=OutputValue | list[OutputValue]),
    Field(min_length=1),
]
