"""Print the table of `make bench`; figures of one machine at one time, so that only the ratios say much."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import assembling, filming, gating, rendering, reporting, sheets, starting
from benchmarks.measure import Row, print_table

_PARTS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "starting": starting.rows,
    "gating": gating.rows,
    "assembling": assembling.rows,
    "filming": filming.rows,
    "rendering": rendering.rows,
    "sheets": sheets.rows,
    "reporting": reporting.rows,
}


def main() -> None:
    """Measure the parts that are named on the command line, or all of them."""
    chosen = sys.argv[1:] or list(_PARTS)
    table: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="storyreel-bench-") as folder:
        for name in chosen:
            for row in _PARTS[name](Path(folder)):
                print(f"  {row.name}: {row.figure}", file=sys.stderr, flush=True)
                table.append(row)
    print_table(table)


if __name__ == "__main__":
    main()
