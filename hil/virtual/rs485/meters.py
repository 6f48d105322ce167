"""Devices of the three protocols. They make and check frames by themselves: what the firmware's
codecs get wrong is not got wrong here in the same way.
"""

import struct
from dataclasses import dataclass, field

from hil.virtual.rs485.device import Device, Faults, Values

NONE, EVEN = 255, 0


def _crc(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return struct.pack("<H", value)


def _summed(frame: bytes) -> bytes:
    return frame + bytes((sum(frame) & 0xFF, 0x16))


def _is_summed(frame: bytes) -> bool:
    return len(frame) > 2 and frame == _summed(frame[:-2])


def _bcd(value: int, size: int) -> bytes:
    """Low byte first; the top bit of a negative one is set."""
    flat = bytearray(bytes.fromhex(f"{abs(value):0{2 * size}d}")[::-1])
    if value < 0:
        flat[-1] |= 0x80
    return bytes(flat)


@dataclass
class ModbusDevice(Device):
    """Registers by (function, number); `binary32` names those that take two, as a float's bits.

    `values` gives each by its "function:register".
    """

    address: int = 1
    binary32: bool = False

    def answer(self, frame: bytes, now_us: int) -> bytes | None:
        if len(frame) != 8 or frame[0] != self.address or _crc(frame[:-2]) != frame[-2:]:
            return None
        _, function, start, count = struct.unpack(">BBHH", frame[:6])
        head = bytes((self.address, function))
        given = self.values(now_us)
        body = b""
        for number in range(start, start + count):
            if self.binary32:
                raw = struct.pack(">f", given.get(f"{function}:{number & ~1}", 0) / 1000)
                body += raw[2:] if number & 1 else raw[:2]
            else:
                body += struct.pack(">H", given.get(f"{function}:{number}", 0) & 0xFFFF)
        if function not in (3, 4):
            head, body = bytes((self.address, function | 0x80)), b"\x01"
        elif not any(f"{function}:{n}" in given for n in range(start, start + count)):
            head, body = bytes((self.address, function | 0x80)), b"\x02"
        else:
            head += bytes((len(body),))
        return head + body + _crc(head + body)


@dataclass
class Dlt645Meter(Device):
    """`values` gives each item, by eight hexadecimal digits, in its last decimal; `sizes` has its
    bytes.
    """

    address: str = "000000000001"
    sizes: dict[str, int] = field(default_factory=dict)

    def answer(self, frame: bytes, now_us: int) -> bytes | None:
        frame = frame.lstrip(b"\xfe")
        if len(frame) < 12 or not _is_summed(frame) or frame[0] != 0x68 or frame[7] != 0x68:
            return None
        if len(frame) != 12 + frame[9] or not self._is_me(frame[1:7]):
            return None
        data = bytes(byte - 0x33 & 0xFF for byte in frame[10:-2])
        own = bytes.fromhex(self.address)[::-1]
        control = frame[8] | 0x80
        if frame[8] == 0x13:
            data = own
        else:
            item = data[:4][::-1].hex().upper()
            given = self.values(now_us)
            if frame[8] != 0x11 or item not in given:
                control, data = frame[8] | 0xC0, b"\x02"
            else:
                data = data[:4] + _bcd(given[item], self.sizes.get(item, 4))
        flat = bytes(byte + 0x33 & 0xFF for byte in data)
        whole = bytes((0x68,)) + own + bytes((0x68, control, len(flat))) + flat
        return b"\xfe\xfe\xfe\xfe" + _summed(whole)

    def _is_me(self, wanted: bytes) -> bool:
        own = bytes.fromhex(self.address)[::-1]
        return all(want in (0xAA, have) for want, have in zip(wanted, own, strict=True))


@dataclass
class Cjt188Meter(Device):
    """A water or gas meter: `values` gives `total` in 10 litres, `status` and the clock as 0."""

    address: str = "00000000000001"
    kind: int = 0x10

    def answer(self, frame: bytes, now_us: int) -> bytes | None:
        frame = frame.lstrip(b"\xfe")
        if len(frame) < 13 or not _is_summed(frame) or frame[0] != 0x68:
            return None
        if len(frame) != 13 + frame[10] or frame[1] not in (self.kind, 0xAA):
            return None
        own = bytes.fromhex(self.address)[::-1]
        if frame[2:9] not in (own, b"\xaa" * 7):
            return None
        control, data = frame[9], frame[11:-2]
        given = self.values(now_us)
        status = struct.pack("<H", given.get("status", 0))
        if control == 0x03:
            data = b"\x0a\x81" + data[2:3]
        elif control == 0x01 and data[:2] == b"\x1f\x90":
            total = _bcd(given["total"], 4) + b"\x2c"
            data = data[:3] + total + bytes(4) + b"\x2c" + bytes(7) + status
        else:
            control, data = control | 0x40, data[2:3] + status
        whole = bytes((0x68, self.kind)) + own + bytes((control | 0x80, len(data))) + data
        return b"\xfe\xfe\xfe" + _summed(whole)


def power_meter(address: int, values: Values, faults: Faults) -> ModbusDevice:
    """An SDM630's map (hw/profiles/sdm630.toml): values in thousandths by "4:register"."""
    return ModbusDevice(9600, NONE, values, faults, address=address, binary32=True)


def electricity_meter(address: str, values: Values, faults: Faults) -> Dlt645Meter:
    """What hw/profiles/dlt645.toml asks for."""
    sizes = {"00010000": 4, "02010100": 2, "02020100": 3, "02030000": 3, "02060000": 2}
    return Dlt645Meter(2400, EVEN, values, faults, address=address, sizes=sizes)


def gas_meter(address: str, values: Values, faults: Faults) -> Cjt188Meter:
    """What hw/profiles/cjt188-gas.toml asks for."""
    return Cjt188Meter(2400, EVEN, values, faults, address=address, kind=0x30)


def water_meter(address: str, values: Values, faults: Faults) -> Cjt188Meter:
    """What hw/profiles/cjt188-water.toml asks for."""
    return Cjt188Meter(2400, EVEN, values, faults, address=address, kind=0x10)
