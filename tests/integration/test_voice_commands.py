"""Voices that are programs of the user's own, good ones and bad ones."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from threading import Event

import pytest

from pipelines.common.errors import StoryboardError
from pipelines.storyboard.model import Storyboard
from pipelines.voice.command import CommandVoice, Program
from pipelines.voice.errors import SlowVoiceError, VoiceError
from pipelines.voice.listening import Listener
from pipelines.voice.sayings import Sayings
from pipelines.voice.speech import speak
from pipelines.voice.voices import SpokenText
from tests.support.speech import spoken_board, write_program

CURE = "a voice reads text from stdin and writes one whole WAV to stdout"
TEXT = "three short words"


def _voice(
    program: Path, *, limit_s: float = 30, say: tuple[tuple[str, str], ...] = (), speed: int = 1
) -> CommandVoice:
    return CommandVoice(
        Program([str(program)], program.parent, dict(os.environ)),
        speed=Fraction(speed),
        sayings=Sayings(say),
        listener=Listener(None),
        stop=Event(),
        limit_s=lambda _: limit_s,
    )


def _spoken_by(folder: Path, body: str, *, text: str = TEXT, speed: int = 1) -> SpokenText:
    return _voice(write_program(folder, body), speed=speed).speak(text)


def _error_of(folder: Path, body: str, *, limit_s: float = 30) -> VoiceError:
    with pytest.raises(VoiceError) as error:
        _voice(write_program(folder, body), limit_s=limit_s).speak(TEXT)
    return error.value


def _german(folder: Path, program: str, narration: str = '"Drei Worte hier"', *, top: str = "") -> Storyboard:
    return spoken_board(folder, narration, top=f'language: de\nnarration: {{voice: "command: {program}"{top}}}')


# What programs write that speak well.
WAVS = {
    "whole": "out.write(wav())",
    "no size": "out.write(wav(size=0))",
    "all sizes unknown": "out.write(wav(size=0xFFFFFFFF))",
    "the size that others write": "out.write(wav(size=0x7FFFF000))",
    "8 bits": "out.write(wav(packed(levels(), 8), bits=8))",
    "24 bits": "out.write(wav(packed(levels(), 24), bits=24))",
    "floats": "out.write(wav(packed(levels(), 32), bits=32))",
    "stereo": "out.write(wav(packed([level for level in levels() for _ in range(2)]), channels=2))",
    "another rate": "out.write(wav(packed(levels(rate=8000)), rate=8000))",
    "a chunk before the sound": "out.write(wav(chunk=b'abcd' + struct.pack('<I', 3) + b'abc' + bytes(1)))",
    "silence around it": "out.write(wav(bytes(48000) + tone() + bytes(96000)))",
    "with many complaints": "for _ in range(1000): sys.stderr.write('x' * 1000)\nout.write(wav())",
}


@pytest.mark.parametrize("body", WAVS.values(), ids=WAVS.keys())
def test_any_wav_is_read(tmp_path: Path, body: str) -> None:
    """Of any samples, sizes and rates: the voice begins at once, and ends a little after its last sound."""
    spoken = _spoken_by(tmp_path, body)

    length_s = len(spoken.samples) / spoken.rate_hz
    assert [word.text for word in spoken.words] == ["three", "short", "words"]
    assert spoken.are_estimated
    assert spoken.words[0].start_s <= Fraction(3, 100)
    assert spoken.words[-1].end_s == pytest.approx(1.7, abs=0.05)
    assert length_s == pytest.approx(1.85, abs=0.2)


def test_its_speed_is_changed_and_its_words_with_it(tmp_path: Path) -> None:
    """Programs know no speed: twice as fast, their sound lasts half as long."""
    spoken = _spoken_by(tmp_path, "out.write(wav())", speed=2)

    assert spoken.words[-1].end_s == pytest.approx(0.85, abs=0.05)


def test_it_gets_the_text_as_it_is_to_be_said_and_captions_have_it_as_it_is_written(tmp_path: Path) -> None:
    """Through stdin, in UTF-8, with its working folder beside the storyboard, and without our secrets."""
    program = write_program(tmp_path, "open('given', 'w', encoding='utf-8').write(text); out.write(wav())")

    spoken = _voice(program, say=(("short", "kürz"),)).speak(TEXT)

    assert (tmp_path / "given").read_text(encoding="utf-8") == "three kürz words"
    assert [word.text for word in spoken.words] == ["three", "short", "words"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit('no such speaker')", f"voice.py: failed with exit code 1: no such speaker; {CURE}"),
        ("out.write(wav()); sys.exit(3)", f"voice.py: failed with exit code 3 and gave no reason; {CURE}"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", f"voice.py: was ended by signal 11 and gave no reason; {CURE}"),
        ("pass", f"voice.py: what it wrote for 17 letters is empty; {CURE}"),
        ("print('Hello!')", f"voice.py: what it wrote for 17 letters is no WAV: it begins with b'Hello!\\n'; {CURE}"),
        ("out.write(wav(bytes(48000)))", f"voice.py: what it wrote for 17 letters is silent; {CURE}"),
        ("out.write(wav(b''))", f"voice.py: what it wrote for 17 letters holds no sound; {CURE}"),
        (
            "out.write(wav(tone(1))[:-1000])",
            f"voice.py: what it wrote for 17 letters is cut off: 1,000 of its 48,000 bytes of sound are missing; "
            f"{CURE}",
        ),
        ("out.write(wav()[:36])", f"voice.py: what it wrote for 17 letters is a WAV without sound; {CURE}"),
        ("out.write(wav(tone(40)))", f"voice.py: what it wrote for 17 letters lasts longer than 32 s; {CURE}"),
        (
            "out.write(wav(tone(1))[:44])\nwhile True: out.write(bytes(1 << 20)); out.flush()",
            f"voice.py: has written more than 12 MB for its text; {CURE}",
        ),
        (
            "while True: sys.stderr.write('x' * (1 << 20))",
            f"voice.py: has written more than 12 MB for its text; {CURE}",
        ),
    ],
)
def test_what_is_no_speech_is_an_error_with_the_cure(tmp_path: Path, body: str, message: str) -> None:
    """A program may crash, write nothing, something else, half of it, or without an end."""
    assert str(_error_of(tmp_path, body)) == message


def test_a_program_that_hangs_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    """Though it ignores being asked to end: none of its processes is left, not even a dead one."""
    body = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    open(f"pid-{os.getpid()}", "w").close()
    time.sleep(600)
    """

    error = _error_of(tmp_path, body, limit_s=2)

    assert isinstance(error, SlowVoiceError)
    assert str(error) == f"voice.py: has not spoken after 2 s; {CURE}"
    pids = [int(file.name.removeprefix("pid-")) for file in tmp_path.glob("pid-*")]
    assert len(pids) == 2
    assert _all_gone(pids)


