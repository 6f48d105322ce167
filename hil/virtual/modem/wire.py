"""The modem's transmit line: bytes leave one by one at the baud rate, in seeded chunks."""

import random

from hil.virtual.modem.faults import BITS_PER_BYTE, LineFaults, garbled, overrun
from hil.virtual.modem.tape import Tape
from hil.virtual.twin import UartPort

CHUNK_MOST = 120  # the ESP32's receive FIFO hands its bytes over at this level


class Wire:
    """Everything that goes to the board passes here, so that due times never decrease."""

    def __init__(
        self,
        port: UartPort,
        rng: random.Random,
        baud: int = 115_200,
        faults: LineFaults | None = None,
        tape: Tape | None = None,
    ) -> None:
        self._tape = tape
        self._port = port
        self._rng = rng
        self._faults = LineFaults() if faults is None else faults
        self._baud = baud
        self._chunk_most = self._faults.split or CHUNK_MOST
        self._free_us = 0

    @property
    def host_baud(self) -> int:
        """The host's rate; the modem's, where the port does not tell it."""
        return getattr(self._port, "baudrate", 0) or self._baud

    def duration_us(self, count: int) -> int:
        """How long `count` bytes take on the line."""
        return count * BITS_PER_BYTE * 1_000_000 // self._baud

    def backlog_us(self) -> int:
        """How long the line is still busy with what was sent."""
        return max(0, self._free_us - self._port.now())

    def hear(self, data: bytes) -> bytes:
        """What the modem makes of bytes that the host wrote."""
        return garbled(data, self.host_baud, self._baud)

    def send(self, data: bytes, not_before_us: int = 0) -> None:
        """Put `data` on the line behind all that is on it, and not before a virtual time."""
        start = max(self._port.now(), self._free_us, not_before_us)
        self._free_us = start + self.duration_us(len(data))
        if self._tape is not None:
            self._tape.speak("modem", data, start)
        data = garbled(data, self._baud, self.host_baud)
        data = overrun(data, self._rng, self._faults, self._baud)
        at = 0
        while at < len(data):
            end = min(len(data), at + self._rng.randint(1, self._chunk_most))
            due_us = min(start + self.duration_us(end), max(start, self._free_us))
            self._port.send(data[at:end], self._merged(due_us))
            at = end

    def carry(self, count: int) -> int:
        """Occupy the line with bytes that go another way; when they would have left it."""
        self._free_us = max(self._port.now(), self._free_us) + self.duration_us(count)
        return self._free_us

    def reset(self) -> None:
        """The transmitter lost power: nothing is on its way any more."""
        self._free_us = 0

    def _merged(self, due_us: int) -> int:
        merge_us = self._faults.merge_ms * 1000
        return due_us if not merge_us else -(-due_us // merge_us) * merge_us
