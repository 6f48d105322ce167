"""The outside world of one board: its stimulus is applied to its pins as virtual time passes."""

from collections.abc import Callable, Mapping

from hil.virtual.clock import VirtualClock
from hil.virtual.pins import Pins
from hil.virtual.stimulus import Adc, Change, Do, Pulse, Stimulus

_QUARTER_US = 60_000  # the quickest that a wheel turns by a quarter


class World:
    """`state` tells what the board does; `fail` is told of a schedule that breaks off. `wheels`:
    of a meter's contacts the second one, by the first."""

    def __init__(
        self,
        clock: VirtualClock,
        pins: Pins,
        stimulus: Stimulus,
        state: Callable[[], str],
        fail: Callable[[Exception], None],
        wheels: Mapping[int, int],
    ) -> None:
        self._clock = clock
        self._pins = pins
        self._stimulus = stimulus
        self._state = state
        self._fail = fail
        self._wheels = dict(wheels)
        self._next()

    def pulse(self, pin: int, level: int, width_us: int) -> None:
        """Drive an input to `level` now and back after `width_us`."""
        self._pulse(self._clock.now_us, pin, level, width_us)

    def _pulse(self, at: int, pin: int, level: int, width_us: int) -> None:
        self._pins.drive(pin, level)
        self._clock.board.add(at + width_us, lambda: self._pins.drive(pin, 1 - level))

    def turn(self, pin: int, width_us: int) -> None:
        """As a `Pulse` of the stimulus, now."""
        self._turn(self._clock.now_us, pin, width_us)

    def has_wheel(self, pin: int) -> bool:
        """Whether a pulse there is a turn of a wheel with two contacts."""
        return pin in self._wheels

    def _turn(self, at: int, pin: int, width_us: int) -> None:
        """A pulse of a meter whose wheel closes two contacts, one after the other, is a turn."""
        second = self._wheels.get(pin)
        if second is None:
            self._pulse(at, pin, 1, width_us)
            return
        step = max(width_us // 3, _QUARTER_US)
        self._pulse(at, pin, 1, 2 * step)
        self._clock.board.add(at + step, lambda: self._pulse(at + step, second, 1, 2 * step))

    def _next(self) -> None:
        try:
            item = self._stimulus.next()
        except Exception as e:
            self._fail(e)
            return
        if item is not None:
            at, change = item
            self._clock.board.add(at, lambda: self._apply(at, change))

    def _apply(self, at: int, change: Change) -> None:
        self._stimulus.last_us = at
        self._stimulus.applied[type(change).__name__, self._state()] += 1
        if isinstance(change, Adc):
            self._pins.microvolts[change.pin] = change.microvolts
            if change.wake_pin is not None:
                self._pulse(at, change.wake_pin, 1, change.wake_us)
        elif isinstance(change, Pulse):
            self._turn(at, change.pin, change.width_us)
        elif isinstance(change, Do):
            change.act()
        else:
            self._pins.drive(change.pin, change.value)
        self._next()
