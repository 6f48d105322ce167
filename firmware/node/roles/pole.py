"""What a lamppost looks at between two records: lamp, leakage, door, water, tilt, supply; and what
of it is an event. Loaded for each look.
"""

import machine
from micropython import const

from node.events import Events
from node.sense.luminaire import WELL

_Q_SUPPLY_VOLTAGE = const(5)  # wire/quantity.py
_Q_LAMP_DIM = const(4)
_Q_TILT = const(20)
_Q_ACTIVE_POWER = const(21)
_Q_LEAKAGE_CURRENT = const(26)
_Q_DOOR_OPEN = const(27)
_Q_WATER_INGRESS = const(28)
_E_LAMP_FAILED = const(40)
_E_LEAKAGE = const(41)
_E_POLE_TILT = const(42)
_E_DOOR = const(43)
_E_WATER = const(44)
_E_POWER_LOST = const(45)
_E_LAMP_BY_DAY = const(46)
_E_DEVICE_SILENT = const(60)
_STEADY = const(100)  # permille; dimmed below it a lamp's power says little
_DEGREE = const(10)  # hysteresis of the tilt, 0.1 degree
# What holds where the configuration does not say (schema/lamppost.py).
_USUAL = {
    "supply_least_mv": 0, "lamp_dw": 0, "fail_permille": 300, "idle_dw": 100, "fail_s": 120,
    "leakage_scale_ma": 300, "leakage_ma": 30, "leakage_trip": 0, "tilt_ddeg": 50, "tilt_s": 60,
    "upright": 0, "water_s": 10,
}  # fmt: skip


def _said(config: dict, key: str) -> int:
    return config.get(key, _USUAL[key])


def look(config: dict, measured: dict) -> dict:
    """Quantity to value, None for what does not answer. `measured` by the meter goes with it."""
    pins = config["pins"]
    seen = dict(measured)
    for name, quantity in (("door", _Q_DOOR_OPEN), ("water", _Q_WATER_INGRESS)):
        if name in pins:
            # Both contacts are closed, to ground, while all is well: a cut wire shows as well.
            seen[quantity] = machine.Pin(pins[name], machine.Pin.IN).value()
    if "leakage" in pins:
        seen[_Q_LEAKAGE_CURRENT] = _leakage(config)
    if _said(config, "tilt_ddeg") and "sda" in pins:
        seen[_Q_TILT] = _tilt(config, pins)
    return seen


def judge(config: dict, state, journal, lamp, seen: dict, now: int, quality: int) -> None:
    """Begin and end events by what was seen; JournalError never: they are tried again."""
    events = Events(state, journal)
    watch = events.watch

    def level(code: int, quantity: int, least: int, back: int, hold_s: int) -> bool:
        # An event of a value that is at `least` or above, and is over at `back` or below.
        value = seen.get(quantity)
        if not least:
            watch(code, False, True, 0, now, quality)  # the configuration switched it off
        if not least or value is None:
            return False
        values = [(quantity, value)]
        return watch(code, value >= least, value <= back, hold_s, now, quality, values)

    level(_E_DOOR, _Q_DOOR_OPEN, 1, 0, 0)
    level(_E_WATER, _Q_WATER_INGRESS, 1, 0, _said(config, "water_s"))
    most = _said(config, "tilt_ddeg")
    level(_E_POLE_TILT, _Q_TILT, most, max(most - _DEGREE, 0), _said(config, "tilt_s"))
    most = _said(config, "leakage_ma")
    if not level(_E_LEAKAGE, _Q_LEAKAGE_CURRENT, most, most * 4 // 5, 0):
        if not state.get("trip"):
            state.set("trip", None)  # who commanded it on did so while it leaked
    elif _said(config, "leakage_trip") and state.get("trip") is None:
        state.set("trip", 1)
    supply, least = seen[_Q_SUPPLY_VOLTAGE], _said(config, "supply_least_mv")
    dark = watch(  # a least supply of 0 ends it as well
        _E_POWER_LOST, supply < least, supply >= least + least // 20, 0, now, quality,
        [(_Q_SUPPLY_VOLTAGE, supply)],
    )  # fmt: skip
    if not dark:
        _lamp(config, watch, lamp, seen.get(_Q_ACTIVE_POWER), now, quality)


def meter(state, journal, misses: int, most: int, now: int, quality: int) -> None:
    """Begin or end the event of a meter that does not answer; none of the line's devices is it."""
    watch = Events(state, journal).watch
    watch(_E_DEVICE_SILENT, misses >= most, not misses, 0, now, quality)


def _lamp(config: dict, watch, lamp, power: "int | None", now: int, quality: int) -> None:
    dim, hold_s = lamp.dim, _said(config, "fail_s")
    values = [(_Q_LAMP_DIM, dim)]
    if power is not None:
        values.append((_Q_ACTIVE_POWER, power))
    most = _said(config, "idle_dw")
    if most and power is not None:
        by_day = not dim and power > most
        over = dim > 0 or power <= most * 3 // 4
        watch(_E_LAMP_BY_DAY, by_day, over, hold_s, now, quality, values)
    elif not most:
        watch(_E_LAMP_BY_DAY, False, True, 0, now, quality, values)
    if dim < _STEADY:
        return  # dark by order: nobody can tell, and what had failed still has
    told = lamp.look()
    least = _said(config, "lamp_dw") * dim // 1000 * _said(config, "fail_permille") // 1000
    weak = bool(least) and power is not None and power < least
    sound = not least or power is None or power >= least + least // 4
    watch(
        _E_LAMP_FAILED, told != WELL or weak, told == WELL and sound, hold_s, now, quality, values
    )


def _leakage(config: dict) -> int:
    from node.sense.analog import AnalogInput

    pin = config["pins"]["leakage"]
    return AnalogInput(pin, 0, config["high_uv"], _said(config, "leakage_scale_ma")).read()


def _tilt(config: dict, pins: dict) -> "int | None":
    from node.sense import angle, tilt

    try:
        felt = tilt.Tilt(pins["scl"], pins["sda"]).read()
        return angle.between(felt, tilt.upright(_said(config, "upright"), felt))
    except OSError:
        return None  # it does not answer
