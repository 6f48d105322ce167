"""An RS-485 line on CPython: its UART, its driver's pin, its pauses, and frames among noise."""

import asyncio
import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh

EVEN, ODD, NONE = 1, 2, 0
PINS = {"bus_tx": 17, "bus_rx": 18, "bus_de": 21}
HEAD = 0x68


def ms(characters: int, baud: int = 9600, bits: int = 11) -> int:
    """How long they take."""
    return characters * bits * 1000 // baud


class Wire:
    """What is on the line, by its own time; and what the chip did, in order."""

    def __init__(self) -> None:
        self.ms = 0
        self.did: list[tuple[Any, ...]] = []
        self.opened: list[dict[str, Any]] = []
        self.waiting = b""  # in the UART's buffer
        self.babble = 0  # so many looks at the line find another byte
        self.chunks: list[tuple[int, bytes]] = []  # (after ms, bytes), to be heard
        self.waits: list[int] = []
        self.busy_looks = 0  # so often the UART is not done yet

    def machine(self) -> types.ModuleType:
        wire = self

        class Pin:
            OUT = 3

            def __init__(self, number: int, mode: int = 0, value: int = -1) -> None:
                self.number = number
                wire.did.append(("pin", number, mode, value))

            def value(self, level: int) -> None:
                wire.did.append(("de", level, wire.ms))

        class UART:
            def __init__(self, unit: int, **how: Any) -> None:
                wire.opened.append({"unit": unit, **how})

            def any(self) -> int:
                if wire.babble and not wire.waiting:
                    wire.babble -= 1
                    wire.waiting = b"?"
                return len(wire.waiting)

            def read(self, most: int) -> bytes:
                got, wire.waiting = wire.waiting[:most], wire.waiting[most:]
                return got

            def write(self, data: bytes) -> None:
                wire.did.append(("write", bytes(data), wire.ms))

            def txdone(self) -> bool:
                wire.ms += 1
                wire.busy_looks -= 1
                return wire.busy_looks < 0

            def deinit(self) -> None:
                wire.did.append(("deinit",))

        made = types.ModuleType("machine")
        vars(made).update(Pin=Pin, UART=UART)
        return made

    def asyncio(self) -> Any:
        wire = self

        class Reader:
            def __init__(self, uart: Any) -> None:
                pass

            async def readinto(self, buffer: bytearray) -> int:
                _, data = wire.chunks.pop(0)
                buffer[: len(data)] = data
                return len(data)

        async def sleep_ms(passed: int) -> None:
            wire.ms += passed

        async def wait_for_ms(awaitable: Any, most: int) -> Any:
            wire.waits.append(most)
            if not wire.chunks or wire.chunks[0][0] > most:
                awaitable.close()
                wire.ms += most
                raise TimeoutError
            wire.ms += wire.chunks[0][0]
            return await awaitable

        return types.SimpleNamespace(
            StreamReader=Reader, sleep_ms=sleep_ms, wait_for_ms=wait_for_ms,
            TimeoutError=asyncio.TimeoutError,
        )  # fmt: skip


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Wire()
    monkeypatch.setitem(sys.modules, "machine", made.machine())
    module = fresh("sense.bus")
    monkeypatch.setattr(module, "asyncio", made.asyncio())
    clock = types.SimpleNamespace(
        ticks_ms=lambda: made.ms, ticks_add=lambda a, b: a + b, ticks_diff=lambda a, b: a - b
    )
    monkeypatch.setattr(module, "time", clock)
    made.module = module  # type: ignore[attr-defined]
    return made


def length(data: bytes) -> int:
    """Of a frame: a head, its length in all, what follows; 0xEE begins none."""
    if len(data) < 2:
        return 0
    if data[1] == 0xEE:
        raise ValueError
    return data[1]


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


@pytest.mark.parametrize(
    ("settings", "parity", "stop"),
    [((9600,), 0, 1), ((1200, ODD), 1, 1), ((19200, NONE, 2), None, 2), ((9600, EVEN, 2), 0, 2)],
)
def test_the_uart_is_opened_as_the_line_is(
    wire: Any, settings: Any, parity: int | None, stop: int
) -> None:
    bus = wire.module.Bus(PINS)
    assert wire.did == [("pin", 21, 3, 0)], "the driver is off from the beginning"
    bus.line(*settings)
    assert wire.opened == [
        {
            "unit": 2, "baudrate": settings[0], "bits": 8, "parity": parity, "stop": stop,
            "tx": 17, "rx": 18, "rxbuf": 512, "txbuf": 512,
        }
    ]  # fmt: skip


