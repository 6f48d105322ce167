"""What a gas meter's valve may do: anybody in charge closes it, only a hand at the meter opens it.

What is wanted of it is in NVS before its motor moves, so that closing is finished after a power
cut. Leave to open lives in RTC memory, ends with its time, with power and with any closing, and is
spent before the motor moves.
"""

import time

import esp32
import machine
from micropython import const

from node import clock
from node.config import NAMESPACE
from node.errors import JournalError
from node.events import Events
from node.sense.valve import Valve
from node.wire import uplink

_Q_VALVE = const(11)  # wire/quantity.py
_Q_VALVE_REASON = const(43)
_E_BATTERY_LOW = const(9)
_E_VALVE_FAULT = const(13)
_E_VALVE_CLOSED = const(15)
_BY_COMMAND = const(255)  # why it is to be closed, where that is no event's code
_PRESS_MS = const(3000)
_LOOK_MS = const(20)
_ARM_LEAST_S = const(60)
_ARM_MOST_S = const(604_800)
_AGAIN_S = const(3600)  # between two tries of a valve that does not close
# Gas, tilt, earthquake and cover keep it closed while they are on. What was seen by the flow does
# not: behind a closed valve nothing flows, and once it is open it is seen again.
_STANDING = (6, 7, 8, 10)
_PASSING = const(3)  # pulses behind a closed valve that make it one that leaks


