"""What stands behind the address of a Modbus frame (Application Protocol V1.1b3, 6 and 7)."""

from dataclasses import dataclass, field
from typing import Any

from fleet.legacy.protocols.frame import FrameError

_NAME = "modbus"
REQUEST, REPLY = "request", "reply"
_EITHER = "request or its echo"
_FUNCTIONS = {
    1: "read coils", 2: "read discrete inputs", 3: "read holding registers",
    4: "read input registers", 5: "write single coil", 6: "write single register",
    7: "read exception status", 8: "diagnostics", 11: "get comm event counter",
    12: "get comm event log", 15: "write multiple coils", 16: "write multiple registers",
    17: "report server id", 20: "read file record", 21: "write file record",
    22: "mask write register", 23: "read/write multiple registers", 24: "read FIFO queue",
    43: "encapsulated interface",
}  # fmt: skip
_EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value",
    4: "server device failure", 5: "acknowledge", 6: "server device busy",
    7: "negative acknowledge", 8: "memory parity error", 10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a function says: who speaks, its fields, registers (number, value), bits."""

    direction: str
    fields: dict[str, Any] = field(default_factory=dict)
    registers: tuple[tuple[int, int], ...] = ()
    bits: tuple[bool, ...] = ()
    exception: int | None = None
    notes: tuple[str, ...] = ()


def function_name(function: int) -> str:
    """What a function code stands for."""
    if 65 <= function <= 72 or 100 <= function <= 110:
        return "user defined"
    return _FUNCTIONS.get(function, "not in the standard")


def read(address: int, pdu: bytes, variant: str | None) -> Told:
    """What function and data say; FrameError where a length or a number is not the function's."""
    function, size = pdu[0], len(pdu)
    if function & 0x7F == 0:
        raise FrameError(_NAME, 1, f"function {function}: 1 to 127")
    if function & 0x80:
        if size != 2:
            raise FrameError(_NAME, 2, f"{size + 3} bytes: an exception has 5")
        if address == 0 or variant == REQUEST:
            raise FrameError(_NAME, 1, "an exception is a reply, and not of a broadcast")
        name = _EXCEPTIONS.get(pdu[1], "not in the standard")
        return Told(REPLY, {"exception": pdu[1], "exception_name": name}, exception=pdu[1])
    told = _known(function, pdu, variant)
    if told is None:
        note = f"function {function}: its data is not looked into"
        return Told(variant or "unknown", {"raw": pdu[1:].hex().upper()}, notes=(note,))
    if address == 0 and (told.direction == REPLY or function <= 4):
        raise FrameError(_NAME, 0, "nobody answers a broadcast")
    if variant and told.direction not in (variant, _EITHER):
        raise FrameError(_NAME, 1, f"a {told.direction}, not a {variant}")
    return told


def _known(function: int, pdu: bytes, variant: str | None) -> Told | None:
    if function in (1, 2, 3, 4):
        return _reading(function, pdu, variant)
    if function in (5, 6):
        return _single(function, pdu)
    if function in (15, 16):
        return _multiple(function, pdu)
    if function == 22:
        _exactly(pdu, 7)
        masks = {"and_mask": _pair(pdu, 3), "or_mask": _pair(pdu, 5)}
        return Told(_EITHER, {"start": _pair(pdu, 1), **masks})
    if function == 23:
        return _both(pdu, variant)
    if function in (7, 11, 12, 17) and len(pdu) == 1:
        return Told(REQUEST)
    if function == 7:
        _exactly(pdu, 2)
        return Told(REPLY, {"status": pdu[1]})
    if function == 8:
        _exactly(pdu, 5)
        return Told(_EITHER, {"sub_function": _pair(pdu, 1), "data": _pair(pdu, 3)})
    if function == 11:
        _exactly(pdu, 5)
        return Told(REPLY, {"status": _pair(pdu, 1), "events": _pair(pdu, 3)})
    if function in (12, 17):
        _counted(pdu, 1)
        return Told(REPLY, {"raw": pdu[2:].hex().upper()})
    return None


