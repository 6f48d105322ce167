"""What stands in the data of a DL/T 645-2007 frame, by its control code (7 of the standard)."""

from datetime import datetime
from typing import Any

from fleet.legacy.protocols import dlt645_items as items
from fleet.legacy.protocols.frame import FrameError, Value, decimal_text, iso, moment
from fleet.wire import dlt645 as wire

_NAME = "dlt645"
_FUNCTIONS = {
    0x00: "reserved", 0x03: "security authentication", 0x08: "broadcast of the time",
    0x11: "read data", 0x12: "read what follows", 0x13: "read address", 0x14: "write data",
    0x15: "write address", 0x16: "freeze", 0x17: "change speed", 0x18: "change password",
    0x19: "clear maximum demand", 0x1A: "clear meter", 0x1B: "clear events",
    0x1C: "relay, alarm, keep supplied", 0x1D: "output at the terminal",
}  # fmt: skip
_ERRORS = (
    "other error", "no such data", "wrong password or not allowed", "speed cannot be changed",
    "too many time zones", "too many day slots", "too many tariffs", "reserved",
)  # fmt: skip
_RELAY = {
    0x1A: "trip", 0x1B: "allow closing", 0x1C: "close", 0x2A: "alarm", 0x2B: "end of the alarm",
    0x3A: "keep supplied", 0x3B: "end of keep supplied",
}  # fmt: skip
_SPEEDS = {0x02: 600, 0x04: 1200, 0x08: 2400, 0x10: 4800, 0x20: 9600, 0x40: 19200}
# Lengths of data that a request may have, and an answer without error.
_ASKED = {
    0x08: (6,), 0x11: (4, 5, 10), 0x12: (5,), 0x13: (0,), 0x15: (6,), 0x16: (4,), 0x17: (1,),
    0x18: (12,), 0x19: (8,), 0x1A: (8,), 0x1B: (12,), 0x1C: (16,), 0x1D: (1,),
}  # fmt: skip
_TOLD = {
    0x13: (6,), 0x14: (0,), 0x15: (0,), 0x16: (0,), 0x17: (1,), 0x18: (4,), 0x19: (0,),
    0x1A: (0,), 0x1B: (0,), 0x1C: (0,), 0x1D: (1,),
}  # fmt: skip

Content = tuple[dict[str, Any], tuple[Value, ...], tuple[str, ...]]


def function_name(control: int) -> str:
    """What D4 to D0 of the control code stand for."""
    return _FUNCTIONS.get(control & 0x1F, "not in the standard")


def read(control: int, data: bytes, at: int) -> Content:
    """(fields, readings, notes) of `data`, without its 33, which stands at byte `at` of the frame.

    FrameError where a length or a digit is wrong in what the standard lays out.
    """
    function, answers = control & 0x1F, bool(control & 0x80)
    if function not in _FUNCTIONS or function == 0:
        return {}, (), (f"control {control:02X}: not in the standard",)
    if not answers and control & 0x60:
        raise FrameError(
            _NAME, at - 2, f"control {control:02X}: a request is no error and no part"
        )
    if control & 0x40:
        return _refusal(function, data, at)
    lengths = (_TOLD if answers else _ASKED).get(function)
    if lengths is not None and len(data) not in lengths:
        told = " or ".join(str(one) for one in lengths)
        raise FrameError(_NAME, at - 1, f"{len(data)} bytes of data, {told} expected")
    if function in (0x11, 0x12):
        return _read_data(function, answers, data, at)
    return _act(function, answers, data, at)


def _refusal(function: int, data: bytes, at: int) -> Content:
    size = 2 if function == 0x03 else 1
    if len(data) != size:
        raise FrameError(_NAME, at - 1, f"{len(data)} bytes of data: an error has {size}")
    if size == 2:
        return {"error_word": data[::-1].hex().upper()}, (), ()
    words = [name for bit, name in enumerate(_ERRORS) if data[0] >> bit & 1]
    return {"error_word": f"{data[0]:02X}", "errors": words}, (), ()


def _read_data(function: int, answers: bool, data: bytes, at: int) -> Content:
    if len(data) < (5 if function == 0x12 else 4):
        raise FrameError(_NAME, at - 1, f"{len(data)} bytes of data: DI alone has 4")
    identifier = int.from_bytes(data[:4], "little")
    item = items.find(identifier)
    fields: dict[str, Any] = {
        "di": f"{identifier:08X}",
        "di_name": item.name if item else "not in the table",
    }
    body = data[4:]
    if function == 0x12:
        fields["part"] = body[-1]
        body = body[:-1]
    if not answers:
        if len(body) >= 1:
            fields["blocks"] = body[0]
        if len(body) == 6:
            fields["time"] = iso(_stamp(body[1:], at + 5))
        return fields, (), ()
    fields["raw"] = body.hex().upper()
    if item is None:
        return fields, (), ()
    if function == 0x12 or len(body) % item.size:
        if function == 0x11 and not item.block:
            told = f"{len(body)} bytes of {item.name}: {item.size} expected"
            raise FrameError(_NAME, at - 1, told)
        return fields, (), ("a part of a block: join the parts before it is read",)
    if not body or (len(body) != item.size and not item.block):
        raise FrameError(_NAME, at - 1, f"{len(body)} bytes of {item.name}: {item.size} expected")
    readings: list[Value] = []
    notes: list[str] = []
    for number, first in enumerate(range(0, len(body), item.size)):
        piece = body[first : first + item.size]
        key = item.key_of(number)
        if set(piece) == {0xFF}:
            notes.append(f"{key}: the meter does not measure it")
            continue
        readings += _values(item, key, piece, at + 4 + first)
    if len(readings) == 1:
        fields |= {"value": readings[0].value, "unit": readings[0].unit}
    return fields, tuple(readings), tuple(notes)


