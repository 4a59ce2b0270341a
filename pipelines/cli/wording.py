"""Pieces of text that several messages of the command share."""


def format_count(count: int, noun: str) -> str:
    """Return a number of things with its noun: `1 frame`, `2 frames`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def simulated_suffix(simulated: bool) -> str:
    """Return what is added to a cost that is made up, and nothing to a real one."""
    return ", simulated: sketches are free" if simulated else ""
