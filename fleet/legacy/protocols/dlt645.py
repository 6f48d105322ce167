"""DL/T 645-2007: frames of electricity meters, with all that they say.

The frame itself and its numbers are `fleet.wire.dlt645`, the source that runs on nodes.
"""

from dataclasses import dataclass
from typing import Any

from fleet.legacy.protocols import dlt645_data
from fleet.legacy.protocols.frame import Frame, FrameError, Value
from fleet.legacy.protocols.streams import Splitter as _Splitter
from fleet.wire import dlt645 as wire

NAME = "dlt645"
VARIANTS: tuple[str, ...] = ()
MAX_WRITE = 50  # bytes of data of a write, 5.2.5


@dataclass(frozen=True, slots=True)
class MeterFrame(Frame):
    """One frame. `address` has 12 digits as on the plate; `data` is without the 33 that is added
    on the wire.
    """

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
        """Whether a meter speaks: D7 of the control code."""
        return bool(self.control & 0x80)

    def as_json(self) -> dict[str, Any]:
        """All fields by name."""
        frame = encode(self)
        return {
            "protocol": NAME,
            "direction": "answer" if self.answers else "request",
            "address": self.address,
            "broadcast": self.address == wire.EVERY,
            "control": f"{self.control:02X}",
            "function": dlt645_data.function_name(self.control),
            "error": bool(self.control & 0x40),
            "more_follows": bool(self.control & 0x20),
            "length": len(self.data),
            "data": self.data.hex().upper(),
            "data_on_wire": frame[10:-2].hex().upper(),
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
    address, control, data = wire.decode(body)
    if control == wire.WRITE and len(data) > MAX_WRITE:
        raise FrameError(NAME, start + 9, f"{len(data)} bytes to write: {MAX_WRITE} at most")
    content, readings, notes = dlt645_data.read(control, data, start + 10)
    return MeterFrame(address, control, data, content, readings, notes)


def encode(frame: MeterFrame) -> bytes:
    """The bytes of it, without FE before them."""
    return wire.encode(frame.address, frame.control, frame.data)


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
    except wire.Dlt645Error as e:
        at = 0 if head[:1] != b"\x68" else 7 if len(head) < 10 or head[7] != 0x68 else 9
        raise FrameError(NAME, at, str(e)) from None


def judge(frame: bytes) -> None:
    """Nothing, when the checks of a frame of the right length agree; FrameError else."""
    check = sum(frame[:-2]) & 0xFF
    if check != frame[-2]:
        told = f"checksum {frame[-2]:02X}, computed {check:02X}"
        raise FrameError(NAME, len(frame) - 2, told)
    if frame[-1] != 0x16:
        raise FrameError(NAME, len(frame) - 1, f"ends with {frame[-1]:02X}, not 16")
    for at in range(1, 7):
        byte = frame[at]
        if byte != 0xAA and (byte & 15 > 9 or byte >> 4 > 9):
            raise FrameError(NAME, at, f"{byte:02X} is no digit of an address, nor AA")


def splitter() -> _Splitter:
    """Cuts what a line of meters says into frames."""
    return _Splitter(b"\x68", wire.OVERHEAD + wire.MAX_DATA, length, judge, between=b"\xfe")
