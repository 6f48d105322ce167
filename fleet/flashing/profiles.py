"""Profiles of RS-485 sub-devices: `hw/profiles/*.toml`, checked, and compiled for the node.

What the node reads (firmware/node/sense/subdevice.py) is strict CBOR of integers:
[protocol, baud, parity, stop bits, ms to wait, tries, [read, ...]]; a read is [function, register,
count, values] in Modbus, [item, 0, 0, values] in DL/T 645 and [type, item, 0, values] in CJ/T 188;
values are seven numbers each: quantity, place, size, type, multiplier, divisor, summand.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fleet.flashing import hardware
from fleet.flashing.hardware import Name, Problem, _Strict, read
from fleet.paths import hw_dir
from fleet.wire import cbor, cjt188, modbus
from fleet.wire import quantity as quantities

PROTOCOLS = ("modbus", "dlt645", "cjt188")
PARITIES = ("none", "even", "odd")
BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
MOST_VALUES = 15  # a record has 16, one of which tells the sub-device
MOST_BYTES = 512  # compiled; it is read into the heap while the device is polled
MOST_READS = 16
_READ_REGISTERS = 64  # of one request: its answer fits any device's buffer
_GAP = 16  # registers that nobody wants are read along: cheaper than another request
_BY_CODE = {name: code for code, (name, _unit, _decimals) in quantities.QUANTITIES.items()}

# Modbus: type -> (number on the node, registers). Kept in step with subdevice.py.
_NUMBERS = {
    "u16": (0, 1), "i16": (1, 1), "u32": (0, 2), "i32": (1, 2), "u64": (0, 4), "i64": (1, 4),
    "bcd16": (2, 1), "bcd32": (2, 2), "f32": (3, 2), "bit": (4, 1),
}  # fmt: skip
# CJ/T 188: type -> number on the node. Amounts are 8 and more: 8 + what, with its exponent.
_PLAIN = {"bcd": 0, "valve": 1, "battery": 2}
_AMOUNTS = {
    "energy": (cjt188.ENERGY, 2), "volume": (cjt188.VOLUME, -3), "flow": (cjt188.FLOW, -3),
}  # fmt: skip

Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$")]


class Value(_Strict):
    """One quantity, and where the device has it. `scale` and `offset` are in the quantity's unit:
    what the device counts times `scale`, plus `offset`."""

    quantity: str
    scale: Decimal = "1"
    offset: Decimal = "0"
    type: str = ""
    function: Annotated[int, Field(ge=1, le=4)] | None = None
    register_: int | None = Field(default=None, alias="register", ge=0, le=0xFFFF)
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    item: str = ""
    at: Annotated[int, Field(ge=0, le=199)] = 0
    bytes: Annotated[int, Field(ge=1, le=8)] | None = None
    signed: bool = False


class Profile(_Strict):
    """A sub-device as its file has it. `kind` is what its asset is."""

    name: Name
    title: str
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
    protocol: Literal["modbus", "dlt645", "cjt188"]
    meter_type: Annotated[int, Field(ge=0, le=0xA9)] | None = None
    baud: int
    parity: Literal["none", "even", "odd"]
    stop_bits: Annotated[int, Field(ge=1, le=2)] = 1
    timeout_ms: Annotated[int, Field(ge=50, le=5000)]
    tries: Annotated[int, Field(ge=1, le=5)] = 3
    values: Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)]


def folder() -> Path:
    """Where the profiles are."""
    return hw_dir() / "profiles"


def names() -> list[str]:
    """Names of all profiles."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def check(path: Path) -> tuple[Profile | None, list[Problem]]:
    """The profile, None when it cannot even be read, and what is wrong with it."""
    found = read(path, Profile)
    if isinstance(found, list):
        return None, found
    problems = list(_problems(path, found))
    if not problems:
        raw = compiled(found)
        if len(raw) > MOST_BYTES:
            problems.append(Problem(path, "", f"{len(raw)} bytes compiled: {MOST_BYTES} at most"))
        if len(_reads(found)) > MOST_READS:
            problems.append(Problem(path, "values", f"needs over {MOST_READS} requests"))
    return found, problems


def load(name: str) -> Profile:
    """The profile of this name; HardwareError says what is wrong with it."""
    found, problems = check(hardware.profile_path(name))
    return hardware.whole(found, problems)


def library() -> dict[str, bytes]:
    """All profiles, compiled, by their path in a node's slot."""
    return {f"profiles/{name}": compiled(load(name)) for name in names()}


def compiled(profile: Profile) -> bytes:
    """The bytes that a node reads."""
    return cbor.encode(
        [
            PROTOCOLS.index(profile.protocol), profile.baud, PARITIES.index(profile.parity),
            profile.stop_bits, profile.timeout_ms, profile.tries, _reads(profile),
        ]
    )  # fmt: skip