def test_it_is_opened_again_for_another_setting_alone(wire: Any) -> None:
    bus = wire.module.Bus(PINS)
    for settings in ((9600,), (9600, EVEN), (9600, EVEN, 1)):
        bus.line(*settings)
    assert len(wire.opened) == 1
    for settings in ((1200,), (1200, ODD), (1200, ODD, 2)):
        bus.line(*settings)
    assert len(wire.opened) == 4
    bus.close()
    bus.close()
    assert wire.did.count(("deinit",)) == 1
    bus.line(1200, ODD, 2)
    assert len(wire.opened) == 5


@pytest.mark.parametrize(
    ("settings", "bits"),
    [((9600, EVEN), 11), ((9600, NONE), 10), ((9600, NONE, 2), 11), ((1200, ODD, 2), 12)],
)
def test_the_driver_is_on_while_it_sends_and_no_longer(
    wire: Any, settings: Any, bits: int
) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(*settings)
    request = bytes(20)
    run(bus.send(request))
    pause = 2 + ms(12, settings[0], bits)
    (_, on, written, off) = wire.did
    assert on == ("de", 1, pause)
    assert written == ("write", request, pause)
    assert off[:2] == ("de", 0)
    assert 0 <= off[2] - pause - ms(20, settings[0], bits) <= 1


def test_it_waits_for_the_last_bit_but_not_for_ever(wire: Any) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    for looks, spun in ((5, 6), (1000, 20)):
        wire.did.clear()
        wire.busy_looks = looks
        run(bus.send(bytes(8)))
        written, off = wire.did[1:]
        assert off[2] - written[2] - ms(8) == spun


def test_a_line_without_a_drivers_pin(wire: Any) -> None:
    bus = wire.module.Bus({"bus_tx": 17, "bus_rx": 18})
    bus.line(9600)
    run(bus.send(b"a"))
    assert [each[0] for each in wire.did] == ["write"]


def test_what_came_before_is_forgotten_and_the_line_must_be_quiet(wire: Any) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    wire.waiting, wire.babble = bytes(100), 3
    run(bus.send(b"a"))
    assert wire.waiting == b""
    assert wire.did[1][2] >= 2 * (2 + ms(12))


def test_one_that_babbles_on_is_talked_over(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    looks = iter([1, 1, 0] * 100)  # a byte, which is read, and nothing for now
    monkeypatch.setattr(type(bus._uart), "any", lambda _: next(looks))
    run(bus.send(b"a"))
    assert wire.did[2] == ("write", b"a", 20 * (2 + ms(12)))


@pytest.mark.parametrize(
    ("chunks", "frame"),
    [
        ([b"\x68\x04ab"], b"\x68\x04ab"),
        ([b"\x68", b"\x04a", b"b"], b"\x68\x04ab"),
        ([b"\x00\xff\x68\x04ab"], b"\x68\x04ab"),  # of a driver that was switched
        ([b"\x68\xee\x68\x04ab"], b"\x68\x04ab"),  # no frame begins there
        ([b"\x68\x03c\x68\x04ab"], b"\x68\x03c"),
        ([b"\x68\x04abXYZ"], b"\x68\x04ab"),
    ],
)
def test_a_frame_among_noise(wire: Any, chunks: list[bytes], frame: bytes) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    wire.chunks = [(10, chunk) for chunk in chunks]
    assert run(bus.listen(length, HEAD, 500)) == frame


def test_how_long_it_listens(wire: Any) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    wire.chunks = [(10, b"\x68"), (10, b"\x04a"), (10, b"b")]
    run(bus.ask(b"q", length, HEAD, 500))
    late = ms(130)
    assert wire.waits == [500 + late, 150 + late, 150 + late]
    wire.waits.clear()
    wire.chunks = [(10, b"\x00"), (501 + late, b"\x68\x03a")]
    with pytest.raises(wire.module.BusTimeout) as caught:
        run(bus.listen(length, HEAD, 500))
    assert wire.waits == [500 + late] * 2, "noise is no beginning"
    assert caught.value.noise == 1


def test_no_answer_tells_how_much_noise_there_was(wire: Any) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    for chunks, noise in (([], 0), ([b"abc"], 3), ([b"abc\x68\x09x"], 6)):
        wire.chunks = [(1, chunk) for chunk in chunks]
        with pytest.raises(wire.module.BusTimeout) as caught:
            run(bus.listen(length, HEAD, 500))
        assert caught.value.noise == noise


def test_noise_without_end_is_given_up(wire: Any) -> None:
    bus = wire.module.Bus(PINS)
    bus.line(9600)
    wire.chunks = [(1, bytes(60))] * 100
    with pytest.raises(wire.module.BusTimeout) as caught:
        run(bus.listen(length, HEAD, 500))
    assert caught.value.noise == 600
    assert len(wire.chunks) == 90
