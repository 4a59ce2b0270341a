"""The alternatives of a user: the loop of flux-api.md, and Prefect's own map with its own rate limit."""

import asyncio
import sys
import time

import httpx

from benchmarks.measure import BIN, own_processor_s, run

_RATE_LIMIT_NAME = "naive-flux"


def sequential_rate(url: str, *, requests: int) -> float:
    """Return frames a second of one request after another, as flux-api.md shows it."""
    started = time.perf_counter()
    for number in range(requests):
        body = {"prompt": f"a harbor, view {number}", "aspectRatio": "4:3"}
        httpx.post(url, json=body, timeout=60).raise_for_status()
    return requests / (time.perf_counter() - started)


def prefect_map_rate(url: str, env: dict[str, str], *, requests: int) -> float:
    """Return frames a second of a Prefect task mapped over prompts, paced by Prefect's `rate_limit`."""
    prefect = str(BIN / "prefect")
    limit = [prefect, "global-concurrency-limit", "create", _RATE_LIMIT_NAME, "--limit", "12"]
    run([*limit, "--slot-decay-per-second", "12"], env=env)
    cost = run([str(BIN / "python"), "-m", "benchmarks.naive", "map", url, str(requests)], env=env)
    return requests / float(cost.stdout.split()[-1])


def _map(url: str, requests: int) -> None:
    from prefect import flow, task
    from prefect.concurrency.sync import rate_limit

    @task(persist_result=False)
    def fetch(number: int) -> int:
        rate_limit(_RATE_LIMIT_NAME)
        body = {"prompt": f"a harbor, view {number}", "aspectRatio": "4:3"}
        return len(httpx.post(url, json=body, timeout=60).raise_for_status().content)

    @flow
    def naive() -> None:
        fetch.map(range(requests)).result()

    started = time.perf_counter()
    naive()
    print(time.perf_counter() - started)


def _tasks(count: int) -> None:
    from prefect import flow, task

    @task(persist_result=False)
    async def nothing() -> None:
        return

    @flow
    async def nothings() -> None:
        await asyncio.gather(*(nothing() for _ in range(count)))

    asyncio.run(nothings())
    print(own_processor_s())


if __name__ == "__main__":
    if sys.argv[1] == "map":
        _map(sys.argv[2], int(sys.argv[3]))
    else:
        _tasks(int(sys.argv[2]))
