"""Print the table of `make bench`; figures of one machine at one time, so that only the ratios say much.

`python -m benchmarks gating sheets` measures these parts alone. Parts that take a quarter of an hour are measured only
where they are named. Only a whole run of the others is written into `benchmarks/results`.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    assembling,
    dialects,
    distance,
    filming,
    gating,
    growing,
    lanes,
    looking,
    overview,
    passing,
    rendering,
    reporting,
    scaling,
    sheets,
    speaking,
    starting,
    weighing,
)
from benchmarks.history import comparison_lines, earlier_results, results_of, write_results
from benchmarks.measure import Row, print_table

# Yields the rows of one part, measured in the folder that it is given.
Measure = Callable[[Path], Iterator[Row]]

_PARTS: dict[str, Measure] = {
    "starting": starting.rows,
    "gating": gating.rows,
    "looking": looking.rows,
    "assembling": assembling.rows,
    "filming": filming.rows,
    "weighing": weighing.rows,
    "speaking": speaking.rows,
    "rendering": rendering.rows,
    "dialects": dialects.rows,
    "passing": passing.rows,
    "overview": overview.rows,
    "sheets": sheets.rows,
    "reporting": reporting.rows,
    "lanes": lanes.rows,
    "scaling": scaling.rows,
}
_LONG_PARTS: dict[str, Measure] = {
    "distance": distance.rows,
    "growing": growing.rows,
}
_RESULTS = Path(__file__).parent / "results"


def main(
    arguments: Sequence[str],
    *,
    parts: Mapping[str, Measure] = _PARTS,
    long_parts: Mapping[str, Measure] = _LONG_PARTS,
    results: Path = _RESULTS,
) -> None:
    """Measure the parts that are named, or all that are not long; compare the ratios with earlier ones.

    Args:
        arguments: of the command line.
        parts: the parts of a whole run, by name.
        long_parts: the others.
        results: the folder of earlier results; a whole run is written there.
    """
    every = {**parts, **long_parts}
    chosen = _parser(parts, long_parts).parse_args(arguments).parts
    rows = _measure([every[name] for name in chosen or parts])
    print_table(rows)
    for earlier in earlier_results(results, version=version("storyreel")):
        print("", *comparison_lines(rows, earlier), sep="\n")
    # A part of the rows would take the place of all of them.
    if not chosen:
        print(f"\nwritten to {write_results(results_of(rows, version=version('storyreel')), results)}")


def _parser(parts: Mapping[str, Measure], long_parts: Mapping[str, Measure]) -> argparse.ArgumentParser:
    names = ", ".join((*parts, *long_parts))

    # Not by `choices`: argparse would look for the empty list, which is given for no part at all, among them.
    def part(name: str) -> str:
        if name not in {*parts, *long_parts}:
            raise argparse.ArgumentTypeError(f"there is no part {name!r}; choose from {names}")
        return name

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory, as ratios.")
    without = f"{names}; without any, all but {' and '.join(long_parts)}"
    parser.add_argument("parts", nargs="*", type=part, metavar="PART", help=without)
    return parser


def _measure(parts: Sequence[Measure]) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="storyreel-bench-") as folder:
        for measure in parts:
            for row in measure(Path(folder)):
                print(f"  {row.name}: {row.figure}", file=sys.stderr, flush=True)
                rows.append(row)
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
