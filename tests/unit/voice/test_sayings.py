"""What is spoken in the place of a word."""

import pytest

from pipelines.voice.sayings import Sayings


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Nguyen met nguyen.", "win met win."),
        ("(Nguyen's) house", "(win's) house"),
        ("C++, they say", "see plus plus, they say"),
        ("Nguyens and e.g. others", "Nguyens and for instance others"),
        ("two  spaces", "two  spaces"),
        ("你好世界", "你好 shijie "),
    ],
)
def test_a_word_is_spoken_as_it_is_said_to_be(text: str, spoken: str) -> None:
    """In any case, with what clings to it left, in scripts without spaces too; other words stay."""
    sayings = Sayings([("Nguyen", "win"), ("C++", "see plus plus"), ("e.g.", "for instance"), ("世界", " shijie ")])

    said = sayings.spoken(text)

    assert said == spoken
