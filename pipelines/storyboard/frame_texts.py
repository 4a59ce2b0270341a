"""Texts of frames: prompts and captions with their templates filled in, and the checks that they must pass."""

import re
from collections.abc import Callable, Mapping

from pipelines.common.suggestions import suggest
from pipelines.common.visible_text import shows_nothing
from pipelines.storyboard.format.base import YamlPath
from pipelines.storyboard.format.parsers import MAX_CAPTION_CHARS, MAX_NARRATION_CHARS, MAX_PROMPT_CHARS
from pipelines.storyboard.issues import IssueLog
from pipelines.storyboard.prompts import SourceText
from pipelines.storyboard.shots import Shot
from pipelines.storyboard.template_values import PromptTemplateError
from pipelines.storyboard.templates import Templates

# All of Unicode's category Cc but tab and newline.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Blank lines stand between them; other line ends are where the text was wrapped.
_PARAGRAPHS = re.compile(r"\n\s*\n")


def prompt_issue(prompt: str) -> str | None:
    """Return what is wrong with a prompt once it is filled in; None if nothing is."""
    return _length_issue(prompt, MAX_PROMPT_CHARS, "prompts") or _blank_issue(prompt) or _character_issue(prompt)


def caption_issue(caption: str) -> str | None:
    """Return what is wrong with a caption once it is filled in; None if nothing is."""
    return _character_issue(caption) or _length_issue(caption, MAX_CAPTION_CHARS, "captions") or _blank_issue(caption)


def narration_issue(text: str) -> str | None:
    """Return what is wrong with a narration once it is filled in; None if nothing is."""
    return _character_issue(text) or _length_issue(text, MAX_NARRATION_CHARS, "narrations") or _blank_issue(text)


def _length_issue(text: str, most: int, kind: str) -> str | None:
    if 1 <= len(text) <= most:
        return None
    return f"is {len(text):,} characters once filled in; {kind} have 1 to {most:,}"


def _blank_issue(text: str) -> str | None:
    return (
        "shows nothing once filled in: all of its characters are invisible; write words"
        if shows_nothing(text)
        else None
    )


def _character_issue(text: str) -> str | None:
    if match := _CONTROL.search(text):
        return f"holds the control character {match[0]!r}; remove it"
    try:
        # Python's strings may hold a lone surrogate; UTF-8, and so every request and file, cannot.
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is no character; remove it"
    return None


class FrameTexts:
    """Prompts and captions of a storyboard's frames; what is wrong with one goes to `issues`.

    A text that has an issue, or comes after `MAX_ISSUES` of them, is not rendered again: the storyboard is refused
    anyway, and ten thousand frames may share it.
    """

    def __init__(self, styles: Mapping[str, str], issues: IssueLog) -> None:
        self._styles = styles
        self._issues = issues
        self._templates = Templates()

    def check_styles(self) -> None:
        """Check every style's template once, also where no shot uses it."""
        for name, template in self._styles.items():
            try:
                self._templates.check(template)
            except PromptTemplateError as exc:
                self._issues.add(("styles", name), str(exc))

    def style_of(self, shot: Shot) -> str | None:
        """Return the name of a shot's style; None if it has none, or one that does not exist."""
        style = shot.settings.style
        if style is None or style in self._styles:
            return style
        path = shot.path_of("style")
        # Asked first: ten thousand shots may inherit the same wrong name, and to suggest another takes a millisecond.
        if path not in self._issues:
            known = suggest(style, self._styles)
            cure = known.sentence if self._styles else "; there are no styles"
            self._issues.add(path, f"no style is called {style!r}{cure}", suggestion=known.closest)
        return None

    def prompt(self, source: SourceText, *, style: str | None, variables: Mapping[str, str]) -> str:
        """Return a prompt filled in and in its style; as it is written where that cannot be done.

        Args:
            source: the prompt's template.
            style: the name of an existing style, or None.
            variables: the values of the names that templates may use, `scene` and `shot` among them.
        """
        prompt = self._filled(source, variables)
        if prompt is not None and style is not None:
            prompt = self._styled(prompt, style, variables)
        if prompt is None:
            return source.text
        if issue := prompt_issue(prompt):
            self._issues.add(source.path, issue)
        return prompt

    def caption(self, shot: Shot, variables: Mapping[str, str]) -> str | None:
        """Return the caption of one of a shot's frames; None if it has none, or one that is wrong."""
        if shot.settings.caption is None:
            return None
        source = SourceText(shot.path_of("caption"), shot.settings.caption)
        return self._checked(source, variables, caption_issue)

    def narration(self, source: SourceText, variables: Mapping[str, str]) -> str | None:
        """Return a narration filled in, each paragraph on a line of its own; None if it is wrong."""
        text = self._checked(source, variables, narration_issue)
        return None if text is None else "\n".join(" ".join(part.split()) for part in _PARAGRAPHS.split(text.strip()))

    def _checked(
        self, source: SourceText, variables: Mapping[str, str], issue_of: Callable[[str], str | None]
    ) -> str | None:
        text = self._filled(source, variables)
        if text is not None and (issue := issue_of(text)):
            self._issues.add(source.path, issue)
        return text

    def _filled(self, source: SourceText, variables: Mapping[str, str]) -> str | None:
        if source.path in self._issues or self._issues.full:
            return None
        try:
            return self._templates.render(source.text, variables).strip()
        except PromptTemplateError as exc:
            self._issues.add(source.path, str(exc))
            return None

    def _styled(self, prompt: str, style: str, variables: Mapping[str, str]) -> str | None:
        """Return a prompt in its style; None where the style is wrong, not the prompt."""
        path: YamlPath = ("styles", style)
        if path in self._issues:
            return None
        # The shot is named: a style may lack a name in one shot that another shot's matrix has.
        shot = f"in {variables['scene']}/{variables['shot']}: "
        try:
            styled = self._templates.render(self._styles[style], {**variables, "prompt": prompt}).strip()
        except PromptTemplateError as exc:
            self._issues.add(path, f"{shot}{exc}")
            return None
        added = len(styled) - len(prompt)
        if added > MAX_PROMPT_CHARS:
            # Reported at the style and at once: with every prompt it would be as much too long, frame after frame.
            message = f"{shot}adds {added:,} characters; prompts have 1 to {MAX_PROMPT_CHARS:,}, shorten it"
            self._issues.add(path, message)
            return None
        return styled
