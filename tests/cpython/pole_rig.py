"""A lamppost's role on CPython, over the virtual board's pins and devices; no VM, no fleet."""

import asyncio
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest
from firmware_modules import forget
from node import schema
from node.wire import cbor

from fleet.flashing.hardware import load_board
from hil.virtual.i2c import I2cBuses, I2cError
from hil.virtual.pins import Pins
from hil.virtual.sensors.dali import BRIDGE_ADDRESS, Gear, Lw14
from hil.virtual.sensors.lamp import Lamp, Supply, dimmed_by_pwm
from hil.virtual.sensors.lis2dh12 import ADDRESS as TILT_ADDRESS
from hil.virtual.sensors.lis2dh12 import Lis2dh12

NOON = 1_780_300_800  # 2026-06-01 08:00 UTC: a bright afternoon in Guangzhou
NIGHT = NOON + 6 * 3600
PINS = load_board("esp32-ec200").pins
TIMER = 4
SUPPLY_MV = 220_000
CONFIG = {
    "node": "1gntj14d2p", "role": "lamppost", "modem": "ec200", "host": "localhost", "port": 8883,
    "pins": PINS, "sample_s": 900, "full_scale": 400_000, "low_uv": 0, "high_uv": 3_000_000,
}  # fmt: skip


class State(dict[Any, Any]):
    """As RtcState, in memory."""

    def set(self, key: str, value: object) -> None:
        cbor.encode({key: value})  # it must be of the subset
        self[key] = value


class Journal:
    """As LazyJournal with its journal: what was appended, oldest first."""

    def __init__(self) -> None:
        self.records: list[list[int]] = []
        self.last_body = b""

    def __call__(self) -> "Journal":
        return self

    def append(self, body: bytes, priority: int = 1) -> int:
        assert len(body) <= 200
        self.last_body = body
        self.records.append(cbor.decode(body))  # type: ignore[arg-type]
        return len(self.records)

    def events(self) -> list[tuple[int, int]]:
        """(code, 1 or 0) of each event."""
        return [(r[2] - 1000, r[3]) for r in self.records if r[2] >= 1000]

    def values(self) -> dict[int, int]:
        """Of the newest record that is no event."""
        flat = [r for r in self.records if r[2] < 1000][-1][2:]
        return dict(zip(flat[::2], flat[1::2], strict=True))


def machine(pins: Pins, buses: I2cBuses) -> types.ModuleType:
    """A stand-in for MicroPython's module, as far as the role uses it."""

    class Pin:
        IN, OUT, PULL_UP, PULL_DOWN = 1, 3, 2, 1

        def __init__(self, number: int, mode: int = -1, pull: int = -1, value: int = -1) -> None:
            self.number = number
            if mode != -1:
                pins.mode(number, mode, 255, 255)
            if value != -1:
                pins.write(number, value)

        def value(self, level: int | None = None) -> int | None:
            if level is None:
                return pins.level(self.number)
            pins.write(self.number, level)
            return None

    class PWM:
        def __init__(self, pin: Pin, freq: int, duty_u16: int) -> None:
            self._pin, self._freq = pin.number, freq
            self.duty_u16(duty_u16)

        def duty_u16(self, duty: int) -> None:
            pins.dim(self._pin, self._freq, duty)

    class ADC:
        ATTN_11DB = 3

        def __init__(self, pin: Pin, atten: int) -> None:
            self._pin = pin.number

        def read_uv(self) -> int:
            return pins.microvolts[self._pin]

    class I2C:
        def __init__(self, number: int, scl: Pin, sda: Pin, freq: int) -> None:
            self._wires = bytes((scl.number, sda.number))

        def _transfer(self, address: int, out: bytes, size: int) -> bytes:
            try:
                return buses.transfer(self._wires + bytes((address, size)) + out)
            except I2cError as e:
                raise OSError(*e.args) from None

        def readfrom_mem(self, address: int, register: int, size: int) -> bytes:
            return self._transfer(address, bytes((register,)), size)

        def writeto_mem(self, address: int, register: int, data: bytes) -> None:
            self._transfer(address, bytes((register,)) + bytes(data), 0)

    made = types.ModuleType("machine")
    vars(made).update(Pin=Pin, PWM=PWM, ADC=ADC, I2C=I2C)
    return made


class Pole:
    """A lamppost in a street. `now` is its clock; `lamp`, `tilt`, `dali` are for the world."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: int, config: dict[str, Any]) -> None:
        self.us = now * 1_000_000
        self.pins = Pins(lambda pin, level: None)
        self.i2c = I2cBuses()
        self.state = State({"clock_sure": 1})
        self.journal = Journal()
        self.config = schema.check({**CONFIG, **config})
        self.pins.microvolts[PINS["supply"]] = SUPPLY_MV * 3_000_000 // 400_000
        self.tilt = Lis2dh12()
        self.i2c.add(PINS["scl"], PINS["sda"], TILT_ADDRESS, self.tilt)

        def supplied() -> bool:
            return bool(self.pins.level(PINS["relay"]))

        self.gear = Gear(5, supplied, lambda: self.us)
        self.dali = Lw14([self.gear], lambda: self.us)
        self.pins.after_change.append(self.dali.supply_changed)
        self.i2c.add(PINS["scl"], PINS["sda"], BRIDGE_ADDRESS, self.dali)
        if self.config.get("lamp_driver") == "dali":
            self.lamp = Lamp(1500, lambda: self.gear.permille, supplied)
        else:
            self.lamp = dimmed_by_pwm(1500, self.pins, PINS["relay"], PINS["dim"])
        self.supply = Supply(self.lamp, self.pins, lambda: self.us)
        monkeypatch.setitem(sys.modules, "machine", machine(self.pins, self.i2c))
        monkeypatch.setattr(time, "sleep_ms", self._sleep, raising=False)
        forget("clock", "roles.lamppost", "roles.pole", "sense.luminaire", "sense.dali",
               "sense.analog", "sense.tilt", "roles.grid")  # fmt: skip
        from node import clock
        from node.roles.lamppost import Lamppost

        monkeypatch.setattr(clock, "now", lambda: self.now)
        self.role = Lamppost(self.config, self.state, self.journal)

    @property
    def now(self) -> int:
        """s since 1970."""
        return self.us // 1_000_000

    def _sleep(self, ms: int) -> None:
        self.us += ms * 1000

    def wake(self, seconds: int = 0) -> None:
        """So many seconds later, one cycle of the role."""
        self.us += seconds * 1_000_000
        asyncio.run(self.role.poll(self.now))
        self.role.sense(self.now, TIMER, 0)

    def until(self, end: int) -> None:
        """All the cycles that it asks for until `end`."""
        while (due := self.role.due(self.now)) <= end:
            self.us = max(due * 1_000_000, self.us)
            self.wake()
        self.us = end * 1_000_000

    def leak(self, milliamperes: int) -> None:
        """Of the whole post, at its sensor of 300 mA full scale."""
        self.pins.microvolts[PINS["leakage"]] = milliamperes * 10_000


def poles(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that makes a Pole."""
    yield lambda now=NOON, **config: Pole(monkeypatch, now, config)
