"""Takes are started in their order, so many at once, until the run is stopped."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipelines.common.errors import BudgetError, DatabaseAwayError, InterruptedRunError, StoryreelError
from pipelines.run.scheduling import QUEUE_LENGTH, AdmissionQueue, StopSignal, generate_in_order
from pipelines.storyboard.plan import TakeSpec
from tests.support.builders import take_spec
from tests.support.generation import one_by_one

SPECS = [take_spec(number, prompt=str(number)) for number in range(12)]
KEYS = [spec.request_key for spec in SPECS]


@dataclass
class Rehearsal:
    """Generates takes in steps that a test takes: each starts, is admitted and ends as the test says."""

    queue: AdmissionQueue
    admits_at_once: bool = True
    started: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    gates: dict[int, asyncio.Event] = field(default_factory=dict)

    async def generate(self, spec: TakeSpec) -> int:
        self.started.append(spec.frame.number)
        self.gates[spec.frame.number] = asyncio.Event()
        if self.admits_at_once:
            await self.queue.admitted(spec.request_key)
        await self.gates[spec.frame.number].wait()
        self.ended.append(spec.frame.number)
        return spec.frame.number

    @property
    def running(self) -> int:
        return len(self.started) - len(self.ended)


async def turns(count: int = 50) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def finish(rehearsal: Rehearsal, task: "asyncio.Task[list[int]]") -> list[int]:
    """End every take that has started until none is left."""
    while not task.done():
        for gate in rehearsal.gates.values():
            gate.set()
        await turns()
    return await task


async def at_once(spec: TakeSpec) -> int:
    """Generate a take without any wait."""
    return spec.frame.number


@contextlib.contextmanager
def loop_complaints() -> Iterator[list[dict[str, Any]]]:
    """Collect what the event loop would otherwise only log."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    yield complaints
    gc.collect()
    loop.set_exception_handler(None)


async def test_takes_start_in_their_order() -> None:
    """However they end, they start by their number, and the outcomes come in that order too."""
    rehearsal = Rehearsal(AdmissionQueue(3))
    task = asyncio.create_task(
        generate_in_order(one_by_one(SPECS), rehearsal.generate, queue=rehearsal.queue, stop_signal=StopSignal())
    )
    await turns()
    for number in (2, 0, 1):
        rehearsal.gates[number].set()
        await turns()

    assert rehearsal.ended == [2, 0, 1]
    assert await finish(rehearsal, task) == list(range(12))
    assert rehearsal.started == list(range(12))


@pytest.mark.parametrize("concurrency", [1, 2, 5, 100])
async def test_no_more_are_in_flight_than_allowed(concurrency: int) -> None:
    """The next steps in when one is done, never before."""
    rehearsal = Rehearsal(AdmissionQueue(concurrency))
    task = asyncio.create_task(
        generate_in_order(one_by_one(SPECS), rehearsal.generate, queue=rehearsal.queue, stop_signal=StopSignal())
    )
    seen = []
    while not task.done():
        await turns()
        seen.append(rehearsal.running)
        with contextlib.suppress(StopIteration):
            next(gate for gate in rehearsal.gates.values() if not gate.is_set()).set()
        await turns()

    assert (max(seen), task.result()) == (min(concurrency, 12), list(range(12)))


async def test_few_wait_in_the_queue_before_the_gate() -> None:
    """Takes that have not passed the gate hold the others back, so that they are admitted in order."""
    rehearsal = Rehearsal(AdmissionQueue(100), admits_at_once=False)
    task = asyncio.create_task(
        generate_in_order(one_by_one(SPECS), rehearsal.generate, queue=rehearsal.queue, stop_signal=StopSignal())
    )
    await turns()
    before = list(rehearsal.started)
    await rehearsal.queue.admitted(KEYS[0])
    await turns()

    assert (before, rehearsal.started) == (list(range(QUEUE_LENGTH)), list(range(QUEUE_LENGTH + 1)))
    await finish(rehearsal, task)


async def test_a_take_admitted_twice_makes_one_place() -> None:
    """Its later attempts pass the gate too, and are no longer in the queue."""
    queue = AdmissionQueue(100)
    for number in range(QUEUE_LENGTH):
        await queue.enter(KEYS[number])
    await queue.admitted(KEYS[0])
    await queue.admitted(KEYS[0])
    await queue.enter(KEYS[4])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.enter(KEYS[5])


async def test_the_stop_signal_stops_new_starts_and_awaits_those_running() -> None:
    """What is in flight is paid for: it ends in its own time, and nothing new begins."""
    rehearsal, stop_signal = Rehearsal(AdmissionQueue(3)), StopSignal()
    task = asyncio.create_task(
        generate_in_order(one_by_one(SPECS), rehearsal.generate, queue=rehearsal.queue, stop_signal=stop_signal)
    )
    await turns()
    stop_signal.stop(InterruptedRunError("stop"))
    await turns()
    still_running = (task.done(), rehearsal.running)

    outcomes = await finish(rehearsal, task)

    assert (still_running, outcomes, rehearsal.started) == ((False, 3), [0, 1, 2], [0, 1, 2])


async def test_a_stop_before_the_start_starts_nothing() -> None:
    """Not even the first take."""
    stop_signal = StopSignal()
    stop_signal.stop(InterruptedRunError("stop"))

    assert await generate_in_order(one_by_one(SPECS), at_once, queue=AdmissionQueue(3), stop_signal=stop_signal) == []


async def test_nothing_to_generate_is_nothing_to_wait_for() -> None:
    """An empty plan ends at once."""
    assert await generate_in_order(one_by_one([]), at_once, queue=AdmissionQueue(1), stop_signal=StopSignal()) == []


