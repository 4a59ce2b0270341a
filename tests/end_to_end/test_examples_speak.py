"""The films of the examples, listened to: every word of their narrators is heard in them, over the music."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.common.geometry import Size
from pipelines.common.settings import Settings
from pipelines.run.local import run_locally
from pipelines.storyboard.loader import load_storyboard
from tests.support.sound_samples import RATE_HZ, heard
from tests.support.speech import read_back

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "configs/storyboards"
SPEAKING = ["cat-in-a-garden", "four-seasons", "the-keeper"]


def words_of(text: str) -> list[str]:
    """Return the words of a text, without its punctuation and its capitals."""
    return re.findall(r"[a-z']+", text.lower())


def test_these_are_the_examples_that_speak() -> None:
    """So that no example that comes to speak is left out below."""
    boards = [load_storyboard(path) for path in sorted(EXAMPLES.glob("*.yaml"))]

    assert [board.id for board in boards if board.narrations] == SPEAKING


@pytest.mark.parametrize("name", SPEAKING)
def test_every_word_of_an_example_is_heard_in_its_film(name: str, tmp_path: Path) -> None:
    """In a small picture, for nobody looks; a recognizer reads back what the narrations say, and nothing else."""
    board = load_storyboard(EXAMPLES / f"{name}.yaml")
    small = replace(board, outputs=(replace(board.output, size=Size(64, 64)),))

    video = asyncio.run(run_locally(small, Settings(output=tmp_path))).video

    assert video is not None
    said = [word for narration in board.narrations for word in words_of(narration.text)]
    assert words_of(read_back(heard(video).mean(axis=1), RATE_HZ)) == said
