"""The storyboard as the rest of the house sees it: every default, template and matrix resolved."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines.aspect import AspectRatio, Fit, Size
from pipelines.budget import Budgets


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
    """

    scene: str
    shot: str
    prompt: str
    fallback_prompts: tuple[str, ...]
    steps: int
    aspect: AspectRatio
    hold_s: Fraction
    fit: Fit


@dataclass(frozen=True, slots=True)
class BoardScene:
    """A scene: a chapter of the film."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Output:
    """The film to make. `fps` is exact: 23.976 is 24000/1001."""

    fps: Fraction
    size: Size
    codec: str
    crf: int
    fit: Fit


@dataclass(frozen=True, slots=True)
class Storyboard:
    """A whole storyboard, resolved: frames in the order in which the film shows them."""

    id: str
    title: str
    path: Path
    output: Output
    budgets: Budgets
    scenes: tuple[BoardScene, ...]
    frames: tuple[BoardFrame, ...]
