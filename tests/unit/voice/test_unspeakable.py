"""What the built-in voice cannot speak."""

import pytest

from pipelines.voice.errors import VoiceError
from pipelines.voice.unspeakable import is_english, require_language, require_speakable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "<speak>Hello <break time='1s'/></speak>",
            "holds the markup '<speak>', which would be read aloud; write plain text: say: changes how a word is spoken, "
            "and narration.gap the silence between the parts of a list",
        ),
        (
            "Fish &amp; chips",
            "holds the markup '&amp;', which would be read aloud; write plain text: say: changes how a word is spoken, "
            "and narration.gap the silence between the parts of a list",
        ),
        (
            "Привет, мир! Это я и ты",
            "holds Cyrillic letters, which an English voice cannot speak: 'Привет,', 'мир!', 'Это' and more; write under "
            'narration.say how a word is spoken, or use a voice of your own ("command: PROGRAM") or recordings',
        ),
        (
            "the word สวัสดี",
            "holds Thai letters, which an English voice cannot speak: 'สวัสดี'; write under narration.say how a word is "
            'spoken, or use a voice of your own ("command: PROGRAM") or recordings',
        ),
        ("🎉🎉", "holds nothing that the voice can speak; write words"),
        ("... — !", "holds nothing that the voice can speak; write words"),
    ],
)
def test_it_is_an_error_with_the_cure(text: str, message: str) -> None:
    """Markup would be read aloud, other letters would be left out, and where nothing is said there is no speech."""
    with pytest.raises(VoiceError) as error:
        require_speakable(text)

    assert str(error.value) == message


@pytest.mark.parametrize(
    "text", ["A café in Łódź 🎉", "naïve", "5 µm, 1º", "π r²", "if a < b and c > d", "AT&T; R&D", "7", "Ω"]
)
def test_a_text_with_something_to_say_is_spoken(text: str) -> None:
    """Marked Latin letters, Greek ones that stand alone, signs and emoji among words do no harm."""
    require_speakable(text)


@pytest.mark.parametrize(
    ("language", "english"), [(None, True), ("en", True), ("EN-gb", True), ("de", False), ("eng", False)]
)
def test_english_is_english_everywhere(language: str | None, english: bool) -> None:
    """Of any country; what is not stated is taken for it."""
    assert is_english(language) is english


def test_another_language_is_an_error_with_the_cure() -> None:
    """The voice would read it as if it were English."""
    with pytest.raises(VoiceError) as error:
        require_language("de")

    assert str(error.value) == (
        "speaks English alone, and the storyboard's language is 'de'; "
        'use a voice of your own ("command: PROGRAM") or recordings'
    )
