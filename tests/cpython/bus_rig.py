"""A bus on CPython: what the firmware asks goes to the twins' devices at once, without a board."""

import sys
import types
from typing import Any

import pytest
from firmware_modules import forget, fresh

from hil.virtual.rs485.device import Device

PARITY = (255, 0, 1)  # of the firmware's numbers, as machine.UART and the devices have them


def subdevice(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module node.sense.subdevice over a stand-in for `machine`."""
    monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
    forget("sense.bus", "sense.search")
    return fresh("sense.subdevice")


class Line:
    """As node.sense.bus.Bus. `alter` may change what a device answers, or drop it (None)."""

    def __init__(self, devices: list[Device], now_us: int = 1_780_300_800_000_000) -> None:
        self.devices = devices
        self.now_us = now_us
        self.alter: Any = lambda frame: frame
        self.asked: list[bytes] = []
        self._line = (0, 0)

    def line(self, baud: int, parity: int = 1, stop: int = 1) -> None:
        self._line = (baud, PARITY[parity])

    def close(self) -> None:
        pass

    async def ask(self, request: bytes, length: Any, head: int, timeout_ms: int) -> bytes:
        from node.sense.bus import BusTimeout

        self.asked.append(request)
        heard = [d.hear(request, self.now_us) for d in self.devices
                 if (d.baud, d.parity) == self._line]  # fmt: skip
        answers = [found for found in heard if found]
        mixed = bytearray(max(map(len, answers), default=0))
        for found in answers:
            for place, byte in enumerate(found):
                mixed[place] |= byte
        data = self.alter(bytes(mixed)) or b""
        noise = len(data)
        while data:
            wanted = 0
            try:
                wanted = length(data) if data[0] == head else -1
            except ValueError:
                wanted = -1
            if wanted > 0 and len(data) >= wanted:
                return data[:wanted]
            data = data[1:] if wanted < 0 else b""
        raise BusTimeout(noise)
