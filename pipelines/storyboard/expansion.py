"""The storyboard as written -> the storyboard resolved: cascade, matrix, keyframes and templates worked out."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio, Fit
from pipelines.common.suggestions import did_you_mean
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.fields import MAX_CAPTION_CHARS, MAX_PROMPT_CHARS, Duration
from pipelines.storyboard.format.film_schema import MotionModel, TransitionModel
from pipelines.storyboard.format.schema import Cascading, SceneModel, ShotModel, StoryboardModel
from pipelines.storyboard.model import (
    BoardFrame,
    BoardScene,
    CaptionStyle,
    Motion,
    MotionType,
    Output,
    Smooth,
    Storyboard,
    Transition,
)
from pipelines.storyboard.sounds import Locate, nowhere, sound_mix
from pipelines.storyboard.templates import PromptTemplateError, Templates
from pipelines.storyboard.timing import cut_points, half_transition
from pipelines.storyboard.transitions import CUT

MAX_FILM_S = 24 * 3600
MAX_ISSUES = 1000
_DEFAULT_STEPS = 4
_DEFAULT_ASPECT = AspectRatio.LANDSCAPE
_DEFAULT_HOLD = Duration(Fraction(4))
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong at a path of the storyboard."""

    path: YamlPath
    message: str


class ExpansionError(ValueError):
    """The storyboard cannot be resolved; `issues` holds every reason."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(f"{len(issues)} issues")
        self.issues = tuple(issues)


@dataclass(frozen=True, slots=True)
class _Shot:
    """A shot in its place: where it stands in the file, and what it inherits."""

    scene: BoardScene
    id: str
    path: YamlPath
    noun: ShotModel
    cascade: tuple[tuple[YamlPath, Cascading], ...]

    def inherit(self, key: str) -> tuple[YamlPath, object]:
        """Return the value of a cascading key and where it was set; None where nobody set it."""
        for path, noun in self.cascade:
            value = getattr(noun, key)
            if value is not None:
                return (*path, key), value
        return (*self.path, key), None


def expand(noun: StoryboardModel, *, path: Path, default_id: str, locate: Locate = nowhere) -> Storyboard:
    """Resolve a storyboard as it was written.

    Args:
        noun: the storyboard.
        path: where it came from.
        default_id: its id if it names none.
        locate: tells where in the file something stands.

    Raises:
        ExpansionError: names are missing or taken twice, prompts are too long, holds too short, frames too many.
    """
    board_id = noun.id or default_id
    title = noun.title or board_id
    expansion = _Expansion(noun)
    shots = expansion.few_enough(expansion.shots(title))
    frames = tuple(expansion.frames(shots))
    outputs = expansion.outputs(frames[0].aspect) if frames else ()
    expansion.check_transitions(shots, frames, outputs)
    if expansion.issues:
        raise ExpansionError(list(expansion.issues))
    captions = noun.captions
    return Storyboard(
        id=board_id,
        title=title,
        path=path,
        outputs=outputs,
        budgets=Budgets(noun.budget.usd, noun.budget.total_usd, on_exceed=noun.budget.on_exceed)
        if noun.budget
        else Budgets(),
        scenes=tuple(dict.fromkeys(shot.scene for shot in shots)),
        frames=frames,
        captions=CaptionStyle(
            burn=captions.burn,
            position=captions.position,
            size=Fraction(captions.size) / 100,
            color=captions.color,
            outline=captions.outline,
            font=captions.font,
        ),
        sound=sound_mix(
            noun.audio,
            [(shot.path, shot.noun, _frame_count(shot.noun)) for shot in shots],
            folder=path.parent,
            fps=outputs[0].fps,
            locate=locate,
        ),
    )


class _Expansion:
    def __init__(self, noun: StoryboardModel) -> None:
        self._noun = noun
        self._templates = Templates()
        # Prompts and styles already found wrong: each is told once, not for every frame that it makes.
        self._broken: set[YamlPath] = set()
        # Video frames, where a time is written in them, are the first output's.
        self._fps = noun.output[0].rate
        # Keys only: thousands of issues are told apart as fast as one.
        self.issues: dict[Issue, None] = {}

    def shots(self, title: str) -> Iterator[_Shot]:
        """Yield every shot, with the ids it has or is given."""
        defaults = (("defaults",), self._noun.defaults)
        if self._noun.prompts is not None:
            scene = BoardScene("main", title)
            for index, prompt in enumerate(self._noun.prompts):
                noun = ShotModel.model_construct(prompt=prompt)
                yield _Shot(scene, f"shot-{index + 1}", ("prompts", index), noun, (defaults,))
            return
        seen: Counter[str] = Counter()
        for index, scene_noun in enumerate(self._noun.scenes or ()):
            scene_id = scene_noun.id or f"scene-{index + 1}"
            self._require_new(scene_id, seen, ("scenes", index, "id"), "scenes")
            scene = BoardScene(scene_id, scene_noun.title or scene_id)
            yield from self._scene_shots(scene_noun, scene, index, defaults)

    def _scene_shots(
        self, noun: SceneModel, scene: BoardScene, index: int, defaults: tuple[YamlPath, Cascading]
    ) -> Iterator[_Shot]:
        seen: Counter[str] = Counter()
        scene_path: YamlPath = ("scenes", index)
        for position, shot in enumerate(noun.shots):
            path = (*scene_path, "shots", position)
            shot_id = shot.id or f"shot-{position + 1}"
            self._require_new(shot_id, seen, (*path, "id"), f"shots of the scene {scene.id!r}")
            yield _Shot(scene, shot_id, path, shot, ((path, shot), (scene_path, noun), defaults))

    def _require_new(self, identifier: str, seen: Counter[str], path: YamlPath, among: str) -> None:
        seen[identifier] += 1
        if seen[identifier] == 2:
            self._note(Issue(path, f"{identifier!r} is there twice among the {among}; ids are unique"))

    def frames(self, shots: Sequence[_Shot]) -> Iterator[BoardFrame]:
        """Yield every frame; note every issue."""
        self._check_styles()
        elapsed_s = Fraction(0)
        for shot in shots:
            frames = list(self._shot_frames(shot))
            elapsed_s += sum((frame.hold_s for frame in frames), Fraction(0))
            yield from frames
        if elapsed_s > MAX_FILM_S:
            self._note(Issue((), f"the film would be {float(elapsed_s) / 3600:.1f} hours long, more than 24"))

    def outputs(self, first_aspect: AspectRatio) -> tuple[Output, ...]:
        """Return the films to make: what each output says, else its preset, else what is usual."""
        size = (self._noun.defaults.aspect or first_aspect).size
        names = [
            noun.name or noun.preset or noun.codec_name if index else "" for index, noun in enumerate(self._noun.output)
        ]
        for index, name in enumerate(names):
            if name in names[:index]:
                self._note(Issue(("output", index), f"is the second one called {name!r}; give it a name of its own"))
        return tuple(noun.resolved(size=size, name=name) for noun, name in zip(self._noun.output, names, strict=True))

    def check_transitions(
        self, shots: Sequence[_Shot], frames: Sequence[BoardFrame], outputs: Sequence[Output]
    ) -> None:
        """Require that transitions fit into the holds around them, in every output."""
        paths = [shot.inherit("transition")[0] for shot in shots for _ in range(_frame_count(shot.noun))]
        for output in outputs:
            for number, message in _crowded(frames, output.fps):
                if paths[number] not in self._broken:
                    self._break(paths[number], message)

    def few_enough(self, shots: Iterable[_Shot]) -> list[_Shot]:
        """Count before anything is built: a matrix may ask for more frames than fit in memory."""
        counted: list[_Shot] = []
        count = 0
        for shot in shots:
            count += _frame_count(shot.noun)
            if count > self._noun.max_frames:
                message = (
                    f"brings the storyboard to {count:,} frames, more than {self._noun.max_frames:,}; "
                    "ask for fewer, or raise max_frames"
                )
                self._note(Issue(shot.path, message))
                return []
            counted.append(shot)
        return counted

    def _check_styles(self) -> None:
        """Look at every style once, also at those that no shot wears."""
        for name, text in self._noun.styles.items():
            try:
                self._templates.check(text)
            except PromptTemplateError as exc:
                self._break(("styles", name), str(exc))

    def _shot_frames(self, shot: _Shot) -> Iterator[BoardFrame]:
        hold_s = self._hold_s(shot)
        style = self._style(shot)
        count = _frame_count(shot.noun)
        smooth = _smooth(shot) if count > 1 else None
        transition, motion = _transition(shot, self._fps), _motion(shot)
        if smooth and shot.noun.motion and motion:
            self._note(Issue((*shot.path, "motion"), "cannot stand beside smooth, which moves the picture; remove one"))
        steps, aspect, fit, takes = (shot.inherit(key)[1] for key in ("steps", "aspect", "fit", "takes"))
        for index, (names, (path, prompt)) in enumerate(itertools.product(_combinations(shot.noun), _prompts(shot))):
            every = {**self._noun.vars, **names}
            given = {"scene": shot.scene.id, "shot": shot.id, "frame": str(index), **every}
            prompts = [(path, prompt), *_fallbacks(shot)]
            rendered = [self._rendered(where, text, style, given) for where, text in prompts]
            last = index == count - 1
            yield BoardFrame(
                scene=shot.scene.id,
                shot=shot.id,
                prompt=rendered[0],
                fallback_prompts=tuple(rendered[1:]),
                steps=steps or _DEFAULT_STEPS,  # type: ignore[arg-type]  # the noun has checked it
                aspect=aspect or _DEFAULT_ASPECT,  # type: ignore[arg-type]
                hold_s=hold_s,
                fit=fit or Fit.COVER,  # type: ignore[arg-type]
                # In-betweens stand where transitions and moves would.
                transition=transition if last or smooth is None else None,
                motion=motion if smooth is None else None,
                caption=self._caption(shot, given),
                smooth=smooth,
                takes=takes or 1,  # type: ignore[arg-type]
            )

    def _hold_s(self, shot: _Shot) -> Fraction:
        path, hold = shot.inherit("hold")
        length = hold if isinstance(hold, Duration) else _DEFAULT_HOLD
        hold_s = length.seconds(self._fps)
        slowest = min(output.rate for output in self._noun.output)
        if hold_s * slowest < 1:
            frame_ms = float(1000 / slowest)
            message = f"is shorter than one video frame, which is {frame_ms:.4g} ms here; write 1f or more"
            self._note(Issue(path, message))
        return hold_s

    def _style(self, shot: _Shot) -> str | None:
        path, style = shot.inherit("style")
        if not isinstance(style, str):
            return None
        if style not in self._noun.styles:
            known = did_you_mean(style, self._noun.styles) if self._noun.styles else "; there are no styles"
            self._note(Issue(path, f"no style is called {style!r}{known}"))
            return None
        return style

    def _caption(self, shot: _Shot, names: Mapping[str, str]) -> str | None:
        path, text = shot.inherit("caption")
        if not isinstance(text, str) or path in self._broken or len(self.issues) >= MAX_ISSUES:
            return None
        try:
            caption = self._templates.render(text, names).strip()
        except PromptTemplateError as exc:
            self._break(path, str(exc))
            return None
        if issue := _text_issue(caption) or _length_issue(caption, MAX_CAPTION_CHARS, "captions"):
            self._break(path, issue)
        return caption

    def _rendered(self, path: YamlPath, text: str, style: str | None, names: Mapping[str, str]) -> str:
        """Return a prompt filled in and dressed in its style, or as written where that cannot be done."""
        if path in self._broken or len(self.issues) >= MAX_ISSUES:
            return text
        try:
            prompt = self._templates.render(text, names).strip()
        except PromptTemplateError as exc:
            return self._break(path, str(exc), instead=text)
        if style is not None:
            dressed = self._dressed(prompt, style, names)
            if dressed is None:
                return text
            prompt = dressed
        issue = prompt_issue(prompt)
        return self._break(path, issue, instead=text) if issue else prompt

    def _dressed(self, prompt: str, style: str, names: Mapping[str, str]) -> str | None:
        """Return a prompt in its style; None where the style, not the prompt, is at fault."""
        path = ("styles", style)
        if path in self._broken:
            return None
        # A style may lack a name in one shot and find it in another.
        place = f"in {names['scene']}/{names['shot']}: "
        try:
            dressed = self._templates.render(self._noun.styles[style], {**names, "prompt": prompt}).strip()
        except PromptTemplateError as exc:
            self._break(path, f"{place}{exc}")
            return None
        if len(dressed) - len(prompt) > MAX_PROMPT_CHARS:
            added = len(dressed) - len(prompt)
            self._break(path, f"{place}adds {added:,} characters; prompts have 1 to {MAX_PROMPT_CHARS:,}, shorten it")
            return None
        return dressed

    def _break(self, path: YamlPath, message: str, *, instead: str = "") -> str:
        self._broken.add(path)
        self._note(Issue(path, message))
        return instead

    def _note(self, issue: Issue) -> None:
        self.issues[issue] = None


def prompt_issue(prompt: str) -> str | None:
    """Return what is wrong with a prompt once it is filled in; None if nothing is."""
    return _length_issue(prompt, MAX_PROMPT_CHARS, "prompts") or _text_issue(prompt)


def _length_issue(text: str, most: int, what: str) -> str | None:
    if 1 <= len(text) <= most:
        return None
    return f"is {len(text):,} characters once filled in; {what} have 1 to {most:,}"


def _text_issue(text: str) -> str | None:
    if match := _CONTROL.search(text):
        return f"holds the control character {match[0]!r}; remove it"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is no character; remove it"
    return None


def _transition(shot: _Shot, fps: Fraction) -> Transition | None:
    _, noun = shot.inherit("transition")
    if not isinstance(noun, TransitionModel) or noun.type == CUT:
        return None
    return Transition(noun.type, noun.duration.seconds(fps))


def _motion(shot: _Shot) -> Motion | None:
    _, noun = shot.inherit("motion")
    if not isinstance(noun, MotionModel) or noun.type is MotionType.NONE:
        return None
    return Motion(noun.type, Fraction(noun.amount), noun.ease)


def _smooth(shot: _Shot) -> Smooth | None:
    noun = shot.noun.smooth
    return Smooth(noun.fps, noun.method) if noun else None


def _crowded(frames: Sequence[BoardFrame], fps: Fraction) -> Iterator[tuple[int, str]]:
    """Yield the frames whose transition does not fit, and why: it would be longer than a hold beside it."""
    cuts = cut_points((frame.hold_s for frame in frames), fps)
    halves = [half_transition(frame.transition.duration_s, fps) if frame.transition else 0 for frame in frames]
    halves[-1:] = [0]
    for number, frame in enumerate(frames):
        before, after = (halves[number - 1] if number else 0), halves[number]
        if 2 * max(before, after) <= cuts[number + 1] - cuts[number]:
            continue
        blamed = number if after >= before else number - 1
        transition = frames[blamed].transition
        assert transition is not None
        yield (
            blamed,
            f"a {transition.type} of {float(transition.duration_s):g} s does not fit: {frame.scene}/{frame.shot} is "
            f"held for {float(frame.hold_s):g} s only; shorten it, hold the frame longer, or write transition: cut",
        )


def _prompts(shot: _Shot) -> list[tuple[YamlPath, str]]:
    """Return the prompt of each frame of one combination, and where it stands."""
    noun, path = shot.noun, shot.path
    if isinstance(noun.prompts, list):
        return [((*path, "prompts", index), prompt) for index, prompt in enumerate(noun.prompts)]
    if isinstance(noun.prompts, dict):
        return list(_keyframed(noun.prompts, _frames_a_combination(noun), (*path, "prompts")))
    # The short form has no key of its own for a prompt.
    where = path if path[0] == "prompts" else (*path, "prompt")
    return [(where, noun.prompt or "")] * _frames_a_combination(noun)


def _keyframed(keyframes: Mapping[int, str], count: int, path: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    current = 0
    for index in range(count):
        current = index if index in keyframes else current
        yield (*path, current), keyframes[current]


def _fallbacks(shot: _Shot) -> Iterator[tuple[YamlPath, str]]:
    for index, prompt in enumerate(shot.noun.fallback_prompts or ()):
        yield (*shot.path, "fallback_prompts", index), prompt


def _combinations(noun: ShotModel) -> Iterator[dict[str, str]]:
    """Yield the names that a matrix gives to each of its combinations, the last key turning fastest."""
    matrix = noun.matrix or {}
    rows = zip(*matrix.values(), strict=True) if noun.match == "zip" else itertools.product(*matrix.values())
    for row in rows:
        yield dict(zip(matrix, row, strict=True))


def _frame_count(noun: ShotModel) -> int:
    lengths = [len(values) for values in (noun.matrix or {}).values()]
    combinations = lengths[0] if noun.match == "zip" and lengths else prod(lengths)
    return combinations * _frames_a_combination(noun)


def _frames_a_combination(noun: ShotModel) -> int:
    if isinstance(noun.prompts, list):
        return len(noun.prompts)
    if isinstance(noun.prompts, dict):
        return noun.frames or max(noun.prompts) + 1
    return noun.frames or 1
