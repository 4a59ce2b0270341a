"""The storyboard resolved, as all other folders use it: every default, template and matrix worked out.

Units: `..._s` is exact seconds, `fps` exact video frames a second, a `Size` pixels.

Encoded segments and sound mixes are cached by hashes of the `repr` of these classes, and films carry such a hash. To
rename a class or a field, or to add one, makes every film be encoded again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from pipelines.common.budgets import Budgets
from pipelines.common.errors import Note, Problem
from pipelines.common.geometry import TEXT_SAFE, AspectRatio, Fit, Margins, Size
from pipelines.common.lettering.typefaces import FontStack, Weight
from pipelines.common.quality import Quality
from pipelines.storyboard.voices import BUILT_IN_VOICE

# Of mixes that say nothing else.
_LOUDNESS_LUFS = Fraction(-16)
_DUCK_DB = Fraction(12)


class MotionType(StrEnum):
    """A camera's move over a frame."""

    NONE = "none"
    PUSH_IN = "push_in"
    PULL_OUT = "pull_out"
    PAN_LEFT = "pan_left"
    PAN_RIGHT = "pan_right"
    PAN_UP = "pan_up"
    PAN_DOWN = "pan_down"


class Ease(StrEnum):
    """The speed of a move: the same throughout, or slow at both ends."""

    LINEAR = "linear"
    IN_OUT = "in_out"


class SmoothMethod(StrEnum):
    """A way to make in-betweens: follow what moves, or only mix the two frames."""

    MOTION = "motion"
    BLEND = "blend"


class Position(StrEnum):
    """The place of captions in the picture."""

    TOP = "top"
    MIDDLE = "middle"
    BOTTOM = "bottom"


class WordCaptions(StrEnum):
    """The part that single words play in the captions of what is spoken."""

    OFF = "off"
    HIGHLIGHT = "highlight"
    ONE_BY_ONE = "one-by-one"


class Background(StrEnum):
    """The area beside a picture that does not fill the film: black, or a blurred copy of the picture."""

    BLACK = "black"
    BLUR = "blur"


@dataclass(frozen=True, slots=True)
class Transition:
    """A way from a frame to the next other than a cut.

    Attributes:
        type: one of `transitions.TYPES`.
        duration_s: exact seconds; half of them lie in each of the two holds.
    """

    type: str
    duration_s: Fraction


@dataclass(frozen=True, slots=True)
class Motion:
    """A slow move over a frame, as long as its hold.

    Attributes:
        type: the camera's move.
        amount: a share of the picture, above 0 and up to 1: 0.1 zooms by a tenth, or pans over a tenth.
        ease: the speed over time.
    """

    type: MotionType
    amount: Fraction
    ease: Ease = Ease.LINEAR


@dataclass(frozen=True, slots=True)
class Smooth:
    """In-betweens from each frame of a shot to its next.

    Attributes:
        fps: pictures a second, in-betweens included; None for the film's own rate.
        method: the way to make them.
    """

    fps: Fraction | None
    method: SmoothMethod


@dataclass(frozen=True, slots=True)
class BoardFrame:
    """One frame that the storyboard asks for.

    Attributes:
        scene: the scene's id.
        shot: the shot's id, unique in its scene.
        prompt: the rendered prompt, 1 to 2,048 characters.
        fallback_prompts: rendered prompts to try in order when the API refuses `prompt`.
        steps: generation steps, 1 to 8.
        aspect: the aspect ratio to ask for.
        hold_s: exact seconds on screen; at least one video frame of every output. None for a share of the length of
            what is spoken over it, which planning is given.
        fit: the treatment of an image that is not of the size asked for.
        transition: into the next frame; None for a cut. It fits into the holds on both sides.
        motion: over this frame; None for a still one.
        caption: the text shown with the frame, 1 to 10,000 characters; None for none.
        smooth: in-betweens from this frame to the next of its shot; None for none.
        takes: how many takes to generate of it, from 1.
    """

    scene: str
    shot: str
    prompt: str
    fallback_prompts: tuple[str, ...]
    steps: int
    aspect: AspectRatio
    hold_s: Fraction | None
    fit: Fit
    transition: Transition | None = None
    motion: Motion | None = None
    caption: str | None = None
    smooth: Smooth | None = None
    takes: int = 1


