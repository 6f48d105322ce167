"""CJ/T 188-2004 and 2018: frames of water, gas and heat meters, with all that they say.

The frame itself and its numbers are `fleet.wire.cjt188`, the source that runs on nodes.
"""

from dataclasses import dataclass
from typing import Any

from fleet.legacy.protocols import cjt188_data
from fleet.legacy.protocols.frame import Frame, FrameError, Value
from fleet.legacy.protocols.streams import Splitter as _Splitter
from fleet.wire import cjt188 as wire

NAME = "cjt188"
VARIANTS: tuple[str, ...] = ()
MAX_READ, MAX_WRITE = 0x64, 0x32  # bytes of data, 5.2 of the standard

_KINDS = {
    0x10: "cold water", 0x11: "hot water", 0x12: "drinking water", 0x13: "reclaimed water",
    0x20: "heat", 0x21: "cooling", 0x30: "gas", 0x40: "electricity", 0xAA: "any",
}  # fmt: skip
_STRANGE = "not in the standard"
_RANGES = ((0x10, "water"), (0x20, "heat"), (0x30, "gas"), (0x40, "other"))
FUNCTIONS = {
    0x01: "read data", 0x03: "read address", 0x04: "write data", 0x09: "read key version",
    0x15: "write address", 0x16: "write base",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeterFrame(Frame):
    """One frame. `address` has 14 digits, the maker's four first; `data` is what L counts."""

    kind: int
    address: str
    control: int
    data: bytes
    content: dict[str, Any]
    readings: tuple[Value, ...]
    notes: tuple[str, ...] = ()

    @property
    def sender(self) -> str:
        """The meter's address."""
        return self.address

    @property
    def answers(self) -> bool:
        """Whether a meter speaks."""
        return bool(self.control & 0x80)

    def as_json(self) -> dict[str, Any]:
        """All fields by name."""
        frame = encode(self)
        return {
            "protocol": NAME,
            "direction": "answer" if self.answers else "request",
            "meter_type": f"{self.kind:02X}",
            "meter_type_name": kind_name(self.kind),
            "address": self.address,
            "meter_number": self.address[4:],
            "maker": self.address[:4],
            "control": f"{self.control:02X}",
            "function": FUNCTIONS.get(self.control & 0x3F, "not in the standard"),
            "error": bool(self.control & 0x40),
            "length": len(self.data),
            "data": self.data.hex().upper(),
            **self.content,
            "checksum": f"{frame[-2]:02X}",
            "values": [value.as_json() for value in self.readings],
            "notes": list(self.notes),
        }


def decode(frame: bytes, variant: str | None = None) -> MeterFrame:
    """One whole frame, bytes of FE before it allowed; FrameError for all else. Total."""
    del variant  # none is known
    start = len(frame) - len(frame.lstrip(b"\xfe"))
    if start > wire.MAX_FE:
        raise FrameError(NAME, wire.MAX_FE, f"more than {wire.MAX_FE} bytes of FE")
    body = frame[start:]
    if not body:
        raise FrameError(NAME, start, "no frame")
    size = length(body)
    if size == 0 or size > len(body):
        raise FrameError(NAME, len(frame), f"cut short: {size or wire.OVERHEAD} bytes expected")
    if size < len(body):
        raise FrameError(NAME, start + size, f"{len(body) - size} bytes behind the frame")
    judge(body)
    kind, address, control, data = wire.decode(body)
    notes = []
    if not all(pair.isdigit() or pair == "AA" for pair in _pairs(address)):
        notes.append("address: not only decimal digits")
    if kind_name(kind) == _STRANGE:
        notes.append(f"meter type {kind:02X}: {_STRANGE}")
    if not control & 0x80 and control == wire.WRITE and len(data) > MAX_WRITE:
        raise FrameError(NAME, start + 10, f"{len(data)} bytes to write: {MAX_WRITE} at most")
    content, readings, more = cjt188_data.read(kind, control, data, start + 11)
    return MeterFrame(kind, address, control, data, content, readings, (*notes, *more))


def encode(frame: MeterFrame) -> bytes:
    """The bytes of it, without FE before them."""
    return wire.encode(frame.kind, frame.address, frame.control, frame.data)


def answer(frame: MeterFrame) -> bytes | None:
    """None: it is the meter that answers."""
    del frame
    return None


def values(frame: MeterFrame) -> list[Value]:
    """The readings in it: none in a request or a refusal."""
    return list(frame.readings)


def length(head: bytes) -> int:
    """How many bytes the frame that begins so has, 0 while that cannot be told yet."""
    try:
        return wire.length(head)
    except wire.Cjt188Error as e:
        raise FrameError(NAME, 10 if head[:1] == b"\x68" else 0, str(e)) from None


def judge(frame: bytes) -> None:
    """Nothing, when the checks of a frame of the right length agree; FrameError else."""
    check = sum(frame[:-2]) & 0xFF
    if check != frame[-2]:
        told = f"checksum {frame[-2]:02X}, computed {check:02X}"
        raise FrameError(NAME, len(frame) - 2, told)
    if frame[-1] != 0x16:
        raise FrameError(NAME, len(frame) - 1, f"ends with {frame[-1]:02X}, not 16")


def splitter() -> _Splitter:
    """Cuts what a line of meters says into frames."""
    return _Splitter(b"\x68", wire.OVERHEAD + wire.MAX_DATA, length, judge, between=b"\xfe")


def kind_name(kind: int) -> str:
    """What the meter measures, by the type byte T."""
    if kind in _KINDS:
        return _KINDS[kind]
    for first, name in _RANGES:
        if first <= kind < first + 0x10:
            return name
    return _STRANGE


def _pairs(address: str) -> list[str]:
    return [address[at : at + 2] for at in range(0, len(address), 2)]
