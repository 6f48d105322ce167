"""The modem's transmit line: bytes leave one by one at the baud rate, in seeded chunks."""

import random

from hil.virtual.twin import UartPort

BITS_PER_BYTE = 10  # 8N1
CHUNK_MOST = 120  # the ESP32's receive FIFO hands its bytes over at this level


class Wire:
    """Everything that goes to the board passes here, so that due times never decrease."""

    def __init__(self, port: UartPort, rng: random.Random, baud: int = 115200) -> None:
        self._port = port
        self._rng = rng
        self._baud = baud
        self._free_us = 0

    def duration_us(self, count: int) -> int:
        """How long `count` bytes take on the line."""
        return count * BITS_PER_BYTE * 1_000_000 // self._baud

    def backlog_us(self) -> int:
        """How long the line is still busy with what was sent."""
        return max(0, self._free_us - self._port.now())

    def send(self, data: bytes, not_before_us: int = 0) -> None:
        """Put `data` on the line behind all that is on it, and not before a virtual time."""
        start = max(self._port.now(), self._free_us, not_before_us)
        at = 0
        while at < len(data):
            end = min(len(data), at + self._rng.randint(1, CHUNK_MOST))
            self._port.send(data[at:end], start + self.duration_us(end))
            at = end
        self._free_us = start + self.duration_us(len(data))

    def reset(self) -> None:
        """The transmitter lost power: nothing is on its way any more."""
        self._free_us = 0