class GasValve:
    """NVS `vlv`: why it is to be closed (an event's code, or 255), 0 for open. RTC `arm`: [since,
    until, whether the button was seen released since]; `vtry`: when to try again; `vat`: pulses
    when it closed."""

    def __init__(self, config: dict, state, journal) -> None:
        self._state = state
        self._journal = journal
        self._events = Events(state, journal)
        self._valve = Valve(config)
        button = config["pins"].get("button")
        self._button = None
        if button is not None:
            self._button = machine.Pin(button, machine.Pin.IN, machine.Pin.PULL_DOWN)
        self._dangers = config["close_on"]

    def wanted(self) -> int:
        """Why it is to be closed; 0: it is to be open."""
        try:
            return esp32.NVS(NAMESPACE).get_i32("vlv")
        except OSError:
            return 0

    def where(self) -> int:
        """As Valve.where."""
        return self._valve.where()

    def close(self, why: int, now: int, quality: int) -> int:
        """Close it because of event `why`, or of a command (255); where it got (quantity 11)."""
        self._want_closed(why)
        return self._shut(why, now, quality)

    def settle(self, now: int, quality: int) -> None:
        """Finish what a power cut or a stuck motor left undone: closed stays closed, and a valve
        between its stops is closed, since nobody knows what it lets through.
        """
        why = self.wanted()
        at = self._valve.where()
        if at == 1 or (not why and at == 0):
            if at == 1:
                self._tell_closed(why, now, quality)
            self._tell_fault(at, now, quality)
            return
        if now < self._state.get("vtry", 0):
            return
        if not why:
            why = _E_VALVE_FAULT
            self._want_closed(why)
        self._shut(why, now, quality)

    def finish(self) -> None:
        """Close a valve that was to be closed when power failed, before anything else is known."""
        if self.wanted():
            self._state.set("arm", None)
            self._valve.move(1)

    def release(self) -> None:
        """Note that the button is up: leave that came while it was down is good from now on."""
        arm = self._state.get("arm")
        if arm and not arm[2] and self._button is not None and not self._button.value():
            self._state.set("arm", [arm[0], arm[1], 1])

    def pressed(self, quality: int) -> bool:
        """Open if the button is held for 3 s within the armed time; whether it was opened."""
        self.release()
        if not self._armed() or not self._held():
            return False
        now = clock.now()
        if not self._armed() or self.danger():
            return False
        # Leave is spent first: whatever happens from here on, it opens nothing again.
        self._state.set("arm", None)
        self._state.save()
        at = self._valve.move(0)
        if at != 0:
            self._shut(self.wanted() or _E_VALVE_FAULT, now, quality)
            self._tell_fault(at, now, quality)
            return False
        self._want(0)  # not before: a cut on the way finds it closed again
        self._state.set("saf", None)  # the flow is judged anew
        if not self._events.end(_E_VALVE_CLOSED, now, quality, [(_Q_VALVE, 0)], True):
            self._note(now, quality, 0)
        self._tell_fault(at, now, quality)
        return True

    def danger(self) -> int:
        """The event that keeps it closed; 0: none."""
        for code in _STANDING:
            if code in self._dangers and self._events.on(code):
                return code
        return 0

    def command(self, code: int, arguments: list, now: int, quality: int) -> tuple:
        """(result, detail) of VALVE_CLOSE and VALVE_ARM; detail: where it is, or why not."""
        from node.wire import command

        if code == command.VALVE_CLOSE:
            if arguments:
                return command.BAD_ARGUMENTS, 0
            at = self.close(_BY_COMMAND, now, quality)
            return command.DONE if at == 1 else command.FAILED, at
        if len(arguments) != 1 or not _ARM_LEAST_S <= arguments[0] <= _ARM_MOST_S:
            return command.BAD_ARGUMENTS, 0
        if self._button is None:
            return command.NOT_MINE, 0
        if not self.wanted() and self._valve.where() != 1:
            return command.NOT_ARMED, self._valve.where()  # it is open: no leave in advance
        danger = self.danger()
        if danger:
            return command.DANGER, danger
        if self._events.on(_E_BATTERY_LOW):
            return command.UNPOWERED, 0  # it might not close again
        self._state.set("arm", [now, now + arguments[0], 1 - self._button.value()])
        self._state.save()
        return command.DONE, self._valve.where()

    def _armed(self) -> bool:
        # A clock that went back behind the command ends it: nobody knows how long it would be.
        arm = self._state.get("arm")
        return bool(arm) and arm[2] == 1 and arm[0] <= clock.now() < arm[1]

    def _held(self) -> bool:
        for _ in range(_PRESS_MS // _LOOK_MS):
            if self._button is None or not self._button.value():
                return False
            time.sleep_ms(_LOOK_MS)
        return self._button is not None and bool(self._button.value())

    def _want(self, why: int) -> None:
        nvs = esp32.NVS(NAMESPACE)
        nvs.set_i32("vlv", why)
        nvs.commit()

    def _want_closed(self, why: int) -> None:
        # A flash that takes no write does not keep it open: all that is lost is that a power cut
        # on the way does not leave it known what for it was to be closed.
        try:
            if self.wanted() != why:
                self._want(why)
        except OSError:
            self._state.set("error", JournalError.code)

    def _shut(self, why: int, now: int, quality: int) -> int:
        # Leave ends with it, and RTC memory knows of the danger once NVS does.
        self._state.set("arm", None)
        self._state.save()
        before = self._valve.where()
        at = self._valve.move(1)
        self._state.set("vtry", 0 if at == 1 else now + _AGAIN_S)
        self._state.set("vat", None)
        if at == 1 and 0 < why < _BY_COMMAND:
            self._tell_closed(why, now, quality)
        elif at != before:
            self._note(now, quality, at)
        self._tell_fault(at, now, quality)
        return at

    def _tell_closed(self, why: int, now: int, quality: int) -> None:
        if 0 < why < _BY_COMMAND:
            values = [(_Q_VALVE, 1), (_Q_VALVE_REASON, why)]
            self._events.begin(_E_VALVE_CLOSED, now, quality, values)

    def _tell_fault(self, at: int, now: int, quality: int) -> None:
        # Stuck, or closed and yet gas goes through it.
        leaks = False
        if at == 1:
            pulses = self._state.get("pulses", 0)
            since = self._state.get("vat")
            if since is None or since > pulses:
                self._state.set("vat", pulses)
            else:
                leaks = pulses - since >= _PASSING
        if at > 1 or leaks:
            self._events.begin(_E_VALVE_FAULT, now, quality, [(_Q_VALVE, at)])
        else:
            self._events.end(_E_VALVE_FAULT, now, quality, [(_Q_VALVE, at)])

    def _note(self, now: int, quality: int, at: int) -> None:
        try:
            self._journal().append(uplink.encode_body(now, quality, [(_Q_VALVE, at)]), 1)
        except JournalError as e:
            self._state.set("error", e.code)
