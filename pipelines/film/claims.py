"""Claims on pieces: where several runs encode into one folder, on one machine or on many, none is encoded twice."""

from collections.abc import Sequence
from typing import Protocol


class PieceClaims(Protocol):
    """Which pieces this run may encode; a piece is known by its file's name, which is the same on every machine.

    A claim lasts until it is released, or until its run has ended or died.
    """

    async def claim(self, names: Sequence[str]) -> frozenset[str]:
        """Return those of `names` that this run may encode now; the others are being encoded by other runs.

        What this run holds already is granted again.
        """
        ...

    async def release(self, names: Sequence[str]) -> None:
        """Give claims back: their pieces are there, or this run could not encode them."""
        ...


class Unshared:
    """Claims for a folder that no other run encodes into: every one is granted."""

    async def claim(self, names: Sequence[str]) -> frozenset[str]:
        """Grant all."""
        return frozenset(names)

    async def release(self, names: Sequence[str]) -> None:
        """Ignore it."""