def _problems(path: Path, profile: Profile) -> Iterator[Problem]:
    if profile.baud not in BAUDS:
        yield Problem(path, "baud", f"{profile.baud} is none of {', '.join(map(str, BAUDS))}")
    if (profile.protocol == "cjt188") != (profile.meter_type is not None):
        yield Problem(path, "meter_type", "CJ/T 188 needs it, and it alone")
    seen: set[str] = set()
    for number, value in enumerate(profile.values):
        key = f"values.{number}"
        code = _BY_CODE.get(value.quantity)
        if code is None or code >= quantities.SUB_DEVICE:
            yield Problem(path, f"{key}.quantity", f"{value.quantity!r} is no reading's quantity")
        elif value.quantity in seen:
            yield Problem(path, f"{key}.quantity", "a record has each quantity once")
        seen.add(value.quantity)
        if why := _fault(profile, value):
            yield Problem(path, key, why)
        if not Fraction(value.scale):
            yield Problem(path, f"{key}.scale", "nothing is left of a value times 0")


def _fault(profile: Profile, value: Value) -> str:
    if profile.protocol == "modbus":
        if value.function is None or value.register_ is None:
            return "Modbus needs function and register"
        if value.item or value.bytes or value.signed:
            return "item, bytes and signed are not Modbus's: it has register, type and order"
        if value.type not in _NUMBERS:
            return f"type {value.type!r}: one of {', '.join(_NUMBERS)}"
        if (value.type == "bit") != (value.function < modbus.READ_HOLDING):
            return "functions 1 and 2 read bits, 3 and 4 registers"
        if value.register_ + _NUMBERS[value.type][1] > 0x10000:
            return "reaches beyond register 65535"
        return ""
    if value.function is not None or value.register_ is not None:
        return f"function and register are Modbus's: {profile.protocol} has an item"
    digits = 8 if profile.protocol == "dlt645" else 4
    if len(value.item) != digits or value.item.strip("0123456789ABCDEF"):
        return f"item: {digits} hexadecimal digits, as the standard writes it"
    if profile.protocol == "dlt645":
        if value.bytes is None or value.type:
            return "DL/T 645 has BCD: it needs bytes, and no type"
        return ""
    if value.type not in _PLAIN and value.type not in _AMOUNTS:
        return f"type {value.type!r}: one of {', '.join((*_PLAIN, *_AMOUNTS))}"
    if (value.type == "bcd") != (value.bytes is not None) or value.signed:
        return "bytes goes with type bcd, and CJ/T 188 has no signs"
    return ""


def _reads(profile: Profile) -> list[list[object]]:
    if profile.protocol == "modbus":
        return _modbus_reads(profile)
    reads: dict[int, list[int]] = {}
    for value in profile.values:
        flat = reads.setdefault(int(value.item, 16), [])
        if profile.protocol == "dlt645":
            flat += _flat(value, value.at, value.bytes or 0, int(value.signed))
        elif value.type in _AMOUNTS:
            what, exponent = _AMOUNTS[value.type]
            flat += _flat(value, value.at, exponent, 8 + what)
        else:
            flat += _flat(value, value.at, value.bytes or 0, _PLAIN[value.type])
    if profile.protocol == "dlt645":
        return [[item, 0, 0, flat] for item, flat in reads.items()]
    return [[profile.meter_type, item, 0, flat] for item, flat in reads.items()]


def _modbus_reads(profile: Profile) -> list[list[object]]:
    reads: list[list[object]] = []
    function = start = end = -1
    flat: list[int] = []
    for value in sorted(profile.values, key=lambda v: (v.function, v.register_)):
        first = value.register_ or 0
        kind, count = _NUMBERS[value.type]
        near = first <= end + _GAP and first + count <= start + _READ_REGISTERS
        if value.function != function or not near:
            function, start, end = value.function or 0, first, first
            flat = []
            reads.append([function, start, 0, flat])
        end = max(end, first + count)
        reads[-1][2] = end - start
        kind |= modbus.ORDERS.index(value.order) << 4
        flat += _flat(value, first - start, count, kind)
    return reads


def _flat(value: Value, at: int, size: int, kind: int) -> list[int]:
    code = _BY_CODE[value.quantity]
    ten = 10 ** quantities.QUANTITIES[code][2]
    factor = Fraction(value.scale) * ten
    if value.type in _AMOUNTS:
        # It has a unit of its own: the node makes 10**exponent of the base unit of it.
        what, exponent = _AMOUNTS[value.type]
        factor *= Fraction(10) ** exponent
        if what == cjt188.ENERGY:
            factor /= 1000  # Wh, and the quantity is in kWh
    offset = round(Fraction(value.offset) * ten)
    return [code, at, size, kind, factor.numerator, factor.denominator, offset]
