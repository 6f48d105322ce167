"""What stands in the data of a CJ/T 188 frame: data identifiers, totals with units, the status."""

from datetime import datetime
from typing import Any

from fleet.legacy.protocols.frame import (
    GOOD,
    SUSPECT,
    FrameError,
    Value,
    decimal_text,
    iso,
    moment,
)
from fleet.wire import cjt188 as wire

_NAME = "cjt188"
_UNITS = {
    0x01: "J", 0x02: "Wh", 0x05: "kWh", 0x08: "MWh", 0x0A: "MWh×100", 0x0B: "kJ", 0x0E: "MJ",
    0x11: "GJ", 0x13: "GJ×100", 0x14: "W", 0x17: "kW", 0x1A: "MW", 0x29: "L", 0x2C: "m³",
    0x32: "L/h", 0x35: "m³/h",
}  # fmt: skip
# Data identifiers, as the standard writes them: D0..DF is what a meter measured and keeps, 8xxx
# is read, Axxx is written.
ITEMS = {
    0x901F: "metered", 0x8102: "price table", 0x8103: "settlement day", 0x8104: "reading day",
    0x8105: "purchase", 0x8106: "key version", 0x810A: "address", 0xA010: "price table",
    0xA011: "settlement day", 0xA012: "reading day", 0xA013: "purchase", 0xA014: "key",
    0xA015: "clock", 0xA016: "base", 0xA017: "valve", 0xA018: "address", 0xA019: "factory mode",
}  # fmt: skip
_MONTHS = range(0xD120, 0xD12C)  # totals at the settlement of the last 12 months, newest first
_VOLUME, _HEAT = 22, 46  # bytes of 901F with DI and SER: water and gas; heat
_DECIMALS, _FLOW_DECIMALS = 2, 4  # of an amount: XXXXXX.XX; of a heat meter's flow: XXXX.XXXX
_VALVES = {0: "open", 1: "closed", 2: "not in the standard", 3: "fault"}
_ACTS = {wire.OPEN: "open", wire.CLOSE: "close"}

Content = tuple[dict[str, Any], tuple[Value, ...], tuple[str, ...]]


def read(kind: int, control: int, data: bytes, at: int) -> Content:
    """(fields, readings, notes) of `data`, which stands at byte `at` of the frame.

    FrameError where a length or a digit is wrong in what the standard lays out.
    """
    answers, function = bool(control & 0x80), control & 0x3F
    if control & 0xC0 == 0xC0:
        return _refusal(data, at)
    if function not in (1, 3, 4, 9, 0x15, 0x16):
        return {}, (), (f"control {control:02X}: not in the standard",)
    if len(data) < 3:
        raise FrameError(_NAME, at, f"{len(data)} bytes of data: DI and SER are 3")
    item = data[0] | data[1] << 8
    fields: dict[str, Any] = {
        "di": f"{item:04X}",
        "di_name": item_name(item),
        "serial": data[2],
    }
    if function == 1 and not answers and len(data) != 3:
        raise FrameError(_NAME, at + 3, f"{len(data) - 3} bytes behind DI and SER of a request")
    if item == wire.METERED and answers:
        return _metered(kind, data, at, fields)
    if item in _MONTHS and answers:
        _exactly(data, 8, at, "a month's total")
        back = item - _MONTHS.start + 1
        total = _amount(data[3:8], at + 3, f"settled_total_{back}", None)
        return fields, (total,), ()
    if item == wire.VALVE and function == 4:
        return _valve(answers, data, at, fields)
    if item == 0xA015 and not answers:
        _exactly(data, 10, at, "a clock")
        when, notes = _clock(data[3:10], at + 3)
        return {**fields, "time": iso(when)}, (), notes
    if item == 0xA016 and not answers:
        _exactly(data, 8, at, "a base")
        base = _amount(data[3:8], at + 3, "base", None)
        return {**fields, "base": base.value, "base_unit": base.unit}, (), ()
    if item == 0xA016 and len(data) == 5:
        return {**fields, "status": status(data[3:5])}, (), ()
    if item in (0x8103, 0x8104, 0xA011, 0xA012) and len(data) == 4:
        return {**fields, "day": _number(data[3:4], at + 3)}, (), ()
    return fields | ({"rest": data[3:].hex().upper()} if len(data) > 3 else {}), (), ()


def item_name(item: int) -> str:
    """What a data identifier stands for."""
    if item in _MONTHS:
        return f"total of the settlement {item - _MONTHS.start + 1} month(s) ago"
    return ITEMS.get(item, "not in the standard")


def status(data: bytes) -> dict[str, Any]:
    """The two bytes of the status: valve in D1 and D0, battery in D2; the rest is the maker's."""
    word = data[0] | data[1] << 8
    return {
        "word": f"{word:04X}",
        "valve": _VALVES[word & 3],
        "battery_low": bool(word & wire.BATTERY_LOW),
        "maker_bits": word >> 3,
    }


