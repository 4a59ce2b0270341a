"""One process at a gate: says `ready`, waits for a line, passes the gate so many times, and says when it did.

python -m benchmarks.gate_worker KIND ADDRESS TIMES RATE_LIMIT
"""

import json
import os
import sys
import time
from collections.abc import Callable

from pyrate_limiter import Limiter, PostgresBucket, Rate, SQLiteBucket

from pipelines.common.geometry import AspectRatio, Fit
from pipelines.endpoints.prices import price_list
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import AttemptRequest, Permit, Run
from pipelines.storyboard.plan import FrameSpec

_MINUTE_MS = 60_000


def main() -> None:
    """Pass the gate that the command line names; print the moments as JSON, in seconds since 1970."""
    kind, address, times, rate_limit = sys.argv[1:]
    enter = _PASSES[kind](address, int(rate_limit))
    print("ready", flush=True)
    sys.stdin.readline()
    entered = []
    for number in range(int(times)):
        enter(number)
        entered.append(time.time())
    print(json.dumps(entered))


def _gate(address: str, rate_limit: int) -> Callable[[int], None]:
    """Return a function that passes storyreel's gate: it enters and reserves, and does not wait for its moment."""
    admit = _admission(address, rate_limit)

    def enter(number: int) -> None:
        admit(number)

    return enter


def _paced_gate(address: str, rate_limit: int) -> Callable[[int], None]:
    """Return a function that passes storyreel's gate and waits for its moment, as a run does."""
    admit = _admission(address, rate_limit)
    return lambda number: time.sleep(admit(number).wait_s)


def _admission(address: str, rate_limit: int) -> Callable[[int], Permit]:
    ledger = Ledger.open(address)
    run = Run(f"run-{os.getpid()}", "bench", "http://flux.test", "flux-1-schnell", simulated=False)
    ledger.start_run(run)
    gate = ledger.gate(run, rate_limit=rate_limit)
    model = price_list("flux").model(run.model)

    def admit(number: int) -> Permit:
        # A key of its own: the gate would refuse a take that another process is generating.
        key = f"{os.getpid()}-{number}"
        frame = FrameSpec(number, "a", "b", "a harbor", (), 4, AspectRatio.SQUARE, Fit.COVER, key, model)
        admission = gate.admit(AttemptRequest(frame.first_take, frame.prompt, 1))
        assert isinstance(admission, Permit)
        return admission

    return admit


def _pyrate_sqlite(address: str, rate_limit: int) -> Callable[[int], None]:
    rates = [Rate(rate_limit, _MINUTE_MS)]
    limiter = Limiter(SQLiteBucket.init_from_file(rates, db_path=address, use_file_lock=True))
    return _acquisition(limiter)


def _pyrate_postgres(address: str, rate_limit: int) -> Callable[[int], None]:
    from psycopg_pool import ConnectionPool

    pool = ConnectionPool(address, min_size=1, max_size=1, open=True)
    limiter = Limiter(PostgresBucket(pool, "flux", [Rate(rate_limit, _MINUTE_MS)]))
    return _acquisition(limiter)


def _acquisition(limiter: Limiter) -> Callable[[int], None]:
    def acquire(_: int) -> None:
        limiter.try_acquire("flux")

    return acquire


_PASSES: dict[str, Callable[[str, int], Callable[[int], None]]] = {
    "gate": _gate,
    "paced-gate": _paced_gate,
    "pyrate-sqlite": _pyrate_sqlite,
    "pyrate-postgres": _pyrate_postgres,
}


if __name__ == "__main__":
    main()
