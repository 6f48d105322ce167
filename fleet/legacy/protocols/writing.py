"""Frames as terminals write them, from values: for simulated terminals, and to forward readings.

HJ 212 needs none of this: `hj212.Packet` is made of names and values. All here go through the
codec's own `decode`, so what is made is what would be read.
"""

from datetime import datetime
from decimal import Decimal

from fleet.errors import Refusal
from fleet.legacy.protocols import cjt188, dlt645, dlt645_items, modbus, sl651, sl651_body
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import BEIJING
from fleet.wire import cjt188 as cjt188_wire
from fleet.wire import dlt645 as dlt645_wire
from fleet.wire import modbus as modbus_wire

CUBIC_METRES = 0x2C  # unit of CJ/T 188
# Data digits of elements in annex C of SL 651 as (bytes, decimals).
SIZES = {"PJ": (3, 1), "PT": (3, 1), "Z": (4, 3), "ZU": (4, 3), "ZB": (4, 3), "VT": (2, 2)}
SIZES |= {"Q": (5, 3), "VA": (3, 3), "VJ": (3, 3), "AI": (2, 1), "C": (2, 1), "H": (3, 2)}
_CLASSES = {name: code for code, name in words.CLASSES.items()}


class DoesNotFit(Refusal):
    """A value has more digits than its place in the frame, or no place at all."""


def metered(
    kind: int, address: str, serial: int, total: Decimal, settled: Decimal, when: datetime,
    status: int = 0, unit: int = CUBIC_METRES,
) -> cjt188.MeterFrame:  # fmt: skip
    """What a water or gas meter answers to a read of 901F: totals in `unit` with 2 decimals, the
    meter's clock, its status (valve in bits 1 and 0, battery low in bit 2).
    """
    clock = when.astimezone(BEIJING).strftime("%S%M%H%d%m")
    year = f"{when.astimezone(BEIJING):%Y}"
    data = bytes((cjt188_wire.METERED & 255, cjt188_wire.METERED >> 8, serial))
    data += _low_first(total, 4, 2) + bytes((unit,)) + _low_first(settled, 4, 2) + bytes((unit,))
    data += bytes.fromhex(clock + year[2:] + year[:2]) + status.to_bytes(2, "little")
    return cjt188.decode(cjt188_wire.encode(kind, address, cjt188_wire.READ | 0x80, data))


def measured(address: str, identifier: int, value: Decimal) -> dlt645.MeterFrame:
    """What an electricity meter answers to a read of one number."""
    item = dlt645_items.find(identifier)
    if item is None or item.block or item.how not in (dlt645_items.NUMBER, dlt645_items.SIGNED):
        raise DoesNotFit(f"{identifier:08X} is no single number of DL/T 645")
    flat = bytearray(_low_first(abs(value), item.size, item.decimals))
    if value < 0:
        if item.how != dlt645_items.SIGNED or flat[-1] & 0x80:
            raise DoesNotFit(f"{value}: {item.name} has no sign, or no room for it")
        flat[-1] |= 0x80
    data = identifier.to_bytes(4, "little") + bytes(flat)
    return dlt645.decode(dlt645_wire.encode(address, dlt645_wire.READ | 0x80, data))


def registers(address: int, function: int, numbers: list[int]) -> modbus.ModbusFrame:
    """What a device answers to a read of registers, 3 or 4."""
    if not 1 <= len(numbers) <= 125 or not all(0 <= one <= 0xFFFF for one in numbers):
        raise DoesNotFit("a reply has 1 to 125 registers of 0 to 65535")
    flat = b"".join(one.to_bytes(2, "big") for one in numbers)
    pdu = bytes((function, len(flat))) + flat
    return modbus.decode(modbus_wire.encode(address, pdu), "reply")


def report(
    function: int, centre: int, station: str, serial: int, sent: datetime, observed: datetime,
    station_class: str, values: dict[str, Decimal], password: int = 0,
) -> sl651.Message:  # fmt: skip
    """A hydrological station's report: `values` by ASCII identifier ("Z", "PJ", "VT")."""
    body = serial.to_bytes(2, "big") + sl651_body.time_bytes(sent, 6)
    body += b"\xf1\xf1" + bytes.fromhex(station) + bytes((_CLASSES[station_class],))
    body += b"\xf0\xf0" + sl651_body.time_bytes(observed, 5)
    for key, value in values.items():
        body += _element(key, value)
    made = sl651.Message(True, centre, station, password, function, body, words.ETX)
    return sl651.decode(sl651.encode(made))


def _element(key: str, value: Decimal) -> bytes:
    code = next((code for code, one in words.elements().items() if one.key == key), None)
    if code is None or key not in SIZES:
        raise DoesNotFit(f"no element {key} of SL 651 is written: {', '.join(SIZES)}")
    size, decimals = SIZES[key]
    flat = _low_first(abs(value), size, decimals)[::-1]
    if value < 0:
        flat = b"\xff" + flat
    return bytes((code, len(flat) << 3 | decimals)) + flat


def _low_first(value: Decimal, size: int, decimals: int) -> bytes:
    """BCD, low byte first; DoesNotFit where digits would be lost."""
    scaled = value.scaleb(decimals)
    if scaled != scaled.to_integral_value() or not 0 <= scaled < 100**size:
        raise DoesNotFit(f"{value} does not fit {2 * size} digits with {decimals} decimals")
    return bytes.fromhex(f"{int(scaled):0{2 * size}}")[::-1]
