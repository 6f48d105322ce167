"""An ultrasonic distance sensor on a UART, as DFRobot's A02YYUW: ten frames a second."""

from collections.abc import Callable

from hil.virtual.twin import UartPort

_EVERY_US = 100_000
_FRAME_US = 4_167  # four bytes of ten bits at 9600 baud


def frame(distance_mm: int) -> bytes:
    """FF, two bytes of mm, the low byte of their sum."""
    head = bytes((0xFF, distance_mm >> 8 & 255, distance_mm & 255))
    return head + bytes((sum(head) & 255,))


class Ultrasonic:
    """A UartTwin. `distance(us)` in mm, None for silence; `garble` changes what goes over the
    wire. It speaks while `switched(1)` holds, as behind a load switch.
    """

    def __init__(self, distance: Callable[[int], int | None]) -> None:
        self.distance = distance
        self.garble: Callable[[bytes], bytes] = lambda data: data
        self._port: UartPort | None = None
        self._on = False

    def switched(self, level: int) -> None:
        """Its supply comes or goes."""
        came = level and not self._on
        self._on = bool(level)
        if came:
            self._speak()

    def _speak(self) -> None:
        if not self._on or self._port is None:
            return
        now = self._port.now()
        distance = self.distance(now)
        if distance is not None:
            self._port.send(self.garble(frame(distance)), now + _FRAME_US)
        self._port.call_at(now + _EVERY_US, self._speak)

    def attach(self, port: UartPort) -> None:
        self._port = port

    def on_bytes(self, data: bytes) -> None:
        pass

    def power_on(self) -> None:
        pass

    def power_off(self) -> None:
        self._on = False

    def deep_sleep_of_host(self) -> None:
        pass

    def pin(self, name: str, level: int) -> None:
        self.switched(level)
