"""Sub-devices of an RS-485 line as whoever plays them needs them: a profile of hw/profiles and
values by quantity become registers, items or totals. The bench and the stimulus board play those.
"""

import struct
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from fleet.errors import Refusal
from fleet.flashing import profiles
from fleet.flashing.hardware import HardwareError

TOTAL_PER_M3 = 100  # a CJ/T 188 meter counts in units of 10 litres (2CH)
# Registers of a number, and how it is packed; a bit or packed decimals are not played.
_WORDS = {
    "u16": ">H",
    "i16": ">h",
    "u32": ">I",
    "i32": ">i",
    "u64": ">Q",
    "i64": ">q",
    "f32": ">f",
}
_PARITIES = {"even": 0, "odd": 1, "none": 255}  # as machine.UART has them
_VALVE, _BATTERY = 0x0003, 0x0004  # of a CJ/T 188 meter's status word: closed is 01


class SubDeviceError(Refusal, ValueError):
    """No device can be made of this; the text is one line."""


def line(profile: str) -> dict[str, Any]:
    """`protocol`, `kind` (CJ/T 188's meter type), `baud`, and `parity` as machine.UART has it."""
    found = _load(profile)
    return {
        "protocol": found.protocol,
        "kind": found.meter_type or 0,
        "baud": found.baud,
        "parity": _PARITIES[found.parity],
    }


def raw(profile: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the device holds: in Modbus words by "function:register", in DL/T 645 [count, bytes]
    by item, in CJ/T 188 `total` (10 l) and `status`. Values are in each quantity's own unit.
    """
    found = _load(profile)
    known = {value.quantity: value for value in found.values}
    made: dict[str, Any] = {}
    for name, given in values.items():
        if name not in known:
            raise SubDeviceError(f"{profile} has no {name!r}: {', '.join(known)}")
        made |= _RAW[found.protocol](known[name], given, made)
    return made


def address(profile: str, given: Any) -> str:
    """As a frame needs it: 1..247 of Modbus, 12 digits of DL/T 645, 14 of CJ/T 188."""
    protocol = _load(profile).protocol
    text = str(given)
    digits = {"modbus": 3, "dlt645": 12, "cjt188": 14}[protocol]
    if not text.isascii() or not text.isdigit() or len(text) > digits:
        raise SubDeviceError(f"address {given!r} is none of {protocol}'s: {digits} digits at most")
    if protocol != "modbus":
        return text.zfill(digits)
    if not 1 <= int(text) <= 247:
        raise SubDeviceError(f"address {given!r} is none of Modbus's: 1 to 247")
    return str(int(text))


def _load(profile: str) -> profiles.Profile:
    try:
        return profiles.load(profile)
    except HardwareError as e:
        raise SubDeviceError(str(e)) from None


def _counted(value: profiles.Value, given: Any) -> Fraction:
    try:
        number = Fraction(Decimal(str(given)))
    except (InvalidOperation, ValueError, OverflowError):
        raise SubDeviceError(f"{value.quantity} cannot be {given!r}: a number") from None
    return (number - Fraction(value.offset)) / Fraction(value.scale)


def _modbus(value: profiles.Value, given: Any, _: Mapping[str, Any]) -> dict[str, Any]:
    form = _WORDS.get(value.type)
    if form is None or value.order != "ABCD":
        raise SubDeviceError(f"{value.quantity} is a {value.type} {value.order}: not played")
    counted = _counted(value, given)
    try:
        packed = struct.pack(form, float(counted) if form == ">f" else round(counted))
    except (struct.error, OverflowError):
        raise SubDeviceError(f"{value.quantity} cannot be {given!r}: no {value.type}") from None
    first = value.register_ or 0
    words = struct.unpack(f">{len(packed) // 2}H", packed)
    return {f"{value.function}:{first + n}": word for n, word in enumerate(words)}


def _dlt645(value: profiles.Value, given: Any, _: Mapping[str, Any]) -> dict[str, Any]:
    size = value.bytes or 4
    counted = round(_counted(value, given))
    # The top bit is the sign of a value that has one.
    most = 10 ** (2 * size) * 8 // 10 if value.signed else 10 ** (2 * size)
    if abs(counted) >= most or (counted < 0 and not value.signed):
        raise SubDeviceError(f"{value.quantity} cannot be {given!r}: {size} bytes hold it not")
    return {value.item.upper(): [counted, size]}


def _cjt188(value: profiles.Value, given: Any, made: Mapping[str, Any]) -> dict[str, Any]:
    status = made.get("status", 0)
    if value.type == "volume" and value.at == 0:
        total = round(_counted(value, given) * TOTAL_PER_M3)
        if not 0 <= total < 10**8:
            raise SubDeviceError(f"{value.quantity} cannot be {given!r}: 8 digits of 10 l")
        return {"total": total}
    if value.type == "valve" and given in (0, 1):
        return {"status": status & ~_VALVE | int(given)}
    if value.type == "battery" and given in (0, 1):
        return {"status": status & ~_BATTERY | (_BATTERY if given else 0)}
    raise SubDeviceError(f"{value.quantity} cannot be {given!r}, or is not played")


_RAW = {"modbus": _modbus, "dlt645": _dlt645, "cjt188": _cjt188}
