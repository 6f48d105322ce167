"""A drainage point: it samples on a grid of time, the finer the wilder the water, and on call."""

import time

import esp32
import machine
from micropython import const

from node import clock
from node.errors import JournalError
from node.modules import forget
from node.wire import uplink

# Inputs that call by going high, by what is fitted there.
_LINES = {"wake": "wake", "tilt": "shock", "cover": "cover", "water": "water"}
_RELEASE_TRIES = const(50)  # of 10 ms: a data-ready line is let go within half a second
_READ_NOW, _DONE, _NOT_MINE = const(3), const(0), const(7)  # wire/command.py
_LEAST_S = const(60)  # of a period that the configuration does not name


class Drainage:
    """What a wake needs of it; what a sample needs is in manhole.py."""

    mains = False

    def __init__(self, config: dict, state, journal, kept=None) -> None:
        pins = config["pins"]
        self._config = config
        self._state = state
        self._journal = journal
        if kept is not None:
            self._calls, self._rain, self._tip = kept
            self._lines = self._calls.lines
            return
        from node.sense.calls import Calls

        self._calls = Calls()
        self._lines = self._calls.lines
        fitted = ["wake"] + config.get("fitted", [])
        for name in fitted:
            line = _LINES.get(name)
            if line in pins:
                self._calls.add(name, pins[line])
        self._rain = None
        self._tip = False  # a tip of the rain gauge is why this boot was
        if "rain" in fitted:
            from node.sense.rain import Rain

            self._tip = machine.wake_reason() == machine.EXT0_WAKE
            self._rain = Rain(pins["rain"], state, self._tip)

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Sample if a sensor called, if the slot is still open, or if it begins to rain."""
        called = self.called() or (reason == machine.EXT0_WAKE and not self._tip)
        self._tip = False
        if 0 < self._state.get("look", 0) <= now:  # a float or the cover held for its time
            self._state.set("look", 0)
            called = True
        if self._rain is not None and self._wetter(self._rain, now):
            called = True
        if called or self._open(now):
            self._sample(now, quality)
        if called:
            self._await_release()

    def due(self, now: int) -> "int | None":
        """The next slot, None when only a sensor wakes the node; reports come sooner in rain."""
        if self.called():  # while all else was done
            if now <= self._state.get("slot", 0):
                time.sleep_ms(1000)  # a second has one sample
                now = clock.now()
            self._sample(now, self._quality())
            if self._state.get("urgent") and not self._state.get("retry"):
                return now + 1
        mode = self._state.get("mode", (0,))[0]
        if mode:
            get = self._config.get
            often = get("rising_report_s", 3600) if mode == 1 else get("storm_report_s", 900)
            soonest = min(self._state.get("next_report", 0), now + often)
            self._state.set("next_report", soonest)
        period = self._period()
        slot = (now // period + 1) * period if period else None
        look = self._state.get("look", 0)
        if not look:
            return slot
        look = max(look, now + 1)
        return look if slot is None else min(look, slot)

    def called(self) -> bool:
        """Whether a sensor called while the node was awake, since the last question."""
        called, self._calls.called = self._calls.called, False
        if called:
            self._await_release()
        return called

    def caller(self) -> bool:
        """Whether it was a sensor that ended deep sleep by EXT1, not the button."""
        armed = self._state.get("armed", ())
        called = any(self._lines[name].value() for name in armed if name in self._lines)
        self._calls.called = called
        return called

    def leave(self) -> tuple:
        """Its lines go on calling, and the rain is counted."""
        return self._calls, self._rain, self._tip

    def arm(self) -> "list[machine.Pin]":
        """The lines that end deep sleep beside the button; one that is high already does not."""
        self._await_release()
        low = [name for name in self._lines if not self._lines[name].value()]
        if self._rain is not None:
            self._rain.arm(clock.now())
        elif "wake" in low and hasattr(esp32, "wake_on_ext0"):
            low.remove("wake")
            esp32.wake_on_ext0(self._lines["wake"], esp32.WAKEUP_ANY_HIGH)
        self._state.set("armed", low)
        return [self._lines[name] for name in low]

    def command(self, code: int, _arguments: "list[int]", now: int) -> "tuple[int, int]":
        """READ_NOW samples; no other command is a drainage point's."""
        if code != _READ_NOW:
            return _NOT_MINE, 0
        self._sample(now, self._quality())
        return _DONE, 0

    def _quality(self) -> int:
        return uplink.GOOD if self._state.get("clock_sure") else uplink.ESTIMATED

    def _sample(self, now: int, quality: int) -> None:
        from node.roles.manhole import Manhole

        try:
            Manhole(self._config, self._state, self._journal, self._rain).sample(now, quality)
        finally:
            forget("node.roles.manhole")
            forget("node.events")
            forget("node.sense")

    def _wetter(self, rain, now: int) -> bool:
        # It begins to rain, or to rain hard: what comes of that is not to wait for a slot.
        dry = rain.dry_for(now) >= 3600
        if not rain.take(now):
            return False
        heavy = self._config.get("rain_mm_h", 20) * 1000
        hard = rain.rate(now) * self._config.get("tip_um", 200) >= heavy > 0
        return dry or (hard and self._state.get("mode", (0,))[0] < 2)

    def _period(self) -> int:
        # Of the grid, in s, by what the water does; 0: none.
        config, mode = self._config, self._state.get("mode", (0, 0, 0))
        quiet = config["sample_s"]
        least = min(quiet, _LEAST_S)
        rising = config.get("rising_s", max(quiet // 4, least)) or quiet
        storm = config.get("storm_s", max(quiet // 15, least)) or rising
        if mode[2]:  # a level is in doubt: look again soon
            return storm
        return (quiet, rising, storm)[mode[0]]

    def _open(self, now: int) -> bool:
        # Whether the slot of `now` has no sample yet. Without a clock nobody can tell: yes.
        period = self._period()
        if not period:
            return False
        last = self._state.get("slot")
        if last is None:  # power was lost; the journal knows
            try:
                body = self._journal().last_body
            except JournalError as e:
                self._state.set("error", e.code)
                return True
            last = uplink.body_time(body) if body else -1
            self._state.set("slot", last)
        slot = now // period
        # One that lies further ahead than the next was taken by a clock that was wrong.
        return not clock.is_set() or not slot <= last // period <= slot + 1

    def _await_release(self) -> None:
        # Still high when the node falls asleep, the line would call for the same level again.
        pin = self._lines.get("wake")
        for _ in range(_RELEASE_TRIES):
            if pin is None or not pin.value():
                return
            time.sleep_ms(10)
