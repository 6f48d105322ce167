"""The idle rule without a VM: what virtual time jumps to, and what it waits for."""

import asyncio
import time

from hil.virtual.clock import VirtualClock
from hil.virtual.idle import Idler, Wait

SECOND = 1_000_000


class Bench:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock = VirtualClock(0, loop.time)
        self.idler = Idler(self.clock, loop, None)
        self.log: list[tuple[str, int]] = []

    def note(self, name: str) -> None:
        self.log.append((name, self.clock.now_us))

    async def wait(self, until: int | None, *, real: bool = True) -> None:
        done = asyncio.Event()
        self.idler.wait(Wait(until, lambda: False, done.set, real))
        async with asyncio.timeout(60):
            await done.wait()


async def test_events_come_in_order_of_time_and_then_of_asking() -> None:
    bench = Bench()
    bench.clock.twins.add(2 * SECOND, lambda: bench.note("late"))
    bench.clock.board.add(SECOND, lambda: bench.note("first"))
    bench.clock.twins.add(SECOND, lambda: bench.note("second"))
    bench.clock.twins.add(SECOND, lambda: bench.note("never")).cancel()
    await bench.wait(3 * SECOND)
    assert bench.log == [("first", SECOND), ("second", SECOND), ("late", 2 * SECOND)]
    assert bench.clock.now_us == 3 * SECOND


async def test_an_event_may_ask_for_the_next_one() -> None:
    bench = Bench()

    def again() -> None:
        bench.note("tick")
        bench.clock.twins.add(bench.clock.now_us + SECOND, again)

    bench.clock.twins.add(SECOND, again)
    await bench.wait(1000 * SECOND + 1)
    assert len(bench.log) == 1000


async def test_with_a_real_socket_time_jumps_to_bytes_and_then_runs_one_to_one() -> None:
    bench = Bench()
    bench.idler.real_sockets = 1
    bench.clock.twins.add(SECOND // 2, lambda: bench.note("near"))
    bench.clock.wire.add(50 * SECOND, lambda: bench.note("bytes"))
    began = time.monotonic()
    await bench.wait(50 * SECOND + 200_000)
    assert bench.log == [("near", SECOND // 2), ("bytes", 50 * SECOND)]
    assert 0.19 <= time.monotonic() - began < 20
    assert bench.clock.now_us == 50 * SECOND + 200_000


async def test_a_twins_inactivity_timer_does_not_eat_the_vms_deadline() -> None:
    """A modem looks every ten seconds whether it may sleep; the broker answers in real time."""
    bench = Bench()
    bench.idler.real_sockets = 1

    def look() -> None:
        bench.note("look")
        bench.clock.twins.add(bench.clock.now_us + 10 * SECOND, look)

    bench.clock.twins.add(10 * SECOND, look)
    answered = asyncio.Event()
    wait = Wait(40 * SECOND, answered.is_set, answered.set, True)
    bench.idler.wait(wait)

    def answer() -> None:
        answered.set()
        bench.idler.kick()

    asyncio.get_running_loop().call_later(0.1, answer)
    await answered.wait()
    assert bench.log == []
    assert bench.clock.now_us < 2 * SECOND


async def test_the_stimulus_does_not_pull_time_away_from_a_real_socket() -> None:
    bench = Bench()
    bench.idler.real_sockets = 1
    bench.clock.board.add(150_000, lambda: bench.note("stimulus"))
    began = time.monotonic()
    await bench.wait(200_000)
    assert bench.log == [("stimulus", 150_000)]
    assert time.monotonic() - began >= 0.19


async def test_a_real_event_is_taken_at_once_and_at_its_real_time() -> None:
    bench = Bench()
    bench.idler.real_sockets = 1
    loop = asyncio.get_running_loop()

    def real() -> None:
        bench.note("real")
        bench.clock.twins.add(bench.clock.now_us + 1000, lambda: bench.note("bytes"))
        bench.idler.real_sockets = 0
        bench.idler.kick()

    loop.call_later(0.1, real)
    await bench.wait(3600 * SECOND)
    (_, at), (_, bytes_at) = bench.log
    assert 90_000 <= at < SECOND
    assert at + 1000 <= bytes_at < at + SECOND
    assert bench.clock.now_us == 3600 * SECOND


async def test_a_late_loop_is_no_virtual_time() -> None:
    """A machine under load must not make the node's deadlines pass."""
    bench = Bench()
    bench.idler.real_sockets = 1
    waiting = asyncio.create_task(bench.wait(50_000))
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251  the load
    assert bench.clock.now_us == 50_000
    await waiting
    assert bench.clock.now_us == 50_000


async def test_held_time_stands_still() -> None:
    bench = Bench()
    bench.idler.hold(True)
    waiting = asyncio.create_task(bench.wait(SECOND))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert bench.clock.now_us == 0
    bench.idler.hold(False)
    await waiting


async def test_cancelled_events_do_not_pile_up() -> None:
    bench = Bench()
    for _ in range(10_000):
        bench.clock.twins.add(SECOND, lambda: None).cancel()
    assert len(bench.clock.twins._heap) < 200
