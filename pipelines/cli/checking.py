"""Checking storyboards before a command does anything else with them, and telling the notes on them."""

import asyncio
from collections.abc import Iterable

from pipelines.cli.problems import print_notes
from pipelines.common.errors import Note, Problem, StoryboardError
from pipelines.film.checks import check_film
from pipelines.storyboard.model import Storyboard


def check_boards(boards: Iterable[Storyboard], *, strict: bool) -> list[tuple[Note, ...]]:
    """Check what the films of storyboards are made of; tell the notes on them, and return those of each.

    Raises:
        StoryboardError: every problem of all of them; notes too, with `strict`.
    """
    return asyncio.run(_check_boards(boards, strict=strict))


async def _check_boards(boards: Iterable[Storyboard], *, strict: bool) -> list[tuple[Note, ...]]:
    checked: list[tuple[Note, ...]] = []
    problems: list[Problem] = []
    for board in boards:
        try:
            checked.append(await check_film(board, strict=strict))
        except StoryboardError as exc:
            problems.extend(exc.problems)
    if problems:
        raise StoryboardError(problems)
    for notes in checked:
        print_notes(notes)
    return checked
