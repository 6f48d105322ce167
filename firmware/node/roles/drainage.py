"""A drainage point: the water level, on a grid of time or whenever its sensor wakes the node."""

import time

import esp32
import machine
from micropython import const

from node.roles.grid import Grid
from node.sense.analog import AnalogInput
from node.wire import uplink

_Q_LEVEL = const(2)  # wire/quantity.py
_RELEASE_TRIES = const(50)  # of 10 ms: a data-ready line is let go within half a second


class Drainage:
    """Level in mm from an analogue input."""

    mains = False

    def __init__(self, config: dict, state, journal) -> None:
        pins = config["pins"]
        self._journal = journal
        self._grid = Grid(config["sample_s"], state, journal) if config["sample_s"] else None
        self._called = False
        self._wake_pin = None
        if "wake" in pins:
            self._wake_pin = machine.Pin(pins["wake"], machine.Pin.IN, machine.Pin.PULL_DOWN)
            self._wake_pin.irq(self._on_call, machine.Pin.IRQ_RISING)
        self._level = AnalogInput(
            pins["level"], config["low_uv"], config["high_uv"], config["full_scale"]
        )

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Record the level if the sensor called or the grid's slot is still open."""
        called = reason == machine.EXT0_WAKE
        if not called and not (self._grid and self._grid.open(now)):
            return
        values = [(_Q_LEVEL, self._level.read())]
        if called:
            self._await_release()
        self._journal().append(uplink.encode_body(now, quality, values))
        if self._grid:
            self._grid.taken(now)

    def due(self, now: int) -> "int | None":
        """The next slot, or None when only the sensor wakes the node."""
        return self._grid.next(now) if self._grid else None

    def arm(self) -> None:
        """The sensor's own comparator ends deep sleep."""
        if self._wake_pin is None:
            return
        if hasattr(esp32, "wake_on_ext0"):
            esp32.wake_on_ext0(self._wake_pin, esp32.WAKEUP_ANY_HIGH)
        else:
            from node.sense import gpiowake

            gpiowake.add(self._wake_pin)

    def called(self) -> bool:
        """Whether the sensor called while the node was awake, since the last question."""
        called, self._called = self._called, False
        if called:
            self._await_release()
        return called

    def _await_release(self) -> None:
        # Still high when the node falls asleep, the line would call for the same level again.
        pin = self._wake_pin
        for _ in range(_RELEASE_TRIES):
            if pin is None or not pin.value():
                return
            time.sleep_ms(10)

    def _on_call(self, _pin) -> None:
        self._called = True
