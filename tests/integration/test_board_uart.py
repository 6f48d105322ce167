"""The UART between firmware and twin: nothing lost, nothing reordered, overruns as on the chip."""

import random
from pathlib import Path

import pytest
from board_rig import SECOND, Twin, rig

from hil.virtual.twin import UartPort
from hil.virtual.uart import Uart

_ECHO = """
    import asyncio, machine
    uart = machine.UART(1, 115200, tx=17, rx=18, rxbuf=2048)
    async def main():
        reader, writer = asyncio.StreamReader(uart), asyncio.StreamWriter(uart)
        n = 0
        while n < {total}:
            data = await reader.read(512)
            n += len(data)
            writer.write(data)
            await writer.drain()
        print("echoed", n)
    asyncio.run(main())
"""


class Chunks(Twin):
    """Sends a known stream in seeded chunks with seeded gaps, some of them asked for too early."""

    def __init__(self, total: int, seed: int) -> None:
        super().__init__()
        chance = random.Random(seed)
        self.stream = chance.randbytes(total)
        self._chance = chance

    def attach(self, port: UartPort) -> None:
        super().attach(port)
        self.started = False

    def power_on(self) -> None:
        super().power_on()
        self.port.call_at(self.port.now() + SECOND, self._begin)

    def _begin(self) -> None:
        due = self.port.now()
        at = 0
        while at < len(self.stream):
            size = self._chance.choice((1, 2, 7, 30, 200, 700))
            # 87 us a byte at 115200 Bd; now and then a time that lies before the last one.
            due += 87 * size + self._chance.choice((-30_000, 0, 0, 1000, 50_000))
            self.port.send(self.stream[at : at + size], due)
            at += size


async def test_many_chunks_arrive_in_order_and_whole(tmp_path: Path) -> None:
    twin = Chunks(50_000, 1)
    async with rig(tmp_path, _ECHO.format(total=50_000), twins={1: twin}) as r:
        await r.line("echoed")
        assert bytes(twin.got) == twin.stream
        assert (r.board.uarts[1].overruns, r.board.uarts[1].lost) == (0, 0)


async def test_sabotage_a_port_that_lets_chunks_overtake_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(self: Uart, data: bytes, due_us: int) -> None:
        self._clock.wire.add(due_us, lambda: self._arrive(data))

    monkeypatch.setattr(Uart, "send", send)
    twin = Chunks(50_000, 1)
    async with rig(tmp_path, _ECHO.format(total=50_000), twins={1: twin}) as r:
        await r.line("echoed")
        assert bytes(twin.got) != twin.stream


async def test_bytes_over_rxbuf_are_dropped_and_counted(tmp_path: Path) -> None:
    boot = """
        import machine, time
        uart = machine.UART(1, 115200, rxbuf=512)
        uart.write(b"?")
        time.sleep(1)
        data = uart.read()
        print("kept", len(data), data[:1], data[-1:])
        print("more", uart.read(), uart.any())
    """
    twin = Twin()

    def answer(_: bytes) -> None:
        for n in range(1, 9):
            twin.port.send(bytes((n,)) * 100, twin.port.now() + n * 8700)

    twin.on_data = answer
    async with rig(tmp_path, boot, twins={1: twin}) as r:
        assert await r.line("kept") == "512 b'\\x01' b'\\x06'"
        assert await r.line("more") == "None 0"
        assert r.board.uarts[1].overruns == 288


async def test_a_read_times_out_in_virtual_time_and_readline_ends_at_a_line(
    tmp_path: Path,
) -> None:
    boot = """
        import machine, time
        uart = machine.UART(1, 9600, rxbuf=256, timeout=500, timeout_char=10)
        start = time.ticks_ms()
        print("none", uart.read(1), time.ticks_diff(time.ticks_ms(), start))
        uart.write(b"AT\\r\\n")
        print("line", uart.readline())
        print("rest", uart.readline())
    """
    twin = Twin()
    twin.on_data = lambda _: twin.port.send(b"OK\r\n+URC", twin.port.now() + 100_000)
    async with rig(tmp_path, boot, twins={1: twin}) as r:
        assert await r.line("none") == "None 500"
        assert await r.line("line") == "b'OK\\r\\n'"
        assert await r.line("rest") == "b'+URC'"
        assert r.board.uarts[1].baudrate == 9600


async def test_bytes_that_come_in_deep_sleep_are_lost_and_twin_time_goes_on(
    tmp_path: Path,
) -> None:
    boot = """
        import machine, time
        uart = machine.UART(1, 115200)
        if machine.wake_reason():
            time.sleep(1)
            print("got", uart.read())
        else:
            uart.write(b"?")
            machine.deepsleep(100_000)
    """
    twin = Twin()

    def answer(_: bytes) -> None:
        now = twin.port.now()
        twin.port.call_at(now + 50 * SECOND, lambda: twin.events.append("timer"))
        twin.port.send(b"early", now + 60 * SECOND)
        twin.port.send(b"late", now + 101 * SECOND)

    twin.on_data = answer
    async with rig(tmp_path, boot, twins={1: twin}) as r:
        assert await r.line("got") == "b'late'"
        assert r.board.uarts[1].lost == 5
        assert twin.events == ["on", "sleep", "timer"]
        await r.board.power_cut()
        assert twin.events[-1] == "off"


async def test_a_wait_with_a_deadline_ends_on_bytes_before_it(tmp_path: Path) -> None:
    boot = """
        import asyncio, machine, time
        uart = machine.UART(1, 115200)
        async def main():
            reader = asyncio.StreamReader(uart)
            uart.write(b"?")
            start = time.ticks_ms()
            print("first", await asyncio.wait_for_ms(reader.readline(), 5000))
            print("took", time.ticks_diff(time.ticks_ms(), start))
            try:
                await asyncio.wait_for_ms(reader.readline(), 5000)
            except asyncio.TimeoutError:
                print("timeout", time.ticks_diff(time.ticks_ms(), start))
        asyncio.run(main())
    """
    twin = Twin()
    twin.on_data = lambda _: twin.port.send(b"OK\n", twin.port.now() + 1_234_000)
    async with rig(tmp_path, boot, twins={1: twin}) as r:
        assert await r.line("first") == "b'OK\\n'"
        assert 1234 <= int(await r.line("took")) <= 1236
        assert 6234 <= int(await r.line("timeout")) <= 6236


async def test_an_interrupt_comes_when_bytes_came_while_nobody_reads(tmp_path: Path) -> None:
    boot = """
        import json, machine, time
        uart = machine.UART(1, 115200, tx=17, rx=18)
        heard = []
        def on_idle(u):
            heard.append((time.ticks_ms(), u.read(u.any()).decode()))
        uart.irq(on_idle, uart.IRQ_RXIDLE)
        time.sleep_ms(1500)
        uart.irq(None)
        time.sleep_ms(1000)
        print("heard", json.dumps(heard + [uart.read().decode()]))
        uart.irq(on_idle, uart.IRQ_BREAK)
        time.sleep_ms(1000)
        print("then", len(heard), uart.read())
    """
    twin = Twin()
    async with rig(tmp_path, boot, twins={1: twin}) as r:
        start = r.board.now_us
        for at_ms, data in ((1_000, b"one"), (1_400, b"two"), (2_500, b"off"), (3_500, b"break")):
            twin.port.send(data, start + at_ms * 1_000)
        await r.line("heard")
        ((first, one), (second, two), unheard) = r.all("heard")[0]
        assert (one, two, unheard) == ("one", "two", "off")
        assert second - first == 400
        assert await r.line("then") == "2 b'break'"
