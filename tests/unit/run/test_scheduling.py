"""How a run is conducted: who steps up when, how many at once, and how it all stops."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipelines.common.errors import BudgetError, InterruptedRunError, StoryreelError
from pipelines.run.scheduling import QUEUE_LENGTH, AdmissionQueue, StopSignal, generate_in_order
from pipelines.storyboard.plan import FrameSpec
from tests.support.builders import frame_spec

SPECS = [frame_spec(number, prompt=str(number)) for number in range(12)]
KEYS = [spec.request_key for spec in SPECS]


@dataclass
class Rehearsal:
    """Buys frames in steps that a test takes: each starts, is admitted when told, and ends when told."""

    line: AdmissionQueue
    admits_at_once: bool = True
    started: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    gates: dict[int, asyncio.Event] = field(default_factory=dict)

    async def buy(self, spec: FrameSpec) -> int:
        self.started.append(spec.number)
        self.gates[spec.number] = asyncio.Event()
        if self.admits_at_once:
            await self.line.admitted(spec.request_key)
        await self.gates[spec.number].wait()
        self.ended.append(spec.number)
        return spec.number

    @property
    def running(self) -> int:
        return len(self.started) - len(self.ended)


async def turns(count: int = 50) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def finish(rehearsal: Rehearsal, task: "asyncio.Task[list[int]]") -> list[int]:
    """End every frame that has started until none is left."""
    while not task.done():
        for gate in rehearsal.gates.values():
            gate.set()
        await turns()
    return await task


async def at_once(spec: FrameSpec) -> int:
    """Buy a frame without any wait."""
    return spec.number


@contextlib.contextmanager
def loop_complaints() -> Iterator[list[dict[str, Any]]]:
    """Collect what the event loop would otherwise only log."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    yield complaints
    gc.collect()
    loop.set_exception_handler(None)


async def test_frames_start_in_their_order() -> None:
    """However they end, they step up by their number, and the outcomes come in that order too."""
    rehearsal = Rehearsal(AdmissionQueue(3))
    task = asyncio.create_task(generate_in_order(SPECS, rehearsal.buy, line=rehearsal.line, stop_signal=StopSignal()))
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
    task = asyncio.create_task(generate_in_order(SPECS, rehearsal.buy, line=rehearsal.line, stop_signal=StopSignal()))
    seen = []
    while not task.done():
        await turns()
        seen.append(rehearsal.running)
        with contextlib.suppress(StopIteration):
            next(gate for gate in rehearsal.gates.values() if not gate.is_set()).set()
        await turns()

    assert (max(seen), task.result()) == (min(concurrency, 12), list(range(12)))


async def test_few_stand_in_line_before_the_gate() -> None:
    """Frames that have not passed the gate hold the others back, so that they are admitted in order."""
    rehearsal = Rehearsal(AdmissionQueue(100), admits_at_once=False)
    task = asyncio.create_task(generate_in_order(SPECS, rehearsal.buy, line=rehearsal.line, stop_signal=StopSignal()))
    await turns()
    before = list(rehearsal.started)
    await rehearsal.line.admitted(KEYS[0])
    await turns()

    assert (before, rehearsal.started) == (list(range(QUEUE_LENGTH)), list(range(QUEUE_LENGTH + 1)))
    await finish(rehearsal, task)


async def test_a_frame_admitted_twice_makes_one_place() -> None:
    """Its later attempts pass the gate too, and are no longer in the line."""
    line = AdmissionQueue(100)
    for number in range(QUEUE_LENGTH):
        await line.enter(KEYS[number])
    await line.admitted(KEYS[0])
    await line.admitted(KEYS[0])
    await line.enter(KEYS[4])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await line.enter(KEYS[5])


async def test_the_brake_stops_new_starts_and_awaits_those_running() -> None:
    """What is in flight is paid for: it ends in its own time, and nothing new begins."""
    rehearsal, stop_signal = Rehearsal(AdmissionQueue(3)), StopSignal()
    task = asyncio.create_task(generate_in_order(SPECS, rehearsal.buy, line=rehearsal.line, stop_signal=stop_signal))
    await turns()
    stop_signal.stop(InterruptedRunError("stop"))
    await turns()
    still_running = (task.done(), rehearsal.running)

    outcomes = await finish(rehearsal, task)

    assert (still_running, outcomes, rehearsal.started) == ((False, 3), [0, 1, 2], [0, 1, 2])


async def test_a_brake_pulled_before_the_start_starts_nothing() -> None:
    """Not even the first frame."""
    stop_signal = StopSignal()
    stop_signal.stop(InterruptedRunError("stop"))

    assert await generate_in_order(SPECS, at_once, line=AdmissionQueue(3), stop_signal=stop_signal) == []


async def test_nothing_to_buy_is_nothing_to_wait_for() -> None:
    """An empty plan ends at once."""
    assert await generate_in_order([], at_once, line=AdmissionQueue(1), stop_signal=StopSignal()) == []


async def test_an_exception_cancels_nobody_and_is_raised_at_the_end() -> None:
    """A bug in one frame lets the others in flight come home, and starts no more."""
    rehearsal, stop_signal = Rehearsal(AdmissionQueue(3)), StopSignal()

    async def buy(spec: FrameSpec) -> int:
        if spec.number == 1:
            raise ZeroDivisionError("a bug")
        return await rehearsal.buy(spec)

    task = asyncio.create_task(generate_in_order(SPECS, buy, line=rehearsal.line, stop_signal=stop_signal))
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

    async def buy(spec: FrameSpec) -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError(spec.number)

    with loop_complaints() as complaints:
        with pytest.raises(ZeroDivisionError, match="0") as caught:
            await generate_in_order(SPECS[:3], buy, line=AdmissionQueue(3), stop_signal=StopSignal())
        del caught
        await turns()

    assert complaints == []


async def test_the_first_error_is_the_one_that_counts() -> None:
    """Pulling the stop_signal again changes nothing."""
    stop_signal = StopSignal()
    before = (stop_signal.stopped, stop_signal.error)
    first = BudgetError("first")
    stop_signal.stop(first)
    stop_signal.stop(InterruptedRunError("second"))

    assert (before, stop_signal.stopped, stop_signal.error) == ((False, None), True, first)


@pytest.mark.parametrize("pull", [True, False])
async def test_a_pause_ends_when_the_brake_is_pulled(pull: bool) -> None:
    """Nobody sleeps through a stop; without one the pause takes its time."""
    stop_signal = StopSignal()
    if pull:
        asyncio.get_running_loop().call_later(0.01, stop_signal.stop, InterruptedRunError("stop"))

    began = asyncio.get_running_loop().time()
    await stop_signal.pause(60 if pull else 0.02)

    elapsed_s = asyncio.get_running_loop().time() - began
    assert (elapsed_s < 10, pull or elapsed_s >= 0.015) == (True, True)


async def test_work_that_ends_before_a_stop_hands_over_its_result() -> None:
    """Without a pull it is as if there were no stop_signal."""

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


async def test_frames_that_leave_without_being_admitted_make_place() -> None:
    """A frame that was given up in the line holds nobody back."""
    line = AdmissionQueue(100)
    for number in range(QUEUE_LENGTH):
        await line.enter(KEYS[number])
    entering = asyncio.create_task(line.enter(KEYS[QUEUE_LENGTH]))
    await turns()
    before = entering.done()
    await line.leave(KEYS[2])

    await entering

    assert before is False
