"""Times of written words."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.storyboard.speech import Word
from pipelines.voice.timing import TimedText, spread_over, timed_words, words_in

SPOKEN = st.lists(st.sampled_from(["nine", "dollars", "a", "cat", "sleeps", "doctor"]), min_size=1, max_size=12)
WRITTEN = st.lists(st.sampled_from(["$9.99", "a", "A", "cat,", "sleeps.", "Dr.", "—", "🎉"]), max_size=12)


def _timed(texts: list[str], steps: list[int]) -> list[TimedText]:
    """Return spoken words one after another, with pauses where `steps` has some."""
    spoken, at = [], Fraction(0)
    for text, step in zip(texts, steps, strict=False):
        start = at + Fraction(step % 3, 10)
        at = start + Fraction(step, 10)
        spoken.append(TimedText(text, start, at))
    return spoken


@given(written=WRITTEN, texts=SPOKEN, steps=st.lists(st.integers(0, 9), min_size=12, max_size=12))
def test_every_written_word_has_its_time_once_and_in_order(
    written: list[str], texts: list[str], steps: list[int]
) -> None:
    """Whatever was spoken in their place: no word is lost, none begins before the last has ended, all are within."""
    words, spoken = words_in(" ".join(written)), _timed(texts, steps)

    timed = timed_words(words, spoken)

    assert [(word.text, word.at) for word in timed] == [(word.text, word.at) for word in words]
    times = [time for word in timed for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(spoken[0].start_s <= time <= spoken[-1].end_s for time in times)


@given(
    written=st.lists(st.sampled_from(["a", "house", "extraordinary", "—"]), min_size=1, max_size=10),
    lengths=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), min_size=1, max_size=6),
)
def test_words_are_spread_over_what_is_heard_and_over_nothing_else(
    written: list[str], lengths: list[tuple[int, int]]
) -> None:
    """They begin with the first stretch, end with the last, and none begins or ends in a pause."""
    stretches, at = [], Fraction(0)
    for pause, length in lengths:
        stretches.append((at + pause, at + pause + length))
        at += pause + length

    words = spread_over(words_in(" ".join(written)), stretches)

    assert (words[0].start_s, words[-1].end_s) == (stretches[0][0], stretches[-1][1])
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(any(start <= time <= end for start, end in stretches) for time in times)


def test_what_was_spoken_in_the_place_of_a_word_is_its_time() -> None:
    """One written word may be five spoken ones, and what is written and not spoken takes no time."""
    texts = ["it", "costs", "nine", "dollars", "today"]
    spoken = [TimedText(text, Fraction(number), Fraction(number + 1)) for number, text in enumerate(texts)]

    words = timed_words(words_in("It costs $9 — today."), spoken)

    assert words == [
        Word("It", 0, Fraction(0), Fraction(1)),
        Word("costs", 3, Fraction(1), Fraction(2)),
        Word("$9", 9, Fraction(2), Fraction(3)),
        Word("—", 12, Fraction(3), Fraction(4)),
        Word("today.", 14, Fraction(4), Fraction(5)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A cat,  sleeps—well.", ["A", "cat,", "sleeps—well."]),
        ("สวัสดีครับ วันนี้อากาศดี", ["สวัสดี", "ครับ", "วัน", "นี้", "อากาศ", "ดี"]),
        ("今日はとても良い天気ですね。", ["今日", "は", "とても", "良い", "天気", "です", "ね。"]),
        ("世界。「早上好」", ["世界。", "「早上", "好」"]),
        ("안녕하세요 여러분", ["안녕하세요", "여러분"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("one \u200b two\u200d \u0301", ["one", "two\u200d"]),
        ("", []),
    ],
)
def test_words_are_what_readers_take_for_words(text: str, words: list[str]) -> None:
    """Between spaces, or where none are written, by ICU's dictionaries; what shows nothing is none."""
    found = words_in(text)

    assert [word.text for word in found] == words
    assert all(text[word.at :].startswith(word.text) for word in found)
