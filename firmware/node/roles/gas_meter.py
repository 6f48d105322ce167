"""A gas meter: a register of litres that never goes back, frozen at its hours, days and months."""

import time

import esp32
import machine
from micropython import const

from node import clock, config
from node.errors import JournalError
from node.modules import forget
from node.store.register import Register
from node.wire import uplink

_Q_GAS_VOLUME = const(1)  # wire/quantity.py
_Q_GAS_VOLUME_DAY = const(6)
_Q_GAS_VOLUME_MONTH = const(7)
_Q_GAS_REVERSE = const(9)
_E_REVERSE_FLOW = const(11)
_E_MAGNET = const(12)
_HOUR = const(3600)
_LATE = const(300)  # a freeze taken later than this after its hour is an estimate, in s
_DYING_MS = const(60_000)  # between two looks at a supply that is failing
_BUSY_S = const(300)  # a flow beyond what is watched wakes the node within so long
_EPOCH_2000 = const(946684800)
_MINE = (
    "pins", "litres_per_pulse", "register_digits", "utc_offset_s", "scan_ms", "reeds_overlap",
    "reverse_l", "magnet_s", "over_flow_l_h", "burst_l_h", "freeze_days",
)  # fmt: skip


class GasMeter:
    """RTC `pulses` is the register in pulses, `slot` the local hour that was frozen last, `reed`
    what was seen of the contacts: see roles/gas_tamper.py."""

    mains = False

    def __init__(self, values: dict, state, journal, kept=None) -> None:
        # The safety monitoring's keys come back from NVS when it looks: see `_safely`.
        self._config = mine = {key: values[key] for key in _MINE if key in values}
        self._state = state
        self._journal = journal
        self._litres = mine["litres_per_pulse"]
        self.counting = hasattr(esp32, "ULP")  # also while the CPU sleeps
        if self.counting:
            from node.sense.reeds import Reeds as Counter
        else:
            from node.sense.pulse import PulseInput as Counter
        self._pulses = kept or Counter(mine, state)
        self._register = Register(self._litres, self._pulses)
        if self._register.resumed:
            state.set("depth", None)  # the wake that the failing power ended said nothing of it
        if "pfail" in mine["pins"]:
            self._supply = machine.Pin(mine["pins"]["pfail"], machine.Pin.IN)
            self._supply.irq(self._dying, machine.Pin.IRQ_RISING)
            if self._supply.value():
                self._register.fail()
                self._rest()
        cold = state.get("pulses") is None
        self.count()
        if cold:
            self._safely(lambda safety: safety.start())

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Freeze the register if an hour has begun; tell of a gap, a magnet and reverse flow."""
        pulse = reason in (machine.EXT0_WAKE, machine.ULP_WAKE)
        try:
            self._keep_up(now, quality, pulse)
        finally:  # a flash or a journal that takes nothing is no reason not to look
            self.count()
            button = reason == machine.EXT1_WAKE
            self._safely(lambda safety: safety.look(now, quality, pulse, button))

    def _keep_up(self, now: int, quality: int, pulse: bool) -> None:
        if clock.is_set():
            try:
                self._hourly(now, quality, pulse)
            except JournalError as e:  # it is no reason not to watch; the next look tries again
                self._state.set("error", e.code)
                self._state.set("cause", 0)
        if self.counting:
            self._tamper(now, quality)

    def _hourly(self, now: int, quality: int, pulse: bool) -> None:
        gap = self._register.gap
        if gap:
            self._tell("gap", now, quality)
        slot = (now + self._config["utc_offset_s"]) // _HOUR
        if pulse and self._state.get("fz") == slot:
            return  # tried in this hour: not with each pulse again, NVS wears
        self._state.set("fz", slot)
        last = self._last()
        if not last or last > slot + 1:
            # The first hour of a new meter began before the meter did; and what lies ahead was
            # frozen by a clock that was wrong.
            self._taken(slot)
        elif slot > last:
            self._freeze(now, slot, last, uplink.SUSPECT if gap else quality)
            if gap:
                self._register.told()
                self._tell("told", now, quality)

    def count(self) -> None:
        """Put the register as it is now into RTC memory, in pulses."""
        self._state.set("pulses", self._register.litres() // self._litres)

    def due(self, now: int) -> int:
        """The next full hour, or when the safety monitoring wants to look again."""
        local = now + self._config["utc_offset_s"]
        hour = now + _HOUR - local % _HOUR
        look = self._state.get("look", 0)  # it may have passed while the last one lasted
        return min(max(look, now + 1), hour) if look else hour

    def command(self, code: int, arguments: list, now: int) -> tuple:
        """(result, detail) of a command that is the meter's: its valve, READ_NOW."""
        self.count()
        return self._safely(lambda safety: safety.command(code, arguments, now))

    def caller(self) -> bool:
        """Whether it was a contact of the safety monitoring or the supply, not the button, that
        ended deep sleep.
        """
        if "pfail" in self._config["pins"] and self._supply.value():
            return True
        return self._safely(lambda safety: safety.calling())

    def _safely(self, what):
        # What watches over safety is in the heap only while it does.
        from node.roles.gas_safety import GasSafety

        found = what(GasSafety(config.whole(), self._state, self._journal))
        forget("node.roles.gas_safety node.roles.gas_valve node.roles.gas_motion node.events")
        forget("node.sense.valve node.sense.analog node.sense.tilt node.sense.angle")
        return found

    def called(self) -> bool:
        """Never: what comes while the node is awake is counted."""
        return False

    def leave(self):
        """The ULP counts on. A counter of the CPU's does too, by an interrupt that it keeps."""
        if "pfail" in self._config["pins"]:
            from node.sense import supply

            supply.watch(self._supply)
        return None if self.counting else self._pulses

    def arm(self) -> list:
        """Pins whose going high ends deep sleep. A flow that nobody expects ends it as well."""
        most = 0
        for key in ("over_flow_l_h", "burst_l_h"):
            limit = self._config.get(key, 0)
            if limit and not 0 < most < limit:
                most = limit
        pulses = most and max(most * _BUSY_S // _HOUR // self._litres, 1)
        pins = self._pulses.arm(min(pulses, 0xFFFF))
        if "pfail" in self._config["pins"]:
            pins.append(self._supply)
        return pins + self._safely(lambda safety: safety.callers())

    def _dying(self, _pin) -> None:
        # The supply fails while the node is awake.
        self._register.fail()  # while the capacitor lasts
        from node.sense import supply

        supply.spare()
        self._rest()

    def _rest(self) -> None:
        # Draw no more. The next pulse is written too, if one comes before the end.
        self._pulses.arm(1)
        machine.deepsleep(_DYING_MS)

    def _last(self) -> int:
        # The hour frozen last, 0: none. NVS is written first: its hour counts once its record is
        # there. RTC memory knows better, while there is power.
        slot = self._state.get("slot")
        if slot is None:
            register = self._register
            slot = register.slot
            if slot and self._journal().next_sequence == register.sequence:
                slot -= 1
            self._state.set("slot", slot)
        return slot

    def _taken(self, slot: int) -> None:
        self._register.freeze(slot, 0)
        self._state.set("slot", slot)

    def _freeze(self, now: int, slot: int, last: int, quality: int) -> None:
        journal = self._journal()
        # NVS before the journal: a register that has been reported never goes back.
        register = self._register
        register.freeze(slot, journal.next_sequence)
        shown = 1
        for _ in range(self._config["register_digits"]):
            shown *= 10
        litres = register.frozen() % shown
        hour = slot * _HOUR - self._config["utc_offset_s"]
        midnight = hour - slot % 24 * _HOUR
        values = [(_Q_GAS_VOLUME, litres)]
        day: list = []
        if self._config["freeze_days"] and slot // 24 > last // 24:
            day = values if midnight == hour else []
            day.append((_Q_GAS_VOLUME_DAY, litres))
            if _month(slot) != _month(last):
                day.append((_Q_GAS_VOLUME_MONTH, litres))
        back = register.backwards()
        if back:
            values.append((_Q_GAS_REVERSE, back % shown))
        self._record(hour, now, quality, values)
        if day and midnight != hour:  # no freeze at midnight: there was no power, or no clock
            self._record(midnight, now, quality, day)
        self._state.set("slot", slot)

    def _record(self, at: int, now: int, quality: int, values: list) -> None:
        if now - at > _LATE and quality == uplink.GOOD:
            quality = uplink.ESTIMATED
        self._journal().append(uplink.encode_body(at, quality, values))

    def _tamper(self, now: int, quality: int) -> None:
        # What watches the contacts is in the heap only when there is something to see.
        state = self._state
        jumps, back = self._pulses.read()[2], self._register.backwards()
        closed = self._pulses.place() & 3 == 3
        seen = state.get("reed")
        if seen is None:
            state.set("reed", [jumps, back, back, 0])
            return
        on = [code for code in state.get("events", ()) if code in (_E_REVERSE_FLOW, _E_MAGNET)]
        waits = _E_MAGNET in state.get("since", ())
        if on or closed or waits or seen[:2] != [jumps, back]:
            self._tell("look", now, quality, jumps, back, closed)

    def _tell(self, what: str, *arguments) -> None:
        from node.roles import gas_tamper

        told = gas_tamper.Tamper(self._config, self._state, self._journal, self._register.litres())
        try:
            getattr(told, what)(*arguments)
        except JournalError as e:
            self._state.set("error", e.code)
        forget("node.roles.gas_tamper node.events")


def _month(slot: int) -> int:
    return time.gmtime(slot * _HOUR - _EPOCH_2000)[1]
