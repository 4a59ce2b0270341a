"""The words of a film as JSON: when each is spoken, and over which frame."""

import json
from dataclasses import replace
from pathlib import Path

from pipelines.film.word_times import words_text
from pipelines.storyboard.loader import load_text
from pipelines.storyboard.plan import Plan, plan_frames
from pipelines.storyboard.speech import Speech
from tests.support.speeches import timed

BOARD = """\
output: {fps: 24000/1001}
scenes:
  - id: arrival
    shots:
      - {id: wide, prompts: [a, b], hold: 1s, narration: Three boats came home}
      - {id: near, prompt: c, hold: 1s, caption: Night, narration: One burned}
"""
BOATS = timed(("Three", 0.0505, 0.5), ("boats", 0.5, 0.9), ("came", 1.2, 1.6), ("home", 1.9, 2.2), ("too", 2.3, 2.5))


def plan_of(*speeches: Speech, board: str = BOARD) -> Plan:
    return plan_frames(load_text(board, Path("harbor.yaml")), model="flux-1-schnell", speeches=speeches)


def test_every_word_has_its_time_and_its_frame() -> None:
    """In seconds from the film's start, over captions too; what is cut off ends there, and the rest is left out."""
    words = json.loads(words_text(plan_of(BOATS, timed(("Öne", 0, 0.3), ("burned", 0.4, 2)))))

    assert words == {
        "version": 1,
        "fps": "24000/1001",
        "words": [
            {"text": "Three", "start_s": 0.05, "end_s": 0.5, "frame": 0, "scene": "arrival", "shot": "wide"},
            {"text": "boats", "start_s": 0.5, "end_s": 0.9, "frame": 0, "scene": "arrival", "shot": "wide"},
            {"text": "came", "start_s": 1.2, "end_s": 1.6, "frame": 1, "scene": "arrival", "shot": "wide"},
            {"text": "home", "start_s": 1.9, "end_s": 2.002, "frame": 1, "scene": "arrival", "shot": "wide"},
            {"text": "Öne", "start_s": 2.002, "end_s": 2.302, "frame": 2, "scene": "arrival", "shot": "near"},
            {"text": "burned", "start_s": 2.402, "end_s": 3.003, "frame": 2, "scene": "arrival", "shot": "near"},
        ],
    }


def test_there_is_none_where_nothing_is_said() -> None:
    """Not even a head."""
    plan = plan_of(board="prompts: [a, b]\n")

    assert words_text(plan) == ""
    assert words_text(replace(plan, timelines=(replace(plan.timeline, spoken=()),))) == ""