async def test_an_exception_cancels_no_other_take_and_is_raised_at_the_end() -> None:
    """A bug in one take lets the others in flight end, and starts no more."""
    rehearsal, stop_signal = Rehearsal(AdmissionQueue(3)), StopSignal()

    async def generate(spec: TakeSpec) -> int:
        if spec.frame.number == 1:
            raise ZeroDivisionError("a bug")
        return await rehearsal.generate(spec)

    task = asyncio.create_task(
        generate_in_order(one_by_one(SPECS), generate, queue=rehearsal.queue, stop_signal=stop_signal)
    )
    await turns()
    before = (task.done(), list(rehearsal.started))

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await finish(rehearsal, task)

    assert (before, rehearsal.ended, stop_signal.stopped) == ((False, [0, 2]), [0, 2], True)
    assert (type(stop_signal.error), str(stop_signal.error)) == (
        StoryreelError,
        "frame_0001 arrival/wide: an unforeseen error stopped the run",
    )


async def test_of_several_exceptions_the_first_is_raised_and_none_is_left_over() -> None:
    """The event loop has nothing to complain of on the terminal."""

    async def generate(spec: TakeSpec) -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError(spec.frame.number)

    with loop_complaints() as complaints:
        with pytest.raises(ZeroDivisionError, match="0") as caught:
            await generate_in_order(one_by_one(SPECS[:3]), generate, queue=AdmissionQueue(3), stop_signal=StopSignal())
        del caught
        await turns()

    assert complaints == []


async def test_the_first_error_is_the_one_that_counts() -> None:
    """Stopping again changes nothing."""
    stop_signal = StopSignal()
    before = (stop_signal.stopped, stop_signal.error)
    first = BudgetError("first")
    stop_signal.stop(first)
    stop_signal.stop(InterruptedRunError("second"))

    assert (before, stop_signal.stopped, stop_signal.error) == ((False, None), True, first)


@pytest.mark.parametrize("stop", [True, False])
async def test_a_pause_ends_when_the_run_is_stopped(stop: bool) -> None:
    """No pause outlasts a stop; without one it takes its time."""
    stop_signal = StopSignal()
    if stop:
        asyncio.get_running_loop().call_later(0.01, stop_signal.stop, InterruptedRunError("stop"))

    began = asyncio.get_running_loop().time()
    await stop_signal.pause(60 if stop else 0.02)

    elapsed_s = asyncio.get_running_loop().time() - began
    assert (elapsed_s < 10, stop or elapsed_s >= 0.015) == (True, True)


async def test_work_that_ends_before_a_stop_hands_over_its_result() -> None:
    """Without a stop it is as if there were no stop signal."""

    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await StopSignal().run_until_stopped(work()) == "done"


async def test_work_that_fails_before_a_stop_hands_up_its_error() -> None:
    """Its own exception comes out as it is."""

    async def work() -> str:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await StopSignal().run_until_stopped(work())


@pytest.mark.parametrize("before", [True, False])
async def test_a_stop_gives_up_work_that_costs_nothing(before: bool) -> None:
    """The work is cancelled, and has cleaned up after itself when the error of the stop is raised."""
    stop_signal, ended = StopSignal(), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    if before:
        stop_signal.stop(InterruptedRunError("stop"))
    else:
        asyncio.get_running_loop().call_later(0.01, stop_signal.stop, InterruptedRunError("stop"))
    with pytest.raises(InterruptedRunError, match="stop"):
        await stop_signal.run_until_stopped(work())

    assert ended == ["cleaned up"]


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_pause_is_no_wait(seconds: float) -> None:
    """A moment that has passed is not waited for."""
    began = asyncio.get_running_loop().time()

    await StopSignal().pause(seconds)

    assert asyncio.get_running_loop().time() - began < 5


async def test_takes_that_leave_without_being_admitted_make_place() -> None:
    """A take that was given up in the queue holds no other back."""
    queue = AdmissionQueue(100)
    for number in range(QUEUE_LENGTH):
        await queue.enter(KEYS[number])
    entering = asyncio.create_task(queue.enter(KEYS[QUEUE_LENGTH]))
    await turns()
    before = entering.done()
    await queue.leave(KEYS[2])

    await entering

    assert before is False


async def test_where_no_more_can_be_handed_out_what_is_in_flight_is_awaited() -> None:
    """The run stops with the reason; nothing that may be paid for is cancelled."""
    stop_signal, go_on = StopSignal(), asyncio.Event()

    async def hand_out() -> AsyncIterator[TakeSpec]:
        yield SPECS[0]
        raise DatabaseAwayError("the server is away")

    async def generate(spec: TakeSpec) -> TakeSpec:
        await go_on.wait()
        return spec

    generating = asyncio.create_task(
        generate_in_order(hand_out(), generate, queue=AdmissionQueue(3), stop_signal=stop_signal)
    )
    error = await stop_signal.wait()
    still_at_it = not generating.done()
    go_on.set()

    assert (str(error), still_at_it, await generating) == ("the server is away", True, [SPECS[0]])


async def test_a_bug_in_what_hands_takes_out_is_raised() -> None:
    """It is not tried again and again."""

    async def hand_out() -> AsyncIterator[TakeSpec]:
        yield SPECS[0]
        raise ZeroDivisionError

    async def generate(spec: TakeSpec) -> TakeSpec:
        return spec

    with pytest.raises(ZeroDivisionError):
        await generate_in_order(hand_out(), generate, queue=AdmissionQueue(3), stop_signal=StopSignal())
