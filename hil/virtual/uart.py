"""The host's end of one UART: between the VM's requests and a twin."""

from collections.abc import Callable

from hil.virtual.clock import Event
from hil.virtual.idle import Idler
from hil.virtual.twin import UartTwin

NO_PARITY = 255  # 0 is even, 1 odd: machine.UART
_REPLY = 16384  # bytes handed to the VM in one reply, at most


class Uart:
    """One unit and the `UartPort` of its twin. Bytes reach the VM in order, when they are due."""

    def __init__(self, twin: UartTwin, idler: Idler) -> None:
        self.twin = twin
        self.baudrate = 0
        self.character = (8, NO_PARITY, 1)  # bits, parity, stop bits
        self.overruns = 0  # bytes that the firmware's rxbuf had no room for
        self.lost = 0  # bytes that came while the unit was not open
        self.sent = 0  # bytes from the firmware
        self.received = 0  # bytes that were handed to the VM
        self._open = False
        self._pending = bytearray()
        self._last_due = 0
        self._idler = idler
        self._clock = idler.clock
        twin.attach(self)

    # UartPort, for the twin

    def now(self) -> int:
        """Virtual time in microseconds since 1970 UTC."""
        return self._clock.now_us

    def send(self, data: bytes, due_us: int) -> None:
        """Bytes that have arrived at the VM's receiver at `due_us`."""
        due = self._last_due = max(due_us, self._last_due, self._clock.now_us)
        self._clock.wire.add(due, lambda: self._arrive(data))

    def call_at(self, due_us: int, fn: Callable[[], None]) -> Event:
        """Calls `fn` when virtual time reaches `due_us`."""
        return self._clock.twins.add(due_us, fn)

    def real(self, change: int) -> None:
        """A real socket was opened (+1) or closed (-1)."""
        self._idler.real_sockets = max(0, self._idler.real_sockets + change)

    def kick(self) -> None:
        """A real event happened: look again what comes next."""
        self._idler.kick()

    # For the board

    def open(self, baudrate: int, character: tuple[int, int, int] = (8, 255, 1)) -> None:
        """The firmware constructed the unit; `character` is bits, parity and stop bits."""
        self.baudrate = baudrate
        self.character = character
        self._open = True

    def reset(self) -> None:
        """The chip was reset or sleeps: what had arrived is lost."""
        self._open = False
        self.discard()

    def power_off(self) -> None:
        """Neither the chip nor the twin has power."""
        self.reset()
        self._last_due = 0
        self.twin.power_off()

    def write(self, data: bytes) -> None:
        """Bytes from the firmware."""
        self.sent += len(data)
        self.twin.on_bytes(data)

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the VM."""
        return bool(self._pending)

    def take(self) -> bytes:
        """Bytes for the VM, at most one reply's worth."""
        data = bytes(self._pending[:_REPLY])
        del self._pending[:_REPLY]
        self.received += len(data)
        return data

    def _arrive(self, data: bytes) -> None:
        self._pending += data
        if not self._open:
            self.discard()

    def discard(self) -> None:
        """What arrived since the VM last asked is lost."""
        self.lost += len(self._pending)
        self._pending.clear()
