"""What a gas meter tells of its contacts: a magnet, gas that flows backwards, pulses that may be
missing. In the heap only when there is something to tell.
"""

from micropython import const

from node.events import Events

_Q_GAS_VOLUME = const(1)  # wire/quantity.py
_Q_GAS_REVERSE = const(9)
_E_REVERSE_FLOW = const(11)
_E_MAGNET = const(12)
_E_REGISTER_GAP = const(14)


class Tamper:
    """RTC `reed`: the magnet's count and the backward register at the last look, the backward
    register when reverse flow was last over, the register forwards when it was last seen, and
    that at the last look while both contacts were closed."""

    def __init__(self, config: dict, state, journal, litres: int) -> None:
        self._config = config
        self._state = state
        self._events = Events(state, journal)
        self._values = [(_Q_GAS_VOLUME, litres)]
        self._litres = litres

    def gap(self, now: int, quality: int) -> None:
        """Pulses may be missing: the power failed without a warning."""
        self._events.begin(_E_REGISTER_GAP, now, quality, self._values, False)

    def told(self, now: int, quality: int) -> None:
        """A freeze has said so too."""
        self._events.end(_E_REGISTER_GAP, now, quality)

    def look(self, now: int, quality: int, jumps: int, back: int, closed: bool) -> None:
        """Compare with the last look. `closed`: both contacts are."""
        seen = self._state.get("reed")
        turned = closed and seen[4:5] != [self._litres]  # the wheel came to rest anew
        self._magnet(now, quality, jumps != seen[0], closed, turned)
        calm, since = seen[2], seen[3]
        if back != seen[1]:
            since = self._litres
        values = [(_Q_GAS_REVERSE, back)]
        limit = self._config["reverse_l"]
        if self._events.on(_E_REVERSE_FLOW):
            if back == seen[1] and self._litres > since:
                self._events.end(_E_REVERSE_FLOW, now, quality, values)
                calm = back
        elif limit and back - calm >= limit:
            self._events.begin(_E_REVERSE_FLOW, now, quality, values)
        self._state.set("reed", [jumps, back, calm, since] + [self._litres] * closed)

    def _magnet(self, now: int, quality: int, jumped: bool, closed: bool, turned: bool) -> None:
        # Both contacts closed at once are a magnet, and over when they no longer are. Contacts
        # that overlap may both be closed where the wheel stands still: that counts by `magnet_s`.
        events = self._events
        if jumped:
            events.begin(_E_MAGNET, now, quality, self._values)
        hold = self._config["magnet_s"]
        if not closed or (turned and not events.on(_E_MAGNET)):
            events.watch(_E_MAGNET, False, not jumped, 0, now, quality)
        if closed and hold:
            events.watch(_E_MAGNET, True, False, hold, now, quality, self._values)