def _reading(function: int, pdu: bytes, variant: str | None) -> Told:
    most = 2000 if function <= 2 else 125
    asks = len(pdu) == 5 and 1 <= _pair(pdu, 3) <= most
    asks = asks and _pair(pdu, 1) + _pair(pdu, 3) <= 0x10000
    whole = len(pdu) >= 3 and pdu[1] == len(pdu) - 2
    # Registers have two bytes each, so only a reply of three bytes of coils looks like a request.
    tells = whole and (function <= 2 or pdu[1] % 2 == 0)
    notes: tuple[str, ...] = ()
    if asks and tells and variant is None:
        notes = ("may as well be a reply of 3 bytes: --variant reply reads it so",)
    if asks and not (tells and variant == REPLY):
        fields = {"start": _pair(pdu, 1), "count": _pair(pdu, 3)}
        return Told(REQUEST, fields, notes=notes)
    if not tells:
        if len(pdu) == 5 and (function > 2 or not whole):
            told = f"reads {_pair(pdu, 3)} from {_pair(pdu, 1)}: 1 to {most} up to 65535"
            raise FrameError(_NAME, 2, told)
        _counted(pdu, 1)
        raise FrameError(_NAME, 2, f"{pdu[1]} bytes: registers have two each")
    data = pdu[2:]
    if function <= 2:
        bits = tuple(bool(byte >> place & 1) for byte in data for place in range(8))
        return Told(REPLY, {"bytes": len(data), "raw": data.hex().upper()}, bits=bits)
    registers = _registers(data, 0)
    reply: dict[str, Any] = {"bytes": len(data), "registers": [value for _, value in registers]}
    return Told(REPLY, reply | {"raw": data.hex().upper()}, registers)


def _single(function: int, pdu: bytes) -> Told:
    _exactly(pdu, 5)
    start, value = _pair(pdu, 1), _pair(pdu, 3)
    if function == 6:
        return Told(_EITHER, {"start": start, "value": value}, ((start, value),))
    if value not in (0, 0xFF00):
        raise FrameError(_NAME, 4, f"{value:04X}: a coil is set by FF00, cleared by 0000")
    return Told(_EITHER, {"start": start, "on": value == 0xFF00})


def _multiple(function: int, pdu: bytes) -> Told:
    most = 1968 if function == 15 else 123
    if len(pdu) < 5:
        raise FrameError(_NAME, len(pdu) + 1, f"{len(pdu) + 3} bytes: a write has 8 or more")
    start, count = _pair(pdu, 1), _pair(pdu, 3)
    if not 1 <= count <= most or start + count > 0x10000:
        raise FrameError(_NAME, 4, f"writes {count} from {start}: 1 to {most} up to 65535")
    fields: dict[str, Any] = {"start": start, "count": count}
    if len(pdu) == 5:
        return Told(REPLY, fields)
    _counted(pdu, 5)
    size = (count + 7) // 8 if function == 15 else 2 * count
    if pdu[5] != size:
        raise FrameError(_NAME, 6, f"{pdu[5]} bytes for {count}: {size} expected")
    if function == 16:
        registers = _registers(pdu[6:], start)
        return Told(REQUEST, fields | {"registers": [one for _, one in registers]}, registers)
    bits = tuple(bool(pdu[6 + place // 8] >> place % 8 & 1) for place in range(count))
    return Told(REQUEST, fields | {"coils": [int(bit) for bit in bits]}, bits=bits)


def _both(pdu: bytes, variant: str | None) -> Told:
    reply = len(pdu) >= 2 and pdu[1] == len(pdu) - 2 and pdu[1] % 2 == 0
    request = len(pdu) >= 12 and pdu[9] == len(pdu) - 10 and pdu[9] == 2 * _pair(pdu, 7)
    if request and not (reply and variant == REPLY):
        fields = {"start": _pair(pdu, 1), "count": _pair(pdu, 3)}
        fields |= {"write_start": _pair(pdu, 5), "write_count": _pair(pdu, 7)}
        return Told(REQUEST, fields, _registers(pdu[10:], _pair(pdu, 5)))
    if not reply:
        raise FrameError(_NAME, 2, "neither a request nor a reply of its length")
    registers = _registers(pdu[2:], 0)
    return Told(REPLY, {"registers": [value for _, value in registers]}, registers)


def _registers(data: bytes, start: int) -> tuple[tuple[int, int], ...]:
    return tuple((start + at // 2, _pair(data, at)) for at in range(0, len(data), 2))


def _pair(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _exactly(pdu: bytes, size: int) -> None:
    if len(pdu) != size:
        raise FrameError(_NAME, 2, f"{len(pdu) + 3} bytes: this function has {size + 3}")


def _counted(pdu: bytes, at: int) -> None:
    """The byte at `at` counts all that follows it."""
    if len(pdu) <= at or pdu[at] != len(pdu) - at - 1:
        told = f"{pdu[at]} bytes announced" if len(pdu) > at else "cut short"
        raise FrameError(_NAME, at + 1, f"{told}, {max(len(pdu) - at - 1, 0)} there")
