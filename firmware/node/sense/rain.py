"""A tipping bucket: its contact closes for a moment at each tip. It ends deep sleep by EXT0. The
board makes half a second of each tip, so that one which falls into a boot is still seen after it.

What it keeps in RTC memory under "rain": how many tips, when the last one was, two earlier counts
that the rate is measured from, as (time, tips), and whether the contact was left closed.
"""

import time

import esp32
import machine
from micropython import const

_BOUNCE_MS = const(100)  # a bucket needs longer to fill again
_RELEASE_TRIES = const(70)  # of 10 ms
_WINDOW_S = const(600)
_TIPS, _LAST, _OLD, _MID, _CLOSED = const(0), const(1), const(2), const(4), const(6)


class Rain:
    """The contact on `pin`. `woken`: it ended the sleep."""

    def __init__(self, pin: int, state, woken: bool) -> None:
        self._state = state
        self._pin = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)
        self._memory = state.get("rain") or [0] * 7
        # Woken by something else it may find the contact closed by a tip that fell into the boot.
        self._fresh = 1 if woken or (self._pin.value() and not self._memory[_CLOSED]) else 0
        self._tipped = time.ticks_add(time.ticks_ms(), 0 if self._fresh else -_BOUNCE_MS)
        self._pin.irq(self._on_tip, machine.Pin.IRQ_RISING)

    def take(self, now: int) -> int:
        """Count what came since the last call; so many tips."""
        fresh, self._fresh = self._fresh, 0
        memory = self._memory
        if fresh:
            if now - memory[_LAST] >= _WINDOW_S:  # nothing fell for a while: count from there
                memory[_OLD : _MID + 2] = [now - _WINDOW_S, memory[_TIPS]] * 2
            memory[_TIPS] += fresh
            memory[_LAST] = now
        if now - memory[_MID] >= _WINDOW_S:
            memory[_OLD : _MID + 2] = memory[_MID : _MID + 2] + [now, memory[_TIPS]]
        self._state.set("rain", memory)
        return fresh

    def tips(self) -> int:
        """All that were counted since power came on."""
        return self._memory[_TIPS]

    def rate(self, now: int) -> int:
        """Tips an hour, over the last ten to twenty minutes."""
        memory = self._memory
        if now - memory[_LAST] >= _WINDOW_S:
            return 0
        return (memory[_TIPS] - memory[_OLD + 1]) * 3600 // max(now - memory[_OLD], _WINDOW_S)

    def dry_for(self, now: int) -> int:
        """Seconds since the last tip."""
        return now - self._memory[_LAST]

    def arm(self, now: int) -> None:
        """The next tip ends deep sleep; a contact that stays closed does not."""
        for _ in range(_RELEASE_TRIES):
            if not self._pin.value():
                break
            time.sleep_ms(10)
        self._memory[_CLOSED] = closed = self._pin.value()
        self.take(now)
        if not closed:
            esp32.wake_on_ext0(self._pin, esp32.WAKEUP_ANY_HIGH)

    def _on_tip(self, _pin) -> None:
        now = time.ticks_ms()
        if time.ticks_diff(now, self._tipped) >= _BOUNCE_MS:
            self._fresh += 1
            self._tipped = now