def test_a_program_that_leaves_another_running_is_not_waited_for(tmp_path: Path) -> None:
    """What it has started holds its output open, and ends with it."""
    body = """
    out.write(wav()); out.flush()
    if not os.fork():
        open(f"pid-{os.getpid()}", "w").close()
        time.sleep(600)
    while not [name for name in os.listdir() if name.startswith("pid-")]: time.sleep(0.01)
    """

    spoken = _spoken_by(tmp_path, body)

    assert len(spoken.words) == 3
    assert _all_gone([int(file.name.removeprefix("pid-")) for file in tmp_path.glob("pid-*")])


@pytest.mark.slow
def test_ctrl_c_ends_a_program_that_hangs(tmp_path: Path) -> None:
    """Nobody waits for the time that it would be given."""
    write_program(tmp_path, 'open(f"pid-{os.getpid()}", "w").close(); time.sleep(600)')
    _german(tmp_path, "./voice.py")
    command = [sys.executable, "-m", "pipelines", "check", str(tmp_path / "film.yaml"), "--output", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (pids := [int(file.name.removeprefix("pid-")) for file in tmp_path.glob("pid-*")]):
        assert process.poll() is None
        time.sleep(0.05)

    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=40)

    assert process.returncode == 130
    assert "interrupted" in complaint
    assert _all_gone(pids)


def _all_gone(pids: list[int]) -> bool:
    """Return whether processes end, soon: those of other parents are reaped by these."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(_is_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False
    return stat.rpartition(b")")[2].split()[0] != b"Z"


def test_a_storyboard_is_spoken_once_and_anew_when_its_program_changes(tmp_path: Path) -> None:
    """Its speech is known by its text, the command, and what the program's file holds."""
    write_program(tmp_path, "open('calls', 'a').write('x'); out.write(wav())")
    board = _german(tmp_path, "./voice.py")

    first = speak(board, tmp_path / "voice")
    again = speak(board, tmp_path / "voice")
    write_program(tmp_path, "open('calls', 'a').write('y'); out.write(wav())")
    other = speak(board, tmp_path / "voice")

    assert first == again
    assert other[0].key != first[0].key
    assert (tmp_path / "calls").read_text() == "xy"


def test_there_is_silence_between_parts_that_are_spoken_one_after_another(tmp_path: Path) -> None:
    """Each part is spoken by itself; from its last word to the next one's first it is silent for the gap."""
    write_program(tmp_path, "out.write(wav())")
    board = _german(tmp_path, "./voice.py", '["Erster Teil.", "Noch einer."]', top=", gap: 700ms")

    [speech] = speak(board, tmp_path / "voice")

    assert [word.text for word in speech.words] == ["Erster", "Teil.", "Noch", "einer."]
    assert [board.narrations[0].text[word.at :].startswith(word.text) for word in speech.words] == [True] * 4
    assert speech.words[2].start_s - speech.words[1].end_s == pytest.approx(0.7, abs=0.05)


def test_every_narration_that_fails_is_named_with_its_place(tmp_path: Path) -> None:
    """With what the program said of it."""
    write_program(tmp_path, "sys.exit('broken')")

    with pytest.raises(StoryboardError) as error:
        speak(_german(tmp_path, "./voice.py"), tmp_path / "voice")

    assert [str(problem) for problem in error.value.problems] == [
        f"{tmp_path}/film.yaml:9:20: scenes[0].shots[0].narration: voice.py: failed with exit code 1: broken; {CURE}"
    ]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("pythn3 -c 1", "there is no program 'pythn3'; did you mean 'python3'?"),
        ("voice.py", "there is no program 'voice.py'; did you mean './voice.py', in the storyboard's folder?"),
        ("./voise.py", "there is no program './voise.py'; did you mean 'voice.py'?"),
        (
            "./plain.py",
            "./plain.py may not be executed; chmod +x ./plain.py, or write what runs it: python3 ./plain.py",
        ),
        (
            "qqqqqqqq",
            "there is no program 'qqqqqqqq'; install it, or name it by its path, from the storyboard's folder",
        ),
    ],
)
def test_a_program_that_is_not_there_is_an_error_at_the_voice(tmp_path: Path, program: str, message: str) -> None:
    """Before anything is spoken, with the name that was meant."""
    write_program(tmp_path, "out.write(wav())")
    write_program(tmp_path, "", name="plain.py").chmod(0o644)

    with pytest.raises(StoryboardError) as error:
        speak(_german(tmp_path, program), tmp_path / "voice")

    assert [problem.message for problem in error.value.problems] == [message]
    assert [problem.where for problem in error.value.problems] == ["narration.voice"]
    assert not (tmp_path / "voice").exists()
