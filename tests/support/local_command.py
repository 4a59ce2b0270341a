"""`python -m tests.support.local_command ARGUMENTS`: the command, its flows without Prefect and its sketches plain.

For tests that need it as a process of its own, for its signals and its terminal, and that are not about Prefect.
"""

from pipelines.cli import main as cli
from pipelines.cli import prefect_run
from pipelines.server.config import EngineKind
from pipelines.server.engines.drawing import PAINTERS
from pipelines.server.engines.plain import PlainEngine
from tests.support.local_flows import local_flows


def do_without_prefect() -> None:
    """Let the command of this process run its flows without Prefect from now on, and sketch plain pictures."""
    prefect_run.prefect_flows = local_flows
    PAINTERS[EngineKind.SKETCH] = PlainEngine


if __name__ == "__main__":
    do_without_prefect()
    cli.main()
