"""English as it is read aloud."""

import pytest

pytest.importorskip("hibari", reason="the built-in voice is not installed")

from pipelines.voice.english import English, sentences


@pytest.fixture(scope="module")
def english() -> English:
    return English()


# What hibari alone reads wrong or not at all, and a few of what it reads well: another version may not.
READINGS = [
    ("20€ and €5.50, or €5 million", "20 euros and 5 euros and 50 cents, or 5 million euros"),
    ("$9.99 or £12.50", "$9.99 or £12.50"),
    ("$5–$10, 10%-20%", "$5 to $10, 10% to 20%"),
    ("10 000 000 people", "10,000,000 people"),
    ("2½ cups, ¾ full", "2 and a half cups, three quarters full"),
    ("agent 007, at 07:05", "agent zero zero seven, at seven oh five"),
    (".5 or 0.5", "0.5 or 0.5"),
    ("it won 2:1 at 2:10", "it won 2 to 1 at two ten"),
    ("open 24/7, split 50/50", "open twenty-four seven, split fifty-fifty"),
    ("joe@example.com", "joe at example dot com"),
    ("see https://www.example.org/a-b.", "see W W W dot example dot org slash a dash b."),
    ("e.g. this, i.e. that", "for example this, that is that"),
    ("(555) 123-4567", "5 5 5, 1 2 3, 4 5 6 7"),
    ("Call 555-1234.", "Call 5 5 5, 1 2 3 4."),
    ("in 1914-1918.", "in 1914 to 1918."),
    ("after 3/4.", "after 3 quarters."),
    ("100 m, 5 m/s, 5m, 10 km²", "100 meters, 5 meters per second, 5m, 10 square kilometers"),
    ("6 ft 3 in tall, or 5'10\"", "6 feet 3 inches tall, or 5 feet 10 inches"),
    ("WWII and CO2", "World War 2 and C O 2"),
    ("Henry VIII in Chapter IV", "Henry the eighth in Chapter 4"),
    ("on 2024-12-25 at 7:30 p.m.", "on December twenty-fifth, 2024 at seven thirty P.M."),
    ("Dr. Lee, 22 Baker St.", "Dr Lee, 22 Baker Street."),
]


@pytest.mark.parametrize(("text", "read"), READINGS)
def test_it_is_read_as_people_do(english: English, text: str, read: str) -> None:
    """Numbers, prices, dates, abbreviations, units, addresses."""
    words = english.words(text)

    assert " ".join(word.text for word in words) == read
    assert all(word.phonemes for word in words)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ("“Go.” She went.", ["“Go.” ", "She went."]),
        ("Dr. Lee met J. K. Rowling vs. them.", ["Dr. Lee met J. K. Rowling vs. them."]),
        ("On Jan. 5 see No. 7, Apt. 4B. Then go.", ["On Jan. 5 see No. 7, Apt. 4B. ", "Then go."]),
        ("at 7 p.m. sharp, a.k.a. Bob", ["at 7 p.m. sharp, a.k.a. Bob"]),
        ("It cost $1.5 million.", ["It cost $1.5 million."]),
        ("", []),
    ],
)
def test_sentences_end_where_people_pause(text: str, parts: list[str]) -> None:
    """Not behind titles, initials and abbreviations; all of the text is in them."""
    found = list(sentences(text))

    assert [sentence for _, sentence in found] == parts
    assert all(text[at:].startswith(sentence) for at, sentence in found)