def _refusal(data: bytes, at: int) -> Content:
    if len(data) == 3:
        return {"serial": data[0], "status": status(data[1:])}, (), ()
    if len(data) == 5:  # fielded meters repeat the DI
        item = data[0] | data[1] << 8
        return (
            {
                "di": f"{item:04X}",
                "di_name": item_name(item),
                "serial": data[2],
                "status": status(data[3:]),
            },
            (),
            ("a refusal with its DI",),
        )
    raise FrameError(_NAME, at, f"{len(data)} bytes of data: a refusal has SER and a status, 3")


def _metered(kind: int, data: bytes, at: int, fields: dict[str, Any]) -> Content:
    heat = kind & 0xF0 == 0x20
    _exactly(data, _HEAT if heat else _VOLUME, at, "901F of this meter type")
    when, notes = _clock(data[-9:-2], at + len(data) - 9)
    told = status(data[-2:])
    readings = []
    if heat:
        keys = ("heat_settled", "heat", "power", "flow", "volume")
        for place, key in enumerate(keys):
            first = 3 + 5 * place
            decimals = _FLOW_DECIMALS if key == "flow" else _DECIMALS
            readings.append(_amount(data[first : first + 5], at + first, key, when, decimals))
        for place, key in ((28, "supply_temperature"), (31, "return_temperature")):
            number = _number(data[place : place + 3], at + place)
            readings.append(Value(key, decimal_text(number, 2), "°C", when, GOOD, key))
        hours = _number(data[34:37], at + 34)
        readings.append(Value("working_time", str(hours), "h", when, GOOD, "working time"))
    else:
        readings.append(_amount(data[3:8], at + 3, "total", when))
        readings.append(_amount(data[8:13], at + 8, "total_settled", when))
    quality = SUSPECT if told["valve"] == "not in the standard" else GOOD
    readings.append(Value("valve", told["valve"], "", when, quality, "valve"))
    battery = "low" if told["battery_low"] else "good"
    readings.append(Value("battery", battery, "", when, GOOD, "battery"))
    strange = tuple(f"{one.key}: {one.unit}" for one in readings if one.unit.startswith("code"))
    plain: dict[str, Any] = {}
    for one in readings:
        if one.unit:
            plain |= {one.key: one.value, f"{one.key}_unit": one.unit}
    return (
        {**fields, **plain, "time": iso(when), "status": told},
        tuple(readings),
        notes + strange,
    )


def _valve(answers: bool, data: bytes, at: int, fields: dict[str, Any]) -> Content:
    if answers:
        _exactly(data, 5, at, "a valve's answer")
        told = status(data[3:5])
        valve = Value("valve", told["valve"], "", None, GOOD, "valve")
        return {**fields, "status": told}, (valve,), ()
    _exactly(data, 4, at, "a valve's command")
    if data[3] not in _ACTS:
        raise FrameError(_NAME, at + 3, f"{data[3]:02X}: a valve opens (55) or closes (99)")
    return {**fields, "valve_command": _ACTS[data[3]]}, (), ()


def _amount(
    data: bytes, at: int, key: str, when: datetime | None, decimals: int = _DECIMALS
) -> Value:
    """Four bytes of BCD with so many decimals, and a unit's code."""
    number = _number(data[:4], at)
    name = key.replace("_", " ")
    unit = _UNITS.get(data[4], "")
    if not unit:
        told = f"code {data[4]:02X}, not in the standard"
        return Value(key, decimal_text(number, decimals), told, when, SUSPECT, name)
    if unit.endswith("×100"):
        unit, decimals = unit[:-4], decimals - 2
    return Value(key, decimal_text(number, decimals), unit, when, GOOD, name)


def _number(data: bytes, at: int) -> int:
    for place, byte in enumerate(data):
        if byte & 15 > 9 or byte >> 4 > 9:
            raise FrameError(_NAME, at + place, f"{byte:02X} is no BCD")
    return wire.bcd(data)


def _clock(data: bytes, at: int) -> tuple[datetime | None, tuple[str, ...]]:
    """ss mm hh DD MM YYYY; None where it is no time: a meter without a clock sends zeros."""
    second, minute, hour, day, month = (_number(data[i : i + 1], at + i) for i in range(5))
    year = _number(data[5:7], at + 5)
    try:
        return moment(year, month, day, hour, minute, second), ()
    except ValueError:
        return None, ("the meter's clock tells no time",)


def _exactly(data: bytes, size: int, at: int, what: str) -> None:
    if len(data) != size:
        told = f"{len(data)} bytes of data: {what} has {size} with DI and SER"
        raise FrameError(_NAME, at, told)
