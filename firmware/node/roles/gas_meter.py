"""A gas meter: pulses of a reed contact into a register that never goes back."""

import esp32
import machine
from micropython import const

from node import clock
from node.config import NAMESPACE
from node.modules import forget
from node.roles.grid import Grid
from node.sense.pulse import PulseInput
from node.wire import uplink

_Q_GAS_VOLUME = const(1)  # wire/quantity.py
_HOUR = const(3600)
_SETTLE = const(10)  # looks at the contact until it kept still while it was counted
_LATE = const(300)  # a freeze taken later than this after its hour is an estimate, in s


class GasMeter:
    """Register in pulses: in RTC memory at every pulse, in NVS at every freeze."""

    mains = False

    def __init__(self, config: dict, state, journal) -> None:
        self._config = config
        self._state = state
        self._journal = journal
        self._litres = config["litres_per_pulse"]
        self._grid = Grid(_HOUR, state, journal)
        self._pulses = PulseInput(
            config["pins"]["pulse"], state, machine.wake_reason() == machine.EXT0_WAKE
        )
        if state.get("pulses") is None:
            state.set("pulses", self._stored())
            self._safely(lambda safety: safety.start())

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Freeze the register if an hour has begun, then count the pulses that came since."""
        # The freeze first: the pulse that woke the node belongs to the hour that has begun.
        if clock.is_set():
            if self._grid.last() < 0:
                self._grid.taken(now)  # the first hour of a new meter began before the meter did
            elif self._grid.open(now):
                self._freeze(now, quality)
        self.count()
        pulse = reason in (machine.EXT0_WAKE, machine.ULP_WAKE)
        button = reason == machine.EXT1_WAKE
        self._safely(lambda safety: safety.look(now, quality, pulse, button))

    def count(self) -> None:
        """Add what the contact gave since the last call to the register in RTC memory."""
        fresh = self._pulses.take()
        if fresh:
            self._state.set("pulses", self._state.get("pulses") + fresh)
            self._state.save()

    def due(self, now: int) -> int:
        """The next full hour, or when the safety monitoring wants to look again."""
        look = self._state.get("look", 0)
        return min(look, self._grid.next(now)) if look > now else self._grid.next(now)

    def command(self, code: int, arguments: list, now: int) -> tuple:
        """(result, detail) of a command that is the meter's: its valve, READ_NOW."""
        self.count()
        return self._safely(lambda safety: safety.command(code, arguments, now))

    def caller(self) -> bool:
        """Whether it was a contact of the safety monitoring that ended deep sleep, not the
        button.
        """
        return self._safely(lambda safety: safety.calling())

    def _safely(self, what):
        # What watches over safety is in the heap only while it does.
        from node.roles.gas_safety import GasSafety

        found = what(GasSafety(self._config, self._state, self._journal))
        for name in (
            "roles.gas_safety",
            "roles.gas_valve",
            "sense.valve",
            "events",
            "sense.analog",
        ):
            forget("node." + name)
        return found

    def called(self) -> bool:
        """Never: what comes while the node is awake is counted."""
        return False

    def arm(self) -> list:
        """The next pulse ends deep sleep; and these pins, when they go high."""
        closed = False
        for _ in range(_SETTLE):
            closed = self._pulses.closed()
            self.count()
            if self._pulses.closed() == closed:
                break
        self._pulses.arm(closed)
        return self._safely(lambda safety: safety.callers())

    def _freeze(self, now: int, quality: int) -> None:
        hour = now - now % _HOUR
        if now - hour > _LATE:
            quality = uplink.ESTIMATED
        pulses = self._state.get("pulses")
        # NVS before the journal: a register that has been reported never goes back.
        nvs = esp32.NVS(NAMESPACE)
        nvs.set_i32("pulses", pulses)
        nvs.commit()
        values = [(_Q_GAS_VOLUME, pulses * self._litres)]
        self._journal().append(uplink.encode_body(hour, quality, values))
        self._grid.taken(now)

    def _stored(self) -> int:
        try:
            return esp32.NVS(NAMESPACE).get_i32("pulses")
        except OSError:
            return 0
