"""Runs share a film only where it would be the same one."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from pipelines.common.quality import Quality
from pipelines.run.group import plan_digest
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import plan_frames
from pipelines.storyboard.speech import Speech, Word
from tests.support.image_models import SCHNELL


def test_other_words_or_another_mix_make_another_film(tmp_path: Path) -> None:
    """Though every picture is the same, for as long; where the voice's file lies does not count."""
    path = tmp_path / "board.yaml"
    path.write_text("scenes:\n- shots:\n  - {prompt: x, hold: 4s, narration: Good morning.}\n")
    board = load_storyboard(path)
    speech = Speech("key", Path("a.wav"), Fraction(1), (Word("morning", 0, Fraction(0), Fraction(1)),))

    def digest(speech: Speech, duck_db: int = 12) -> str:
        mixed = replace(board, sound=replace(board.sound, duck_db=Fraction(duck_db)))
        return plan_digest(plan_frames(mixed, model=SCHNELL, speeches=[speech]))

    digests = [digest(speech), digest(replace(speech, key="other")), digest(speech, 20)]
    assert len(set(digests)) == 3
    assert digest(replace(speech, file=Path("b.wav"))) == digests[0]


def test_a_draft_is_another_film_than_the_final_one(tmp_path: Path) -> None:
    """In any of its outputs; what says nothing is the final one, and has the digest that it had before."""
    path = tmp_path / "board.yaml"
    path.write_text("output: [{name: a}, {name: b}]\nprompts: [x]\n")
    board = load_storyboard(path)
    one = replace(board, outputs=(board.outputs[0], replace(board.outputs[1], quality=Quality.DRAFT)))
    boards = (board, one, board.at_quality(Quality.DRAFT), one.at_quality(Quality.FINAL), one.at_quality(None))

    digests = [plan_digest(plan_frames(board, model=SCHNELL)) for board in boards]

    assert len(set(digests[:3])) == 3
    assert digests[3:] == [digests[0], digests[1]]
