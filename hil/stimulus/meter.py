"""The current that the node draws, by INA226 on I2C: a step for each change, in between one mean.

A shunt of 0.1 ohm sees what a modem sends with, in steps of 25 uA; one of 10 ohm in series, with a
Schottky diode across it, sees sleep in steps of 0.25 uA. `ranges` names both, the finest first.
"""

import time

import machine

_CONFIGURATION, _SHUNT = 0x00, 0x01
_MODE = 0x4525  # 16 averages of 1.1 ms, shunt only, continuously (TI, INA226, table 6)
_EVERY_MS = 20  # as often as it has a new value
_LSB_NV = 2500
_FULL = 32_000  # of 32767: beyond it the shunt is saturated
_KEPT = 400  # steps
_MOST = 100  # of one answer


class Meter:
    """`ranges`: (address, milliohm), the finest first."""

    def __init__(self, wire):
        self._i2c = machine.I2C(0, scl=machine.Pin(wire["scl"]), sda=machine.Pin(wire["sda"]))
        self._ranges = [tuple(each) for each in wire["ranges"]]
        for address, _ in self._ranges:
            self._i2c.writeto_mem(address, _CONFIGURATION, _MODE.to_bytes(2, "big"))
        self._steps = []  # [ms since the beginning, uA, samples]
        self.lost = 0
        self.missed = 0
        self._began = self._last = time.ticks_ms()
        self._ms = 0  # since the beginning, beyond what ticks can tell

    def due(self, now):
        """Milliseconds until the next look."""
        return max(0, time.ticks_diff(time.ticks_add(self._last, _EVERY_MS), now))

    def go(self, now):
        """Look, when it is time; where nobody answers on I2C, the step before goes on."""
        if self.due(now):
            return
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        try:
            self._take(self.look())
        except OSError:
            self.missed += 1

    def look(self):
        """uA now."""
        found = 0
        for address, milliohm in self._ranges:
            raw = int.from_bytes(self._i2c.readfrom_mem(address, _SHUNT, 2), "big")
            if raw & 0x8000:
                raw -= 0x10000
            found = raw * _LSB_NV // milliohm
            if abs(raw) < _FULL:
                break
        return found

    def _take(self, microamperes):
        if self._steps:
            step = self._steps[-1]
            mean = step[1] // step[2]
            if abs(microamperes - mean) * 32 <= abs(mean) + 64:
                step[1] += microamperes
                step[2] += 1
                return
        if len(self._steps) == _KEPT:
            del self._steps[0]
            self.lost += 1
        self._steps.append([self._ms, microamperes, 1])

    def read(self):
        """Steps [ms, uA] since the last call; the newest stays, since it goes on. `lost` of them
        were dropped, the oldest first; `missed` looks were in vain.
        """
        told = [[ms, total // count] for ms, total, count in self._steps[:_MOST]]
        more = len(self._steps) > _MOST
        self._steps = self._steps[_MOST if more else -1 :]
        lost, self.lost = self.lost, 0
        missed, self.missed = self.missed, 0
        return {
            "steps": told, "more": more, "now_ms": self._ms, "lost": lost, "missed": missed,
        }  # fmt: skip
