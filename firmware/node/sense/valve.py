"""A motor valve: an H bridge, two end stops, and the motor's current, which tells a stall."""

import time

import machine
from micropython import const

_BETWEEN = const(2)  # wire/quantity.py: valve
_STALLED = const(3)
_STEP_MS = const(10)
_INRUSH_MS = const(300)  # a motor that starts draws as much as one that is stuck
_STUCK = const(10)  # steps over the limit until it counts as stuck
_FULL_UV = const(3_000_000)  # of the current's amplifier, at `valve_full_ma`


class Valve:
    """Knows where it is by its end stops alone: what it was told before a power cut is no matter.

    Pins: `valve_open` and `valve_close` drive, `valve_opened` and `valve_closed` are high at the
    stops, `valve_ma` (optional) is the motor's current.
    """

    def __init__(self, config: dict) -> None:
        pins = config["pins"]
        pin = machine.Pin
        self._drives = [pin(pins[n], pin.OUT, value=0) for n in ("valve_open", "valve_close")]
        self._stops = [
            pin(pins[n], pin.IN, pin.PULL_DOWN) for n in ("valve_opened", "valve_closed")
        ]
        self._current = None
        if "valve_ma" in pins and config["valve_stall_ma"]:
            self._current = machine.ADC(pin(pins["valve_ma"]), atten=machine.ADC.ATTN_11DB)
            self._stall_uv = config["valve_stall_ma"] * _FULL_UV // config["valve_full_ma"]
        self._longest = config["valve_drive_s"] * 1000

    def where(self) -> int:
        """0 open, 1 closed, 2 between the stops, 3 where both stops say that it is there."""
        opened, closed = [stop.value() for stop in self._stops]
        if opened:
            return _STALLED if closed else 0
        return 1 if closed else _BETWEEN

    def move(self, closed: int) -> int:
        """Drive to the open stop (0) or the closed one (1); where it got, 3 when it is stuck.

        The motor is off whenever this returns. A stop that is reached already moves nothing.
        """
        stop, drive = self._stops[closed], self._drives[closed]
        if stop.value():
            return closed
        self._drives[1 - closed].value(0)
        begun = time.ticks_ms()
        over = 0
        drive.value(1)
        try:
            while True:
                time.sleep_ms(_STEP_MS)
                if stop.value():
                    return closed
                passed = time.ticks_diff(time.ticks_ms(), begun)
                if passed > self._longest:
                    return _BETWEEN
                if self._current is None or passed < _INRUSH_MS:
                    continue
                over = over + 1 if self._current.read_uv() >= self._stall_uv else 0
                if over >= _STUCK:
                    return _STALLED
        finally:
            drive.value(0)
