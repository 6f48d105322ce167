"""Virtual time of the board: it jumps, it wraps like the chip's, and it starts in 2000."""

import os
import time
from pathlib import Path

from board_rig import SECOND, START, Twin, rig

from hil.virtual.pace import Gate, Rate

DAY_US = 86_400 * SECOND


async def test_a_day_passes_in_under_two_seconds(tmp_path: Path) -> None:
    boot = """
        import asyncio, time
        async def main():
            start = time.time()
            for _ in range(1440):
                await asyncio.sleep(60)
            print("day", time.time() - start)
        asyncio.run(main())
    """
    began = sum(os.times()[:4])  # of the CPU, which does not count what else the machine does
    async with rig(tmp_path, boot) as r:
        assert await r.line("day") == "86400"
        assert DAY_US <= r.board.now_us - START < DAY_US + SECOND
    assert sum(os.times()[:4]) - began < 2


async def test_tasks_keep_their_order(tmp_path: Path) -> None:
    boot = """
        import asyncio, time
        order = []
        async def ticker(name, period, n):
            for i in range(n):
                await asyncio.sleep_ms(period)
                order.append((name, time.ticks_ms()))
        async def main():
            start = time.ticks_ms()
            await asyncio.gather(ticker("a", 300, 10), ticker("b", 700, 4))
            print("order", "".join(name for name, _ in order))
            print("late", max(t - start for _, t in order))
        asyncio.run(main())
    """
    async with rig(tmp_path, boot) as r:
        # a at 300, 600, ... 3000; b at 700, 1400, 2100 (together with a's), 2800.
        assert await r.line("order") in ("aabaabaaabaaba", "aabaabaabaaaba")
        assert int(await r.line("late")) == 3000


async def test_ticks_wrap_at_2_to_the_30_and_asyncio_goes_on(tmp_path: Path) -> None:
    boot = """
        import asyncio, time
        async def main():
            time.sleep_ms(2 ** 30 - 1000)
            before = time.ticks_ms()
            deadline = time.ticks_add(before, 1500)
            await asyncio.sleep_ms(1000)
            after = time.ticks_ms()
            print("before", before)
            print("after", after)
            print("diff", time.ticks_diff(after, before))
            print("left", time.ticks_diff(deadline, after))
            try:
                await asyncio.wait_for_ms(asyncio.Event().wait(), 200)
            except asyncio.TimeoutError:
                print("timeout", time.ticks_diff(time.ticks_ms(), after))
        asyncio.run(main())
    """
    async with rig(tmp_path, boot) as r:
        assert int(await r.line("before")) > 2**30 - 1000
        assert int(await r.line("after")) < 1000
        assert await r.line("diff") == "1000"
        assert await r.line("left") == "500"
        assert await r.line("timeout") == "200"


async def test_the_epoch_is_2000_and_a_cold_clock_starts_there(tmp_path: Path) -> None:
    boot = """
        import machine, time
        print("zero", time.gmtime(0) == (2000, 1, 1, 0, 0, 0, 5, 1))
        print("cold", time.time(), machine.RTC().datetime()[:7])
        print("round", time.mktime(time.gmtime(820454400)))
        machine.RTC().datetime((2026, 11, 23, 0, 12, 34, 56, 0))
        print("set", time.localtime()[:6], machine.RTC().datetime()[:7])
        print("whole", isinstance(time.time(), int), time.time_ns() // 10 ** 9 - time.time())
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("zero") == "True"
        assert await r.line("cold") == "0 (2000, 1, 1, 5, 0, 0, 0)"
        assert await r.line("round") == "820454400"
        assert await r.line("set") == "(2026, 11, 23, 12, 34, 56) (2026, 11, 23, 0, 12, 34, 56)"
        assert await r.line("whole") == "True 0"


async def test_a_spin_on_the_clock_sees_time_pass(tmp_path: Path) -> None:
    boot = """
        import time
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < 50:
            pass
        print("done")
    """
    async with rig(tmp_path, boot) as r:
        await r.line("done")


_SLEEP_AND_SAY = """
    import time
    time.sleep_ms({ms})
    print("slept")
"""


async def test_time_runs_as_in_reality_while_a_twin_has_a_real_socket(tmp_path: Path) -> None:
    twin = Twin()
    async with rig(tmp_path, _SLEEP_AND_SAY.format(ms=400), twins={1: twin}) as r:
        twin.port.real(+1)
        began = time.monotonic()
        await r.line("slept")
        assert time.monotonic() - began >= 0.4


async def test_a_twins_own_event_is_jumped_to_although_a_real_socket_is_open(
    tmp_path: Path,
) -> None:
    boot = """
        import machine
        uart = machine.UART(1, 115200, rxbuf=256, timeout=60000)
        uart.write(b"?")
        print("got", uart.read(1))
    """
    twin = Twin()
    twin.on_data = lambda _: twin.port.send(b"!", twin.port.now() + 40 * SECOND)
    async with rig(tmp_path, boot, twins={1: twin}) as r:
        twin.port.real(+1)
        began = time.monotonic()
        assert await r.line("got") == "b'!'"
        assert time.monotonic() - began < 30
        assert r.board.now_us - START > 40 * SECOND


async def test_time_stands_still_after_run_until(tmp_path: Path) -> None:
    boot = """
        import asyncio
        async def main():
            print("begun")
            while True:
                await asyncio.sleep(1)
        asyncio.run(main())
    """
    async with rig(tmp_path, boot) as r:
        await r.line("begun")
        await r.board.run_for(10 * SECOND)
        before = r.board.now_us
        await r.board.run_for(5 * SECOND)
        assert r.board.now_us == before + 5 * SECOND


async def test_a_shut_gate_holds_the_clock(tmp_path: Path) -> None:
    gate = Gate()
    async with rig(tmp_path, _SLEEP_AND_SAY.format(ms=60_000), pace=gate) as r:
        gate.shut()
        r.board.start()
        try:
            await r.line("slept", 0.3)
        except TimeoutError:
            pass
        else:
            raise AssertionError("the clock went on")
        assert r.board.now_us == START
        gate.open()
        await r.line("slept")


async def test_a_pace_stretches_the_jumps(tmp_path: Path) -> None:
    async with rig(tmp_path, _SLEEP_AND_SAY.format(ms=100_000), pace=Rate(200)) as r:
        began = time.monotonic()
        await r.line("slept")
        assert 0.5 <= time.monotonic() - began < 60  # of 100
