"""Waiting for the air: timers that virtual time may jump along while real sockets are open."""

from collections.abc import Callable

from hil.virtual.twin import Timer, UartPort

STEP_US = 900_000  # a board jumps to a twin's events up to a second ahead (UartPort.real)
STEPS_MOST = 600


class Delay:
    """Calls `fn` at `due_us`, in steps as long as it is at most nine minutes ahead.

    A packet that is on the air keeps nobody real waiting, so time may jump until it has arrived.
    """

    def __init__(self, port: UartPort, due_us: int, fn: Callable[[], None]) -> None:
        self._port = port
        self._due_us = due_us
        self._fn: Callable[[], None] | None = fn
        self._timer: Timer | None = None
        self._step()

    def cancel(self) -> None:
        """Never call it."""
        self._fn = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        now = self._port.now()
        if now + STEPS_MOST * STEP_US < self._due_us:
            self._timer = self._port.call_at(self._due_us, self._fire)
        elif now + STEP_US < self._due_us:
            self._timer = self._port.call_at(now + STEP_US, self._step)
        else:
            self._timer = self._port.call_at(self._due_us, self._fire)

    def _fire(self) -> None:
        fn, self._fn, self._timer = self._fn, None, None
        if fn is not None:
            fn()


class Alarm:
    """One timer that can be set anew, and is on or off. A far one does not let time jump."""

    def __init__(self, port: UartPort) -> None:
        self._port = port
        self._timer: Timer | None = None

    @property
    def on(self) -> bool:
        """Whether it is still to ring."""
        return self._timer is not None

    def set(self, due_us: int, fn: Callable[[], None]) -> None:
        """Call `fn` at `due_us`, and not what was set before."""
        self.cancel()

        def ring() -> None:
            self._timer = None
            fn()

        self._timer = self._port.call_at(due_us, ring)

    def set_in(self, seconds: float, fn: Callable[[], None]) -> None:
        """As `set`, from now on."""
        self.set(self._port.now() + int(seconds * 1_000_000), fn)

    def cancel(self) -> None:
        """Call nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Delays:
    """The delays of one modem, so that a restart ends them all."""

    def __init__(self, port: UartPort) -> None:
        self._port = port
        self._pending: set[Delay] = set()

    def at(self, due_us: int, fn: Callable[[], None]) -> Delay:
        """As Delay."""

        def fire() -> None:
            self._pending.discard(delay)
            fn()

        delay = Delay(self._port, due_us, fire)
        self._pending.add(delay)
        return delay

    def cancel(self, delay: Delay) -> None:
        """Never call it."""
        delay.cancel()
        self._pending.discard(delay)

    def clear(self) -> None:
        """None of them is called any more."""
        for delay in self._pending:
            delay.cancel()
        self._pending.clear()
