"""Print the table of `make bench`; figures of one machine at one time, so that only the ratios say much.

`python -m benchmarks gating sheets` measures these parts alone. Only a whole run is written into `benchmarks/results`.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import assembling, filming, gating, looking, overview, rendering, reporting, scaling, sheets, starting
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
    "rendering": rendering.rows,
    "overview": overview.rows,
    "sheets": sheets.rows,
    "reporting": reporting.rows,
    "scaling": scaling.rows,
}
_RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str], *, parts: Mapping[str, Measure] = _PARTS, results: Path = _RESULTS) -> None:
    """Measure the parts that are named, or all of them; compare the ratios with earlier ones.

    Args:
        arguments: of the command line.
        parts: all parts by name.
        results: the folder of earlier results; a run of all parts is written there.
    """
    chosen = _parser(parts).parse_args(arguments).parts
    rows = _measure([parts[name] for name in chosen or parts])
    print_table(rows)
    for earlier in earlier_results(results, version=version("storyreel")):
        print("", *comparison_lines(rows, earlier), sep="\n")
    # A part of the rows would take the place of all of them.
    if not chosen:
        print(f"\nwritten to {write_results(results_of(rows, version=version('storyreel')), results)}")


def _parser(parts: Mapping[str, Measure]) -> argparse.ArgumentParser:
    names = ", ".join(parts)

    # Not by `choices`: argparse would look for the empty list, which is given for no part at all, among them.
    def part(name: str) -> str:
        if name not in parts:
            raise argparse.ArgumentTypeError(f"there is no part {name!r}; choose from {names}")
        return name

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory, as ratios.")
    parser.add_argument("parts", nargs="*", type=part, metavar="PART", help=f"{names}; without any, all of them")
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
