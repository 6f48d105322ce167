"""The energy ledger: milliseconds of a node's life by phase, summed up until a record tells them.

Currents are not known here: the fleet and `kapok battery` multiply by what hw/ says of the board.
"""

import time

import machine
from micropython import const

from node import clock

# Phases, in the order of quantities 110 to 117 (wire/quantity.py); behind them wakes and contacts.
_BOOT = const(0)  # from the reset to the first look at the sensors
_SENSE = const(1)  # sensors, journal, and whatever else is none of the others
_ATTACH = const(2)
_SLEEP = const(5)  # also the idling of a mains node
_ULP = const(6)  # the part of sleep in which the co-processor counts
_WAKES = const(8)
_CONTACTS = const(9)
_LONGEST_S = const(691_200)  # eight days: a sleep that seems longer is a clock that was set


class Energy:
    """Of one life between two boots. `state` (RtcState) keeps the sums under "ph"."""

    def __init__(self, state) -> None:
        self._state = state
        self._at = time.ticks_ms()
        self._phase = _BOOT
        if state.get("ph") is None:
            state.set("ph", [0] * (_CONTACTS + 1))
        # The ticks of a chip begin with its boot; a soft reset lets them go on.
        if machine.reset_cause() != machine.SOFT_RESET:
            add(state, _BOOT, self._at)

    def enter(self, phase: int) -> int:
        """From now on it is `phase` (0 to 7); the one that it was."""
        now = time.ticks_ms()
        before = self._phase
        add(self._state, before, time.ticks_diff(now, self._at))
        self._at = now
        self._phase = phase
        return before

    def woken(self, counting: bool) -> None:
        """A wake begins; `counting`: the co-processor did so while the node slept."""
        idled = self.enter(_SENSE) == _SLEEP  # a mains node: its ticks went on
        add(self._state, _WAKES, 1)
        since = self._state.get("slp")
        if since is not None:
            self._state.set("slp", None)
            slept = clock.now() - since
            if 0 < slept < _LONGEST_S and not idled:
                add(self._state, _SLEEP, slept * 1000)
                if counting:
                    add(self._state, _ULP, slept * 1000)

    def contact(self) -> None:
        """Another contact begins."""
        self.enter(_ATTACH)
        add(self._state, _CONTACTS, 1)

    def rest(self) -> None:
        """The node goes to sleep, or idles, until `woken`."""
        self.enter(_SLEEP)
        self._state.set("slp", clock.now())


def add(state, phase: int, amount: int) -> None:
    """Count milliseconds to a phase that its own driver times (7: the valve's motor)."""
    spent = state.get("ph") or [0] * (_CONTACTS + 1)
    spent[phase] += max(amount, 0)
    state.set("ph", spent)
