"""Modbus RTU: frames of requests, replies and exceptions, with their registers.

The frame itself and its numbers are `fleet.wire.modbus`, the source that runs on nodes. A frame
does not say whether it asks or answers; its length does, save for a few that need a variant.
"""

from dataclasses import dataclass, field
from typing import Any

from fleet.legacy.protocols import crc
from fleet.legacy.protocols.frame import Frame, FrameError, Value
from fleet.legacy.protocols.modbus_pdu import REPLY, REQUEST, function_name, read
from fleet.legacy.protocols.streams import Splitter as _Splitter
from fleet.wire import modbus as wire

NAME = "modbus"
VARIANTS = (REQUEST, REPLY)  # who is known to speak


@dataclass(frozen=True, slots=True)
class ModbusFrame(Frame):
    """One frame. `function` without the bit of an exception; `registers` by number where the frame
    tells it, else by place from 0.
    """

    address: int
    pdu: bytes
    direction: str
    function: int
    exception: int | None
    content: dict[str, Any]
    registers: tuple[tuple[int, int], ...] = ()
    bits: tuple[bool, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def sender(self) -> str:
        """The device's address on its line."""
        return str(self.address)

    def as_json(self) -> dict[str, Any]:
        """All fields by name."""
        check = wire.crc(bytes((self.address,)) + self.pdu)
        return {
            "protocol": NAME,
            "direction": self.direction,
            "address": self.address,
            "broadcast": self.address == wire.BROADCAST,
            "function": self.function,
            "function_name": function_name(self.function),
            "error": self.exception is not None,
            **self.content,
            "pdu": self.pdu.hex().upper(),
            "crc": f"{check & 0xFF:02X}{check >> 8:02X}",
            "values": [value.as_json() for value in values(self)],
            "notes": list(self.notes),
        }


def decode(frame: bytes, variant: str | None = None) -> ModbusFrame:
    """One whole frame; FrameError for all else. Total.

    `variant` "request" or "reply" where it is known who speaks: then the other is refused.
    """
    if not 4 <= len(frame) <= wire.MAX_BYTES:
        raise FrameError(NAME, len(frame), f"{len(frame)} bytes: a frame has 4 to 256")
    judge(frame)
    address, pdu = wire.decode(frame)
    told = read(address, pdu, variant)
    return ModbusFrame(
        address, pdu, told.direction, pdu[0] & 0x7F, told.exception, told.fields,
        told.registers, told.bits, told.notes,
    )  # fmt: skip


def encode(frame: ModbusFrame) -> bytes:
    """The bytes of it."""
    return wire.encode(frame.address, frame.pdu)


def answer(frame: ModbusFrame) -> bytes | None:
    """None: it is the device that answers."""
    del frame
    return None


def values(frame: ModbusFrame) -> list[Value]:
    """Registers and bits as they are: what they mean is the device's profile's to say."""
    told = [Value(f"register_{number}", str(value)) for number, value in frame.registers]
    told += [Value(f"bit_{place}", str(int(bit))) for place, bit in enumerate(frame.bits)]
    return told


def judge(frame: bytes) -> None:
    """Nothing, when the CRC agrees; FrameError else."""
    check = crc.modbus(frame[:-2])  # by table: a flood has many to judge
    if check != frame[-2] | frame[-1] << 8:
        computed = f"{check & 0xFF:02X}{check >> 8:02X}"
        told = f"CRC {frame[-2:].hex().upper()}, computed {computed}"
        raise FrameError(NAME, len(frame) - 2, told)
    if frame[0] > 247:
        raise FrameError(NAME, 0, f"address {frame[0]}: 0 to 247")


def reply_length(head: bytes) -> int:
    """How many bytes the reply that begins so has, 0 while that cannot be told yet."""
    try:
        return wire.reply_length(head)
    except wire.ModbusError as e:
        raise FrameError(NAME, 1, str(e)) from None


def splitter() -> _Splitter:
    """Cuts what devices say into replies: no byte marks a start, so each must have its CRC."""
    return _Splitter(b"", wire.MAX_BYTES, reply_length, judge)