@dataclass(frozen=True, slots=True)
class BoardScene:
    """A scene: a chapter of the film.

    Attributes:
        id: unique in the storyboard.
        title: the chapter's title.
    """

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a platform asks of the files that it takes, beside their size and rate.

    Attributes:
        keyframe_s: exact seconds from one keyframe to the next, at most; None for as many as the film needs.
        bframes: pictures between two references, at most; None for as many as the codec has.
        max_bitrate: bits that the video may take in a second; None for any number.
        audio_bitrate: bits that the sound takes in a second; None for as many as the codec says.
        edit_list: the file may have edit lists, which say where its tracks begin.
    """

    keyframe_s: Fraction | None = None
    bframes: int | None = None
    max_bitrate: int | None = None
    audio_bitrate: int | None = None
    edit_list: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """A film to make.

    Attributes:
        fps: video frames a second, exact: 23.976 is 24000/1001.
        size: in pixels, even in both directions.
        codec: the name of a preset with an encoding, see `presets.encoding_of`.
        crf: constant rate factor, lower is finer; 0 where the codec has none.
        fit: the treatment of frames of another shape than the film's.
        background: the area beside them where `fit` is contain.
        name: ends the file's name; empty for the first output.
        quality: how its pieces are encoded.
        delivery: what the platform asks that it is for.
    """

    fps: Fraction
    size: Size
    codec: str
    crf: int
    fit: Fit
    background: Background = Background.BLACK
    name: str = ""
    # Pieces have names of their `repr`: what comes out the same at both qualities is not encoded again.
    quality: Quality = field(default=Quality.FINAL, repr=False)
    # What it changes, the names of pieces, sounds and films tell by themselves.
    delivery: Delivery = field(default=Delivery(), repr=False)


@dataclass(frozen=True, slots=True)
class CaptionStyle:
    """Looks of the captions.

    Attributes:
        burn: they are drawn into the picture, besides standing in the subtitle track, the .srt and the .vtt.
        position: their place in the picture.
        size: height of a line as a share of the film's shorter side, above 0 and up to 1/2.
        color: of the letters, `#rrggbb` in lower case.
        outline: of the letters' outline, `#rrggbb` in lower case.
        font: the name of one of this machine's fonts; None for those that storyreel brings.
        line_length: letters in a line at most; those that are as wide as high count twice.
        safe_area: the edges that they keep out of.
        language: of their text, as a BCP 47 tag; None where it is not stated.
        words: of narration: what shows which word is spoken.
        highlight: of the word that is spoken, `#rrggbb` in lower case.
        lines: of narration at a time, at most.
        letters_per_second: how fast narration may have to be read.
    """

    burn: bool = True
    position: Position = Position.BOTTOM
    size: Fraction = Fraction(1, 20)
    color: str = "#ffffff"
    outline: str = "#000000"
    font: str | None = None
    line_length: int = 42
    safe_area: Margins = TEXT_SAFE
    language: str | None = None
    # Not in the repr: pieces with captions of other kinds keep the names that they had before there were these.
    words: WordCaptions = field(default=WordCaptions.OFF, repr=False)
    highlight: str = field(default="#ffd60a", repr=False)
    lines: int = field(default=2, repr=False)
    letters_per_second: Fraction = field(default=Fraction(17), repr=False)

    @property
    def font_stack(self) -> FontStack:
        """The fonts that they are drawn in."""
        return FontStack(Weight.SEMIBOLD, self.font, self.language)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the storyboard's file, for errors that only show later.

    Attributes:
        line: counted from 1; 0 for a storyboard that comes from no file.
        column: counted from 1; 0 with line 0.
        where: the place in the storyboard's own words, `scenes.arrival.shots.wide.steps`; may be empty.
    """

    line: int
    column: int
    where: str

    def problem(self, path: Path, message: str) -> Problem:
        """Return the problem of what stands here in the file at `path`."""
        return Problem(str(path), self.line, self.column, self.where, message)

    def note(self, path: Path, message: str) -> Note:
        """Return the note on what stands here in the file at `path`."""
        return Note(str(path), self.line, self.column, self.where, message)


