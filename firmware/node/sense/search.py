"""Find out who is on the line. It takes minutes, so it goes on from where it was interrupted."""

import time

from micropython import const

from node.sense.bus import EVEN, NO_PARITY, BusTimeout
from node.sense.subdevice import CJT188, DLT645, MODBUS

_Q_FOUND_PROTOCOL = const(930)  # wire/quantity.py
_Q_FOUND_ADDRESS = const(931)
_Q_FOUND_TYPE = const(932)
_Q_FOUND_BAUD = const(933)
_MODBUS_MS = const(200)
_METER_MS = const(700)
_ENERGY = const(0x00010000)
_MOST = const(64)  # found at most: no line has more
_PROBES = const(4000)  # and asked at most


class Search:
    """`arguments`: [protocol, baud, first, last], the last two in Modbus only: addresses."""

    def __init__(self, arguments: list) -> None:
        if len(arguments) not in (2, 4):
            raise ValueError("protocol, baud, and in Modbus first and last address")
        self._protocol, self._baud = arguments[:2]
        if self._protocol not in (MODBUS, DLT645, CJT188) or not 1200 <= self._baud <= 115200:
            raise ValueError("no such protocol or baud rate")
        first, last = arguments[2:] if len(arguments) == 4 else (1, 247)
        if not 1 <= first <= last <= 247:
            raise ValueError("no such addresses")
        # What is still to be asked: an address, or in DL/T 645 its end, found by halves of bytes.
        self._left = [""]
        if self._protocol == MODBUS:
            self._left = list(range(last, first - 1, -1))
        self._found = self._probes = 0

    @property
    def done(self) -> bool:
        """Whether everybody was asked."""
        return not self._left

    async def go(self, bus, until: int) -> list:
        """Ask until `until` (ticks in ms); the values of the records of those that answered."""
        parity = NO_PARITY if self._protocol == MODBUS else EVEN
        bus.line(self._baud, parity)
        records = []
        while self._left and time.ticks_diff(until, time.ticks_ms()) > 0:
            self._probes += 1
            wanted = self._left.pop()
            try:
                kind, address = await self._probe(bus, wanted)
                records.append(self._record(int(address), kind))
                self._found += 1
            except BusTimeout as e:
                self._closer(wanted, e.noise)
            except ValueError:
                self._closer(wanted, 1)
            if self._found >= _MOST or self._probes >= _PROBES:
                self._left = []
        if not self._left:
            records.append(self._record(-1, 0))
        return records

    async def _probe(self, bus, wanted) -> tuple:
        # (type, address) of the one that answers.
        if self._protocol == MODBUS:
            from node.wire import modbus

            request = modbus.read_request(wanted, modbus.READ_HOLDING, 0, 1)
            frame = await bus.ask(request, modbus.reply_length, wanted, _MODBUS_MS)
            return 0, modbus.decode(frame)[0]  # a refusal is an answer too
        if self._protocol == DLT645:
            from node.wire import dlt645

            address = dlt645.ANY[len(wanted) :] + wanted
            request = dlt645.WAKE + dlt645.read_request(address, _ENERGY)
            sender = dlt645.decode(await bus.ask(request, dlt645.length, 0x68, _METER_MS))[0]
            if not dlt645.matches(sender, address):
                raise ValueError("another meter")
            return 0, sender
        from node.wire import cjt188

        request = cjt188.WAKE + cjt188.read_address_request()
        return cjt188.read_address_reply(await bus.ask(request, cjt188.length, 0x68, _METER_MS))

    def _closer(self, wanted, noise: int) -> None:
        # Several meters spoke at once: ask for each of the ends that they may have.
        if noise and self._protocol == DLT645 and len(wanted) < 12:
            for pair in range(99, -1, -1):
                self._left.append("%02d" % pair + wanted)

    def _record(self, address: int, kind: int) -> list:
        return [
            (_Q_FOUND_PROTOCOL, self._protocol),
            (_Q_FOUND_ADDRESS, address),
            (_Q_FOUND_TYPE, kind),
            (_Q_FOUND_BAUD, self._baud),
        ]
