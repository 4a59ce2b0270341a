"""Run the storyreel command in this process; at its end, print the processor time that it took, without children's.

`python -m benchmarks.own_cost render board.yaml ...`
"""

import sys

from benchmarks.measure import own_processor_s
from pipelines.cli.main import run


def main() -> None:
    """Run the command that is given."""
    exit_code = run(sys.argv[1:])
    print(own_processor_s())
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
