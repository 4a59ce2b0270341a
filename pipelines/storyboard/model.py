"""The storyboard as the rest of the house sees it: every default, template and matrix resolved."""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio, Fit, Size


class MotionType(StrEnum):
    """What the camera does over a frame."""

    NONE = "none"
    PUSH_IN = "push_in"
    PULL_OUT = "pull_out"
    PAN_LEFT = "pan_left"
    PAN_RIGHT = "pan_right"
    PAN_UP = "pan_up"
    PAN_DOWN = "pan_down"


class Ease(StrEnum):
    """How a move is spread over its time."""

    LINEAR = "linear"
    IN_OUT = "in_out"


class SmoothMethod(StrEnum):
    """How in-betweens are made."""

    MOTION = "motion"
    BLEND = "blend"


class Position(StrEnum):
    """Where captions stand."""

    TOP = "top"
    MIDDLE = "middle"
    BOTTOM = "bottom"


class Background(StrEnum):
    """What stands beside a picture that does not fill the film."""

    BLACK = "black"
    BLUR = "blur"


@dataclass(frozen=True, slots=True)
class Transition:
    """How the next frame follows, other than by a cut: `type` is one of `transitions.TYPES`."""

    type: str
    duration_s: Fraction


@dataclass(frozen=True, slots=True)
class Motion:
    """A move over a frame. `amount` is a share of the picture: 0.1 zooms by a tenth, or pans over a tenth."""

    type: MotionType
    amount: Fraction
    ease: Ease = Ease.LINEAR


@dataclass(frozen=True, slots=True)
class Smooth:
    """In-betweens for a shot: `fps` pictures a second; None for the film's own rate."""

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
        hold_s: exact time on screen, in seconds; at least one video frame.
        fit: what to do with an answer that is not of the size asked for.
        transition: into the next frame; None for a cut. It fits into the holds on both sides.
        motion: over this frame; None for a still one.
        caption: shown while the frame is.
        smooth: in-betweens from this frame to the next of its shot.
        takes: how many takes to buy of it.
    """

    scene: str
    shot: str
    prompt: str
    fallback_prompts: tuple[str, ...]
    steps: int
    aspect: AspectRatio
    hold_s: Fraction
    fit: Fit
    transition: Transition | None = None
    motion: Motion | None = None
    caption: str | None = None
    smooth: Smooth | None = None
    takes: int = 1


@dataclass(frozen=True, slots=True)
class BoardScene:
    """A scene: a chapter of the film."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Output:
    """A film to make.

    Attributes:
        fps: exact: 23.976 is 24000/1001.
        size: in pixels, even in both directions.
        codec: a name in `configs/presets` that says how to encode.
        crf: constant rate factor, lower is finer.
        fit: how frames of another shape are laid into the film.
        background: what stands beside them where `fit` is contain.
        name: ends the file's name; empty for the first output.
    """

    fps: Fraction
    size: Size
    codec: str
    crf: int
    fit: Fit
    background: Background = Background.BLACK
    name: str = ""


@dataclass(frozen=True, slots=True)
class CaptionStyle:
    """How captions look: `size` is a line's height as a share of the film's; colours are `#rrggbb`."""

    burn: bool = True
    position: Position = Position.BOTTOM
    size: Fraction = Fraction(1, 20)
    color: str = "#ffffff"
    outline: str = "#000000"
    font: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the storyboard's file something stands, for errors that only show later."""

    line: int
    column: int
    where: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file that plays in the film.

    Attributes:
        file: where it is.
        place: where the storyboard names it.
        volume: a factor; 1 leaves it as loud as it came.
        fade_in_s, fade_out_s, offset_s: seconds; `offset_s` into the file is where it begins.
        frame: it starts with this frame, or with the film.
        loop: it begins again where it ends before the film does.
    """

    file: Path
    place: Place
    volume: Fraction = Fraction(1)
    fade_in_s: Fraction = Fraction(0)
    fade_out_s: Fraction = Fraction(0)
    offset_s: Fraction = Fraction(0)
    frame: int = 0
    loop: bool = False


@dataclass(frozen=True, slots=True)
class SoundMix:
    """All that is heard; `normalize` brings the whole to -16 LUFS."""

    sounds: tuple[Sound, ...] = ()
    normalize: bool = False


@dataclass(frozen=True, slots=True)
class Storyboard:
    """A whole storyboard, resolved: frames in the order in which the film shows them."""

    id: str
    title: str
    path: Path
    outputs: tuple[Output, ...]
    budgets: Budgets
    scenes: tuple[BoardScene, ...]
    frames: tuple[BoardFrame, ...]
    captions: CaptionStyle = CaptionStyle()
    sound: SoundMix = field(default_factory=SoundMix)

    @property
    def output(self) -> Output:
        """The first film to make, and often the only one."""
        return self.outputs[0]
