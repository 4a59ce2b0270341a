"""The dialect that docs/endpoints.md adds, letter by letter: a film is made through it."""

import re
from pathlib import Path

from tests.conftest import Board, Storyreel
from tests.support.accounts import QUICK, rows
from tests.support.dialects import another_dialect
from tests.support.endpoint import Answer, served
from tests.support.pictures import picture_bytes

PAGE = (Path(__file__).parents[2] / "docs/endpoints.md").read_text()


def test_the_dialect_of_the_docs_makes_a_film(storyreel: Storyreel, board: Board, tmp_path: Path) -> None:
    """Its requests are as its program says, its bills are read, and each picture is kept."""
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    picture = Answer(body=picture_bytes("PNG", (1024, 1024)), headers={"X-Cents": "1.5"})
    path = board()

    with another_dialect(tmp_path, program, name="atelier"), served(lambda _, __: picture) as endpoint:
        asked = ("--endpoint", endpoint.url, "--dialect", "atelier", "--model", "easel")
        ended = storyreel("render", str(path), *asked, **QUICK)

    ledger = rows(tmp_path / "outputs/film")
    assert (ended.exit_code, {row["status"] for row in ledger}) == (0, {"ok"}), ended.stderr
    assert {(row["cost_usd"], row["cost_basis"]) for row in ledger} == {("0.015", "stated")}
    assert {(body["model"], body["width"], body["height"]) for body in endpoint.requests} == {("easel", 1024, 1024)}
