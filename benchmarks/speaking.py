"""A film that speaks: its animatic from nothing, beside its own length; one changed word, beside the whole film."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from benchmarks.measure import BIN, Cost, Row, own_processor_s, ratio_row, run
from pipelines.voice.hibari import HibariVoice
from pipelines.voice.sayings import Sayings

# A minute of film, as a person would write it: dissolves, moves, words on time.
_LINES = (
    "The first ferry leaves at six, and has never left at six.",
    "There is a bell for the fog, and a lamp for the dark, and for everything else there is the captain.",
    "He has been to the island nine thousand times.",
    "He says that no two of them were alike, and that he remembers each.",
    "In the winter he takes the doctor, the mail, and now and then a cow.",
    "In the summer he takes people who look at the water and say nothing at all.",
    "Once he took a piano, and somebody played it all the way across.",
    "The gulls have not been the same since.",
    "When the storm came, the whole village stood on the pier and looked for his lamp.",
    "It came around the point an hour late, and very slowly.",
    "He tied the ferry to the pier, and looked at all the people.",
    "He asked who wanted to go across.",
    "Nobody did, so he went home and slept until noon.",
    "In the morning there was a basket of eggs on his deck, and a note without a name.",
    "He read it twice, and put it into the drawer where he keeps all of them.",
    "Then he looked at the clock, and at the sea, and started the engine.",
    "The first ferry of that day left at six.",
)
_CHANGED = ("nine thousand", "ten thousand")
_BOARD = """title: The ferry
captions: {words: highlight}
defaults: {hold: auto, motion: push_in, transition: {type: dissolve, duration: 500ms}}
scenes:
  - shots:
"""


@dataclass(frozen=True, slots=True)
class _Made:
    """What lies in a storyboard's folder.

    Attributes:
        speech: files of speech, by name.
        pieces: encoded pieces of the film, by name.
    """

    speech: frozenset[str]
    pieces: frozenset[str]

    @classmethod
    def read(cls, board: Path, segments: str) -> "_Made":
        speech, pieces = (_home(board) / "voice").glob("*.wav"), (_home(board) / segments).glob("*")
        return cls(*(frozenset(path.name for path in paths) for paths in (speech, pieces)))


def rows(folder: Path) -> Iterator[Row]:
    """Measure in a folder that holds nothing else."""
    board = folder / "ferry.yaml"
    _write(board, _LINES)
    yield _animatic(board)
    yield _changed_word(board)
    yield _voice()


def _write(board: Path, lines: Sequence[str]) -> None:
    shots = (f"      - prompt: a ferry at sea, number {n}\n        narration: {line}\n" for n, line in enumerate(lines))
    board.write_text(_BOARD + "".join(shots))


def _animatic(board: Path) -> Row:
    """Make an animatic where nothing has been spoken, drawn or encoded."""
    cost = _storyreel("animatic", board)
    length_s = json.loads(_storyreel("plan", board, "--json").stdout)["video_seconds"]
    made = _Made.read(board, "animatic/segments")
    _require(len(made.speech) == len(_LINES), f"{len(made.speech)} files of speech for {len(_LINES)} narrations")
    detail = f"{cost.wall_s:.1f} s: {len(made.speech)} narrations spoken, {len(made.pieces)} pieces encoded"
    name = "a talking, captioned animatic of a minute, from nothing: share of real time"
    return ratio_row(name, cost.wall_s / length_s, f"its own length ({length_s:.1f} s)", "0.17", detail=detail)


def _changed_word(board: Path) -> Row:
    """Change a word of a film that is there, beside making all of it but its pictures: neither asks any endpoint."""
    _storyreel("render", board)
    home = _home(board)
    for folder in ("segments", "voice"):
        shutil.rmtree(home / folder)
    (home / "ferry.mp4").unlink()
    whole, before = _storyreel("render", board), _Made.read(board, "segments")
    _write(board, [line.replace(*_CHANGED) for line in _LINES])
    again = _storyreel("render", board)
    after = _Made.read(board, "segments")
    spoken, encoded = len(after.speech - before.speech), len(after.pieces - before.pieces)
    _require(spoken == 1, f"{spoken} narrations were spoken for one changed word")
    detail = f"{again.wall_s:.1f} s: {spoken} narration spoken, {encoded} of {len(after.pieces)} pieces encoded"
    name = "one changed word, to the new film: over making the whole film"
    return ratio_row(name, again.wall_s / whole.wall_s, f"{whole.wall_s:.1f} s", "0.1", detail=detail)


def _voice() -> Row:
    """Speak on one thread, with the voice loaded: beside the length of what it says."""
    voice = HibariVoice(speed=Fraction(1), sayings=Sayings(()))
    voice.speak(_LINES[0])
    before_s = own_processor_s()
    spoken = [voice.speak(line) for line in _LINES]
    taken_s = own_processor_s() - before_s
    length_s = sum(len(each.samples) / each.rate_hz for each in spoken)
    name = "speech over real time, on one thread"
    return ratio_row(name, length_s / taken_s, f"{length_s:.1f} s of speech", higher_is_better=True)


def _storyreel(verb: str, board: Path, *options: str) -> Cost:
    # The code of the folder that this runs in; its outputs lie beside the board.
    command = [str(BIN / "python"), "-m", "pipelines", verb, str(board), "--output", str(board.parent / "outputs")]
    return run([*command, *options])


def _home(board: Path) -> Path:
    return board.parent / "outputs" / board.stem


def _require(right: bool, otherwise: str) -> None:
    if not right:
        raise SystemExit(otherwise)
