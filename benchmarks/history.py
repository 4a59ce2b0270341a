"""Results of whole benchmark runs, a file for each version of storyreel, and their comparison with earlier ones."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from benchmarks.measure import Kind, Row, shown
from pipelines.common.files import write_atomic

# Worse by more than this share is marked; less may be the noise of a machine.
_TOLERANCE = 0.1
# Seconds and bytes are of the machine on which they were measured.
_COMPARABLE = (Kind.RATIO, Kind.QUALITY)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure as it is kept: without what it was compared with, which each run measures anew."""

    value: float
    unit: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class BenchmarkResults:
    """The results of one run. Nothing in them tells on which machine it was made, but its cores and its Python.

    Attributes:
        version: of storyreel.
        python: its version.
        cores: the processors of the machine.
        rows: by name.
    """

    version: str
    python: str
    cores: int
    rows: Mapping[str, Measured]

    def as_json(self) -> dict[str, Any]:
        """Return the results as plain JSON values."""
        rows = {name: {"value": row.value, "unit": row.unit, "kind": row.kind} for name, row in self.rows.items()}
        return {"version": self.version, "python": self.python, "cores": self.cores, "rows": rows}


def results_of(rows: Sequence[Row], *, version: str) -> BenchmarkResults:
    """Return the results of a run of this Python on this machine; rows that could not be measured are left out."""
    measured = {row.name: Measured(row.value, row.unit, row.kind) for row in rows if row.value is not None}
    return BenchmarkResults(version, platform.python_version(), os.cpu_count() or 1, measured)


def write_results(results: BenchmarkResults, folder: Path) -> Path:
    """Write results into `folder`, in place of earlier ones of their version; return the file."""
    path = folder / f"{results.version}.json"
    write_atomic(path, f"{json.dumps(results.as_json(), indent=2)}\n".encode())
    return path


def read_results(path: Path) -> BenchmarkResults:
    """Return the results in a file that `write_results` wrote."""
    data = json.loads(path.read_text())
    rows = {name: Measured(row["value"], row["unit"], Kind(row["kind"])) for name, row in data["rows"].items()}
    return BenchmarkResults(data["version"], data["python"], data["cores"], rows)


def earlier_results(folder: Path, *, version: str) -> list[BenchmarkResults]:
    """Return the results to compare a run of `version` with, as far as there are any.

    First those of the newest earlier version; then those of this version, which the run is about to replace: between
    two releases they are the last release's.
    """
    ours = Version(version)
    files = {found: path for path in folder.glob("*.json") if (found := _version_of(path)) is not None}
    earlier = max((found for found in files if found < ours), default=None)
    return [read_results(files[found]) for found in (earlier, ours) if found in files]


def _version_of(path: Path) -> Version | None:
    try:
        return Version(path.stem)
    except InvalidVersion:
        # Some other file.
        return None


def comparison_lines(rows: Sequence[Row], earlier: BenchmarkResults) -> Iterator[str]:
    """Yield a Markdown table of what a run and an earlier one have in common, on any machine; none where it is nothing.

    That is ratios, and how good pictures are.
    """
    compared = [
        (row, old.value, row.value)
        for row in rows
        if (old := earlier.rows.get(row.name))
        and old.kind is row.kind
        and row.kind in _COMPARABLE
        and row.value is not None
    ]
    if not compared:
        return
    yield f"| measured | {earlier.version}, Python {earlier.python}, {earlier.cores} cores | now | |"
    yield "| --- | --- | --- | --- |"
    for row, before, now in compared:
        worse_by = before - now if row.higher_is_better else now - before
        mark = "worse" if worse_by > _TOLERANCE * abs(before) else ""
        yield f"| {row.name} | {shown(before)} | {shown(now)} | {mark} |"
