"""The line: half duplex, with the driver's enable pin, baud rates, pauses and collisions.

What real lines punish is punished here: a driver that is let go too early cuts the frame, one that
is held too long drowns the answer, another rate or parity is heard by nobody, and two devices that
answer at once are heard as neither.
"""

from collections import Counter
from collections.abc import Sequence

from hil.virtual.rs485.device import Device
from hil.virtual.twin import Timer, UartPort

_SLACK_US = 200  # a transceiver's own delay
_CHUNK = 120  # bytes at which the chip's FIFO is handed over, or when none came for
_IDLE = 10  # characters (ESP-IDF's UART driver)


class BusTwin:
    """Devices on one UART. Wire the enable pin to its `de`, and say so by `enabled_by_pin`;
    without one the driver is automatic.

    `counts` tells what happened: `frames` heard whole, `cut`, `crowded`, `drowned`, `collisions`.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = list(devices)
        self.counts: Counter[str] = Counter()
        self._port: UartPort | None = None
        self._driven: int | None = None  # level of the enable pin; None: there is none
        self._sending: tuple[int, bytes] | None = None  # when the frame began, and its bytes
        self._end: Timer | None = None
        self._busy_until = 0  # of the line, us
        self._answers: list[tuple[int, bytes]] = []

    def enabled_by_pin(self) -> None:
        """The driver has an enable pin, which is low at first."""
        self._driven = 0

    def attach(self, port: UartPort) -> None:
        self._port = port

    def power_on(self) -> None:
        pass

    def power_off(self) -> None:
        self._sending = self._end = None
        self._driven = None if self._driven is None else 0
        self._busy_until = 0

    def deep_sleep_of_host(self) -> None:
        pass

    def pin(self, name: str, level: int) -> None:
        if name != "de":
            return
        falls = self._driven == 1 and not level
        self._driven = level
        if falls and self._sending is not None:
            self._cut()

    def on_bytes(self, data: bytes) -> None:
        if self._driven == 0:
            self.counts["undriven"] += 1
            return
        port = self._the_port()
        now = port.now()
        start = max(now, self._busy_until)
        if self._sending is None:
            if now < self._busy_until + 35 * self._character_us() // 10:
                self.counts["crowded"] += 1  # no pause: devices take both for one frame
                data = b""
            self._sending = (start, data)
        else:
            self._sending = (self._sending[0], self._sending[1] + data)
        self._busy_until = start + len(data) * self._character_us()
        if self._end is not None:
            self._end.cancel()
        self._end = port.call_at(self._busy_until, self._sent)

    def _the_port(self) -> UartPort:
        assert self._port is not None  # noqa: S101  `attach` comes first
        return self._port

    def _line(self) -> tuple[int, int, int]:
        """Baud rate, parity, bits of a character on the line."""
        port = self._the_port()
        bits, parity, stop = getattr(port, "character", (8, 255, 1))
        return getattr(port, "baudrate", 0), parity, 1 + bits + (parity < 2) + stop

    def _character_us(self) -> int:
        baud, _parity, bits = self._line()
        return bits * 1_000_000 // baud

    def _cut(self) -> None:
        # The driver is let go while bytes are in the shift register.
        now = self._the_port().now()
        if self._sending is None or now + _SLACK_US >= self._busy_until:
            return
        start, data = self._sending
        whole = max(0, (now - start) // self._character_us())
        self.counts["cut"] += 1
        self._sending = (start, data[:whole])
        self._busy_until = now

    def _sent(self) -> None:
        self._end = None
        if self._sending is None:
            return
        frame, self._sending = self._sending[1], None
        port = self._the_port()
        baud, parity, _bits = self._line()
        if not frame:
            return
        self.counts["frames"] += 1
        speaking: list[tuple[int, bytes]] = []
        for device in self.devices:
            if (device.baud, device.parity) == (baud, parity):
                found = device.hear(frame, port.now())
                if found is not None:
                    speaking.append((port.now() + device.faults.delay_us, found))
        if len(speaking) > 1:
            self.counts["collisions"] += 1
            longest = max(len(data) for _, data in speaking)
            mixed = bytearray(longest)
            for _, data in speaking:
                for place, byte in enumerate(data):
                    mixed[place] |= byte
            speaking = [(min(at for at, _ in speaking), bytes(mixed))]
        for at, data in speaking:
            port.call_at(at, lambda data=data: self._speak(data))  # type: ignore[misc]

    def _speak(self, data: bytes) -> None:
        if self._driven == 1:
            self.counts["drowned"] += 1
            return
        port = self._the_port()
        each = self._character_us()
        start = port.now()
        for place in range(0, len(data), _CHUNK):
            part = data[place : place + _CHUNK]
            idle = 0 if len(part) == _CHUNK else _IDLE
            port.send(part, start + (place + len(part) + idle) * each)
        self._busy_until = start + len(data) * each