def _values(item: items.Item, key: str, piece: bytes, at: int) -> list[Value]:
    if item.how == items.TEXT:
        text = bytes(byte for byte in reversed(piece) if byte).decode("ascii", "replace").strip()
        return [Value(key, text, "", name=item.name)]
    if item.how == items.BITS:
        return [Value(key, piece[::-1].hex().upper(), "", name=item.name)]
    if item.how == items.DEMAND:
        number = _number(piece[:3], at, signed=False)
        when = _stamp(piece[3:], at + 3) if any(piece[3:]) else None
        return [Value(key, decimal_text(number, item.decimals), item.unit, when, name=item.name)]
    if item.how == items.STAMP:
        return [Value(key, _stamp(piece, at).isoformat(), "", name=item.name)]
    if item.how == items.DATE:
        day, month, year = (_number(piece[i : i + 1], at + i, signed=False) for i in (1, 2, 3))
        date = _time(at, 2000 + year, month, day).date().isoformat()
        return [Value(key, date, "", name=item.name)]
    if item.how == items.CLOCK:
        second, minute, hour = (_number(piece[i : i + 1], at + i, signed=False) for i in range(3))
        return [Value(key, f"{hour:02}:{minute:02}:{second:02}", "", name=item.name)]
    number = _number(piece, at, signed=item.how == items.SIGNED)
    return [Value(key, decimal_text(number, item.decimals), item.unit, name=item.name)]


def _act(function: int, answers: bool, data: bytes, at: int) -> Content:
    if answers:
        return _confirmation(function, data), (), ()
    fields: dict[str, Any] = {}
    if function == 0x08:
        parts = [_number(data[i : i + 1], at + i, signed=False) for i in range(6)]
        second, minute, hour, day, month, year = parts
        fields["time"] = iso(_time(at, 2000 + year, month, day, hour, minute, second))
    elif function == 0x14:
        if len(data) < 12:
            raise FrameError(_NAME, at - 1, f"{len(data)} bytes of data: a write has 12 and more")
        identifier = int.from_bytes(data[:4], "little")
        item = items.find(identifier)
        fields = {"di": f"{identifier:08X}", "di_name": item.name if item else "not in the table"}
        fields |= _who(data[4:12]) | {"raw": data[12:].hex().upper()}
    elif function == 0x15:
        fields["new_address"] = data[::-1].hex().upper()
    elif function == 0x16:
        digits = data[::-1].hex().upper()  # 99 stands for every
        fields["freeze_at"] = f"{digits[:2]}-{digits[2:4]} {digits[4:6]}:{digits[6:]}"
    elif function == 0x17:
        fields["speed"] = _SPEEDS.get(data[0], 0)
    elif function == 0x18:
        identifier = int.from_bytes(data[:4], "little")
        fields = {"di": f"{identifier:08X}", "level": f"{data[4]:02X}"}
        fields |= {"new_level": f"{data[8]:02X}"}
    elif function in (0x19, 0x1A, 0x1B):
        fields = _who(data[:8])
        if function == 0x1B:
            fields["events"] = f"{int.from_bytes(data[8:12], 'little'):08X}"
    elif function == 0x1C:
        fields = _who(data[:8]) | {"command": _RELAY.get(data[8], f"{data[8]:02X}")}
        parts = [_number(data[i : i + 1], at + i, signed=False) for i in range(10, 16)]
        second, minute, hour, day, month, year = parts
        fields["until"] = iso(_time(at + 10, 2000 + year, month, day, hour, minute, second))
    elif function == 0x1D:
        fields["output"] = _output(data[0])
    return fields, (), ()


def _confirmation(function: int, data: bytes) -> dict[str, Any]:
    if function == 0x13:
        return {"meter_address": data[::-1].hex().upper()}
    if function == 0x17:
        return {"speed": _SPEEDS.get(data[0], 0)}
    if function == 0x18:
        return {"new_level": f"{data[0]:02X}"}
    if function == 0x1D:
        return {"output": _output(data[0])}
    return {"rest": data.hex().upper()} if data else {}


def _who(data: bytes) -> dict[str, Any]:
    """Level of the password, and the code of who asks; the password itself stays in `data`."""
    return {"level": f"{data[0]:02X}", "operator": data[4:8][::-1].hex().upper()}


def _output(code: int) -> str:
    names = {0: "second pulse of the clock", 1: "demand period", 2: "change of day slots"}
    return names.get(code, f"{code:02X}")


def _number(data: bytes, at: int, *, signed: bool) -> int:
    for place, byte in enumerate(data):
        top = signed and place == len(data) - 1
        if byte & 15 > 9 or (byte & 0x7F if top else byte) >> 4 > 9:
            raise FrameError(_NAME, at + place, f"{byte:02X} is no BCD")
    return wire.bcd(data, signed)


def _stamp(data: bytes, at: int) -> datetime:
    """mm hh DD MM YY."""
    minute, hour, day, month, year = (
        _number(data[i : i + 1], at + i, signed=False) for i in range(5)
    )
    return _time(at, 2000 + year, month, day, hour, minute)


def _time(
    at: int, year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> datetime:
    try:
        return moment(year, month, day, hour, minute, second)
    except ValueError:
        told = f"{year}-{month}-{day} {hour}:{minute}:{second} is no time"
        raise FrameError(_NAME, at, told) from None
