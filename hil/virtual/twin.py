"""What stands at the far end of a virtual board's UART, and the port through which it speaks.

A twin (a modem, a meter, a loopback) lives in the host's asyncio loop, in the board's virtual
time. All calls in both directions are made from that loop's thread. Times are integer microseconds
since 1970-01-01 UTC, virtual.
"""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A pending `call_at`; cancelling twice, or after it fired, does nothing."""

    def cancel(self) -> None: ...


class UartPort(Protocol):
    """The board's side of the wire, handed to a twin by `attach`."""

    def now(self) -> int:
        """Virtual time in microseconds; never goes back, also across deep sleep and power cuts."""

    def send(self, data: bytes, due_us: int) -> None:
        """Bytes that have wholly arrived at the board's receiver at `due_us`.

        Due times must not decrease from call to call: one before the last one, or in the past, is
        moved up to it (bytes never overtake). Bytes due while the board sleeps or is off are lost,
        as on the chip; bytes over the firmware's `rxbuf` are dropped and counted.
        """

    def call_at(self, due_us: int, fn: Callable[[], None]) -> Timer:
        """Calls `fn` once when virtual time reaches `due_us`, whether the VM runs or sleeps.

        A power cut cancels all of them, before the twin's `power_off`. Calls due at the same time
        are made in the order in which they were asked for.
        """

    def real(self, change: int) -> None:
        """`+1` when a real socket is opened, `-1` when it is closed.

        While any is open virtual time runs 1:1 with real time in the VM's idle periods instead of
        jumping to the VM's own next timer. It still jumps to bytes that are due (`send`), and to a
        `call_at` that is at most a second ahead; a farther one waits as the VM's timers do. In
        deep sleep nothing holds time back.
        """

    def kick(self) -> None:
        """A real event (bytes from a socket) was just turned into `send` or `call_at`."""


class UartTwin(Protocol):
    """A device on one UART. Every method returns at once; none may block or raise."""

    def attach(self, port: UartPort) -> None:
        """Called once, before any other method, when the board is made."""

    def on_bytes(self, data: bytes) -> None:
        """Bytes that the firmware wrote, in order, at `port.now()`."""

    def power_on(self) -> None:
        """The board (and with it the twin) got power."""

    def power_off(self) -> None:
        """Power is gone: state that is not in the twin's own flash is lost, at once."""

    def deep_sleep_of_host(self) -> None:
        """The board went into deep sleep; the twin keeps its power and its own time."""

    def pin(self, name: str, level: int) -> None:
        """An output of the board that is wired to the twin's `name` (`pwrkey`, `dtr`) changed."""
