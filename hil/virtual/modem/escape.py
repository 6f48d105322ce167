"""The escape from data mode to command mode: `+++` between two silences (V.250, 6.2.9; S12)."""

from collections.abc import Callable

from hil.virtual.modem.delays import Alarm
from hil.virtual.twin import UartPort

GUARD_US = 1_000_000
PLUS = ord("+")
NO = -1  # not since the last silence


class Escape:
    """Listens to data on their way; `found` is called when the second silence is over."""

    def __init__(
        self, port: UartPort, duration_us: Callable[[int], int], found: Callable[[], None]
    ) -> None:
        self._port = port
        self._duration_us = duration_us
        self._found = found
        self._alarm = Alarm(port)
        self._count = NO
        self._silent_us = port.now()  # since when

    def hear(self, data: bytes) -> None:
        """Bytes from the host, which begin to come now."""
        now = self._port.now()
        self._alarm.cancel()
        if now - self._silent_us >= GUARD_US:
            self._count = 0
        for byte in data:
            self._count = self._count + 1 if byte == PLUS and 0 <= self._count < 3 else NO
        self._silent_us = max(now, self._silent_us) + self._duration_us(len(data))
        if self._count == 3:
            self._alarm.set(self._silent_us + GUARD_US, self._found)

    def stop(self) -> None:
        """Listen no more."""
        self._alarm.cancel()
