"""Narrations of a storyboard: what is spoken over which of its frames."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path

from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.narration_schema import NarrationValue, NarratorModel, RecordingModel
from pipelines.storyboard.frame_texts import FrameTexts
from pipelines.storyboard.issues import IssueLog
from pipelines.storyboard.model import Narration, Narrator
from pipelines.storyboard.prompts import SourceText
from pipelines.storyboard.shots import Shot, frames_of
from pipelines.storyboard.sounds import Locate
from pipelines.storyboard.voices import RECORDED


def narrator_of(model: NarratorModel, *, language: str | None, fps: Fraction, locate: Locate) -> Narrator:
    """Return the voice of a storyboard.

    Args:
        model: the voice as it is written.
        language: of what is said.
        fps: video frames a second; times that are written in video frames are counted in it.
        locate: returns the place of a path in the file.
    """
    return Narrator(
        voice=model.voice,
        speed=Fraction(model.speed),
        gap_s=model.gap.seconds(fps),
        say=tuple(model.say.items()),
        strict=model.strict,
        language=language,
        place=locate(("narration", "voice")),
        language_place=locate(("language",)),
    )


@dataclass(frozen=True, slots=True)
class NarrationReader:
    """Reads what is spoken over shots and scenes.

    Attributes:
        narrator: the voice.
        variables: the storyboard's own, for templates.
        texts: fills templates in.
        folder: the storyboard's own; recordings are named from there.
        locate: returns the place of a path in the file.
        issues: receives what is wrong.
    """

    narrator: NarratorModel
    variables: Mapping[str, str]
    texts: FrameTexts
    folder: Path
    locate: Locate
    issues: IssueLog

    def read(self, shots: Sequence[Shot]) -> Iterator[Narration]:
        """Yield everything that is spoken, in storyboard order."""
        first = 0
        for _, group in groupby(shots, key=lambda shot: shot.scene_path):
            of_scene = list(group)
            frames = range(first, first + sum(shot.frame_count for shot in of_scene))
            yield from self._of_scene(of_scene, frames)
            first = frames.stop

    def _of_scene(self, shots: Sequence[Shot], frames: range) -> Iterator[Narration]:
        value = shots[0].scene_narration
        if value is not None:
            self._require_silent(shots)
            # It is spoken from its first frame on, and so in the words of that.
            [(_, variables)] = islice(frames_of(shots[0], self.variables), 1)
            yield from self._once(value, (*shots[0].scene_path, "narration"), frames, [variables])
            return
        first = frames.start
        for shot in shots:
            own = range(first, first + shot.frame_count)
            if shot.model.narration is not None:
                of_frames = [variables for _, variables in frames_of(shot, self.variables)]
                yield from self._of_shot(shot.model.narration, (*shot.path, "narration"), own, of_frames)
            first = own.stop

    def _require_silent(self, shots: Sequence[Shot]) -> None:
        for shot in shots:
            if shot.model.narration is not None:
                message = "cannot stand beside the scene's own, for two voices would speak at once; remove one"
                self.issues.add((*shot.path, "narration"), message)

    def _of_shot(
        self, value: NarrationValue, path: YamlPath, frames: range, variables: Sequence[Mapping[str, str]]
    ) -> Iterator[Narration]:
        if isinstance(value, list) and len(value) == len(frames):
            for index, (text, of_frame) in enumerate(zip(value, variables, strict=True)):
                yield from self._once(text, (*path, index), frames[index : index + 1], [of_frame])
        else:
            yield from self._once(value, path, frames, variables)

    def _once(
        self, value: NarrationValue, path: YamlPath, frames: range, variables: Sequence[Mapping[str, str]]
    ) -> Iterator[Narration]:
        """Yield what is spoken once, over all of these frames; nothing where it is wrong.

        `variables` are those of each frame in whose words it must be.
        """
        recording = value if isinstance(value, RecordingModel) else None
        if recording is None and self.narrator.voice == RECORDED:
            message = "is spoken by nobody, for voice: file speaks recordings alone; write {file: ..., text: ...}"
            self.issues.add(path, message)
            return
        parts = [self._filled(source, variables) for source in _sources(value, path)]
        text = "\n".join(part for part in parts if part)
        if all(parts):
            yield Narration(
                text=text,
                frame=frames.start,
                frames=len(frames),
                place=self.locate((*path, "text") if recording else path),
                recording=self.folder / recording.file if recording else None,
                recording_place=self.locate((*path, "file")) if recording else None,
            )

    def _filled(self, source: SourceText, variables: Sequence[Mapping[str, str]]) -> str | None:
        """Return a text filled in, which must say the same for each of its frames."""
        text = self.texts.narration(source, variables[0])
        if "{" in source.text and any(self.texts.narration(source, others) != text for others in variables[1:]):
            message = "says something else for each of its frames, and is spoken once; write a list with one for each"
            self.issues.add(source.path, message)
        return text


def _sources(value: NarrationValue, path: YamlPath) -> list[SourceText]:
    if isinstance(value, RecordingModel):
        return [SourceText((*path, "text"), value.text)]
    if isinstance(value, list):
        return [SourceText((*path, index), text) for index, text in enumerate(value)]
    return [SourceText(path, value)]