@dataclass(frozen=True, slots=True)
class FramePlaces:
    """Where what a frame asks for is written, for notes.

    Attributes:
        shot: its shot.
        prompt: its prompt, or the keyframe that it has it from.
        steps, aspect: the level that sets them; None where none does.
    """

    shot: Place
    prompt: Place
    steps: Place | None = None
    aspect: Place | None = None


@dataclass(frozen=True, slots=True)
class Instant:
    """A time in the film.

    Attributes:
        frame: the number of the frame with which it comes; that after the last for the film's end. None where `time_s`
            tells it.
        time_s: exact seconds from the film's beginning.
    """

    frame: int | None = None
    time_s: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Span:
    """When music is heard.

    Attributes:
        start: None for where the music before it ends.
        end: None for where the music after it begins.
        crossfade_s: exact seconds in which it comes as the music before it goes, half of them before its start.
    """

    start: Instant | None = None
    end: Instant | None = None
    crossfade_s: Fraction = Fraction(2)


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file that plays in the film.

    Attributes:
        file: its path.
        place: the place in the storyboard that names it.
        volume: a factor from 0 to 10; 1 leaves it as loud as the file is.
        fade_in_s: exact seconds in which it grows to its volume.
        fade_out_s: exact seconds in which it falls silent, at its end.
        offset_s: exact seconds of the file that are skipped at its beginning.
        frame: the number of the frame that it starts with, from 0.
        loop: it begins again if it ends before the film does.
        span: when it is heard, if it is music; None for a shot's sound.
    """

    file: Path
    place: Place
    volume: Fraction = Fraction(1)
    fade_in_s: Fraction = Fraction(0)
    fade_out_s: Fraction = Fraction(0)
    offset_s: Fraction = Fraction(0)
    frame: int = 0
    loop: bool = False
    # Not in the repr: films with one track keep the identity that they had before there were several.
    span: Span | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SoundMix:
    """All sounds of the film but the voice.

    Attributes:
        sounds: in the order in which they are written; they are mixed.
        normalize: the whole is brought to `loudness_lufs`.
        loudness_lufs: its loudness then (EBU R 128's measure).
        duck_db: how far the rest goes down under the voice, at least.
    """

    sounds: tuple[Sound, ...] = ()
    normalize: bool = False
    # Not in the repr: mixes without them keep the names that they had before there were these.
    loudness_lufs: Fraction = field(default=_LOUDNESS_LUFS, repr=False)
    duck_db: Fraction = field(default=_DUCK_DB, repr=False)

    @property
    def further(self) -> tuple[object, ...]:
        """What the repr leaves out, as far as it is said: it counts in identities too."""
        spans = [sound.span for sound in self.sounds if sound.span]
        is_plain = spans in ([], [Span()]) and (self.loudness_lufs, self.duck_db) == (_LOUDNESS_LUFS, _DUCK_DB)
        return () if is_plain else (self.loudness_lufs, self.duck_db, *(sound.span for sound in self.sounds))


@dataclass(frozen=True, slots=True)
class Narrator:
    """The voice of a storyboard.

    Attributes:
        voice: `voices.BUILT_IN_VOICE`, `voices.RECORDED`, or a command (see `voices.command_of`).
        speed: 1 as the voice speaks by itself, 2 twice as fast.
        gap_s: exact seconds of silence after each narration.
        say: words, and what is spoken in their place.
        strict: a hold that is too short for its words is an error.
        language: of what is said, as a BCP 47 tag; None where it is not stated.
        place: where the voice is named.
        language_place: where the language is.
    """

    voice: str = BUILT_IN_VOICE
    speed: Fraction = Fraction(1)
    gap_s: Fraction = Fraction(3, 10)
    say: tuple[tuple[str, str], ...] = ()
    strict: bool = False
    language: str | None = None
    place: Place = field(default=Place(0, 0, ""), repr=False, compare=False)
    language_place: Place = field(default=Place(0, 0, ""), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Narration:
    """Words that are spoken over some frames, from the cut to the first of them on.

    Attributes:
        text: the words, perhaps on several lines; 1 to 50,000 characters.
        frame: the number of the first frame.
        frames: how many they are.
        place: where the text is written.
        recording: a sound file in which they are spoken; None where a voice speaks them.
        recording_place: where it is named.
    """

    text: str
    frame: int
    frames: int
    place: Place = field(repr=False, compare=False)
    recording: Path | None = field(default=None, repr=False)
    recording_place: Place | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that the storyboard does not hold: the name of the variable that does."""

    name: str


@dataclass(frozen=True, slots=True)
class BoardEndpoint:
    """An endpoint as the storyboard names it; see `endpoint.settings_for` for what becomes of it.

    Attributes:
        url: its address; None where its account makes it.
        dialect: the name of the language that it speaks; None to go by its address.
        account: Cloudflare's, whose address it is.
        gateway: that account's AI Gateway, where it is asked through one.
        token: the one token that it is sent; None for none.
        rate_limit: requests a minute that it allows.
        price_usd: the most that an image may cost there.
        places: where each of these is written, by its key.
    """

    url: str | Variable | None = None
    dialect: str | None = None
    account: str | Variable | None = None
    gateway: str | Variable | None = None
    token: Variable | None = None
    rate_limit: int | None = None
    price_usd: Decimal | None = None
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Storyboard:
    """A whole storyboard, resolved.

    Attributes:
        id: names the output folder and the films.
        title: of the film.
        path: the storyboard's file, as the user named it.
        outputs: the films to make, at least one.
        budgets: caps on what it may cost, in US dollars.
        scenes: in storyboard order.
        frames: in storyboard order, which is the order in which the film shows them; a frame's number is its index.
        captions: their looks in each of the outputs.
        caption_places: where the caption of each frame is written, for notes.
        frame_places: where the other things are written that each frame asks for.
        sound: all sounds.
        narrator: the voice.
        narrations: what is spoken, in storyboard order; no two over the same frame.
        endpoint: where it wants its images from; None where it does not say.
        notes: what is legal in its file but surely not meant, in file order.
    """

    id: str
    title: str
    path: Path
    outputs: tuple[Output, ...]
    budgets: Budgets
    scenes: tuple[BoardScene, ...]
    frames: tuple[BoardFrame, ...]
    captions: tuple[CaptionStyle, ...]
    caption_places: tuple[Place, ...] = ()
    frame_places: tuple[FramePlaces, ...] = ()
    sound: SoundMix = field(default_factory=SoundMix)
    # Not in the repr: the digest of a storyboard that says nothing is as it was before there was narration.
    narrator: Narrator = field(default_factory=Narrator, repr=False)
    narrations: tuple[Narration, ...] = field(default=(), repr=False)
    endpoint: BoardEndpoint | None = None
    notes: tuple[Note, ...] = ()

    @property
    def output(self) -> Output:
        """The first film to make, and often the only one."""
        return self.outputs[0]

    def at_quality(self, quality: Quality | None) -> "Storyboard":
        """Return it with every film at a quality; None for the one that each output names."""
        if quality is None:
            return self
        return replace(self, outputs=tuple(replace(output, quality=quality) for output in self.outputs))

    def captions_of(self, output: Output) -> CaptionStyle:
        """Return the looks of the captions in one of the outputs."""
        return self.captions[self.outputs.index(output)]
