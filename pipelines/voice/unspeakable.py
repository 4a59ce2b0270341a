"""What the built-in voice cannot speak, though it is text: markup, and letters of other scripts."""

import re
import unicodedata

from pipelines.common.lettering.segmentation import script_name
from pipelines.common.visible_text import says_nothing
from pipelines.voice.errors import LanguageError, VoiceError
from pipelines.voice.timing import words_in

# An element of SSML or HTML, and a character by its name or number.
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|&(?:[A-Za-z]{2,8}|#\w{2,7});")
# With the signs that Unicode counts as letters: of 1º, of 5 µm.
_LATIN = ("LATIN", "FULLWIDTH LATIN", "MODIFIER", "FEMININE ORDINAL", "MASCULINE ORDINAL", "MICRO")
_MAX_SHOWN = 3
_MAX_SHOWN_CHARS = 30
_ANOTHER_VOICE = 'a voice of your own ("command: PROGRAM") or recordings'


def require_speakable(text: str) -> None:
    """Require that English can be read from a text.

    Raises:
        VoiceError: it holds markup, letters that are not Latin, or nothing to say.
    """
    if match := _MARKUP.search(text):
        raise VoiceError(
            f"holds the markup {match[0][:_MAX_SHOWN_CHARS]!r}, which would be read aloud; write plain text: "
            "say: changes how a word is spoken, and narration.gap the silence between the parts of a list"
        )
    if says_nothing(text):
        raise VoiceError("holds nothing that the voice can speak; write words")
    if foreign := _foreign_words(text):
        raise VoiceError(_foreign_message(foreign))


def is_english_text(text: str) -> bool:
    """Return whether a text is of letters that English has."""
    return not _foreign_words(text)


def _foreign_words(text: str) -> list[str]:
    return [word.text for word in words_in(text) if not _is_known(word.text)]


def _foreign_message(words: list[str]) -> str:
    letter = next(filter(_is_foreign, words[0]))
    shown = ", ".join(repr(word[:_MAX_SHOWN_CHARS]) for word in dict.fromkeys(words[:_MAX_SHOWN]))
    more = " and more" if len(words) > _MAX_SHOWN else ""
    return (
        f"holds {script_name(letter)} letters, which an English voice cannot speak: {shown}{more}; "
        f"write under narration.say how a word is spoken, or use {_ANOTHER_VOICE}"
    )


def _is_foreign(character: str) -> bool:
    name = unicodedata.name(character, "")
    return unicodedata.category(character).startswith("L") and not name.startswith(_LATIN)


def _is_known(word: str) -> bool:
    """Return whether a word is of Latin letters, or is a Greek one, as in formulas."""
    letters = [character for character in word if unicodedata.category(character).startswith("L")]
    greek = [letter for letter in letters if unicodedata.name(letter, "").startswith("GREEK")]
    return len(letters) == len(greek) == 1 or not any(map(_is_foreign, letters))


def require_language(language: str | None) -> None:
    """Require that a storyboard's language is one that the voice speaks.

    Raises:
        LanguageError: it is not English.
    """
    if language and not is_english(language):
        message = f"speaks English alone, and the storyboard's language is {language!r}; use {_ANOTHER_VOICE}"
        raise LanguageError(message)


def is_english(language: str | None) -> bool:
    """Return whether a language is English, given its tag; what is not stated is taken for it."""
    return language is None or language.casefold().split("-")[0] == "en"
