"""A reed contact: counted by PCNT while awake and by EXT0 wakes while asleep, once each."""

import esp32
import machine
from micropython import const

_FILTER = const(800)  # 80 MHz cycles, 10 us: a shorter glitch is no pulse; 1023 at most


class PulseInput:
    """Rising edges on `pin`. `state` keeps which level the sleeping node waits for."""

    def __init__(self, pin: int, state, woken: bool) -> None:
        self._pin = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)
        self._counter = esp32.PCNT(0, pin=self._pin, rising=esp32.PCNT.INCREMENT, filter=_FILTER)
        self._counter.start()
        self._state = state
        # The edge that woke the chip came before the counter ran. Asleep with the contact closed
        # the node waits for it to open, and that edge is no pulse. Woken by something else it may
        # find the contact closed by an edge that fell into the boot.
        waited_for_open = state.get("pulse_level", 1) == 0
        closed = self.closed()
        self._first = 1 if not waited_for_open and (woken or closed) else 0
        self._seen = 0

    def take(self) -> int:
        """Pulses since the last call."""
        total = self._first + self._counter.value()
        fresh = total - self._seen
        self._seen = total
        return fresh

    def closed(self) -> bool:
        """Whether the contact is closed now."""
        return self._pin.value() == 1

    def arm(self, closed: bool) -> None:
        """Let the next change end deep sleep: a contact left closed wakes nobody.

        `closed` is its state when it was counted last. If it has changed since, the node wakes at
        once, and counts that edge by the same rule.
        """
        self._state.set("pulse_level", 0 if closed else 1)
        esp32.wake_on_ext0(self._pin, esp32.WAKEUP_ALL_LOW if closed else esp32.WAKEUP_ANY_HIGH)
