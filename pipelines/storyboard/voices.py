"""Voices as storyboards name them."""

import shlex

# English, brought by a package of its own, and run on this machine.
BUILT_IN_VOICE = "hibari/heart"
# No voice at all: every narration is a recording.
RECORDED = "file"
# Begins a voice that is a program, which reads text on its stdin and writes a WAV to its stdout.
COMMAND = "command:"


def command_of(voice: str) -> tuple[str, ...]:
    """Return the program that a voice is, and its arguments; none where it is no program.

    Raises:
        ValueError: a quote in it is never closed.
    """
    return tuple(shlex.split(voice.removeprefix(COMMAND))) if voice.startswith(COMMAND) else ()
