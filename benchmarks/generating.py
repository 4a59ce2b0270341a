"""Generate the frames of a storyboard below Prefect, as the environment's settings say, and make no film of them.

`python -m benchmarks.generating board.yaml` prints the processor time that it took, without what starting took.
"""

import asyncio
import sys
from pathlib import Path

from benchmarks.measure import own_processor_s
from pipelines.common.settings import load_settings
from tests.campaigns.runs import generate_without_film


def main() -> None:
    """Generate what is missing."""
    settings, started_s = load_settings(), own_processor_s()
    exit_code = asyncio.run(generate_without_film(Path(sys.argv[1]), settings))
    print(own_processor_s() - started_s)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
