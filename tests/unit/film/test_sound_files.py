"""Many sound files are worked on side by side, each once."""

import asyncio
import os
from pathlib import Path

from pipelines.common.errors import FilmError
from pipelines.film.sound_files import side_by_side


def test_as_many_files_as_processors_are_worked_on_at_once() -> None:
    """Not more, and none twice; an error is a result, and stops no other."""
    files = [Path(str(number)) for number in range(3 * (os.cpu_count() or 1))]
    working: set[Path] = set()
    most = 0
    broken = FilmError("broken")

    async def work(file: Path) -> str:
        nonlocal most
        assert file not in working
        working.add(file)
        most = max(most, len(working))
        await asyncio.sleep(0.001)
        working.remove(file)
        if file == files[1]:
            raise broken
        return file.name

    results = asyncio.run(side_by_side(work, files + files))

    assert results == {file: file.name for file in files} | {files[1]: broken}
    assert most == (os.cpu_count() or 1)
