"""SL 651-2014: frames of hydrological stations, coded HEX/BCD or in ASCII, in both directions.

A frame is found by its length: a serial number or a value may be 7E7E.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fleet.legacy.protocols import crc, sl651_ascii, sl651_body
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import Frame, FrameError, Value, iso, moment
from fleet.legacy.protocols.streams import Splitter as _Splitter

NAME = "sl651"
VARIANTS: tuple[str, ...] = ()
MAX_BODY, OVERHEAD, START = 0xFFF, 17, b"\x7e\x7e"
EPOCH = moment(2000, 1, 1)  # the first time that a frame can tell
_AT_LENGTH, _AT_BODY = 11, 14  # bytes before the length, and before what it counts


@dataclass(frozen=True, slots=True)
class Message(Frame):
    """One frame. `station` has 10 digits; `body` is what stands between start and end, without
    the number of the packet; `part` (which, of how many) when it is one of several.
    """

    up: bool
    centre: int
    station: str
    password: int
    function: int
    body: bytes
    end: int
    part: tuple[int, int] | None = None
    serial: int | None = None
    sent: datetime | None = None
    content: dict[str, Any] = field(default_factory=dict)
    readings: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()
    ascii: bool = False

    @property
    def sender(self) -> str:
        """The station in the head; those in the body may be others, behind a relay."""
        return self.station

    def as_json(self) -> dict[str, Any]:
        """All fields by name."""
        frame = encode(self)
        return {
            "protocol": NAME,
            "coding": "ASCII" if self.ascii else "HEX/BCD",
            "direction": "up" if self.up else "down",
            "centre": self.centre,
            "station": self.station,
            "password": f"{self.password:04X}",
            "function": f"{self.function:02X}",
            "function_name": words.FUNCTIONS.get(self.function, "not in the standard"),
            "length": len(frame) - (sl651_ascii.OVERHEAD if self.ascii else OVERHEAD),
            "packet": {"number": self.part[0], "of": self.part[1]} if self.part else None,
            "serial": self.serial,
            "send_time": iso(self.sent),
            **self.content,
            "end": f"{self.end:02X}",
            "end_name": words.ENDS[self.end],
            "more_follows": self.end == words.ETB,
            "crc": frame[-4:].decode() if self.ascii else frame[-2:].hex().upper(),
            "values": [value.as_json() for value in self.readings],
            "notes": list(self.notes),
        }


def decode(frame: bytes, variant: str | None = None) -> Message:
    """One whole frame; FrameError for all else. Total."""
    del variant  # none is known
    size = length(frame)
    if size == 0 or size > len(frame):
        raise FrameError(NAME, len(frame), f"cut short: {size or OVERHEAD} bytes expected")
    if size < len(frame):
        raise FrameError(NAME, size, f"{len(frame) - size} bytes behind the frame")
    judge(frame)
    text = frame[:1] == sl651_ascii.SOH
    up, header, body, part = sl651_ascii.parts(frame) if text else _parts(frame)
    centre, station, password, function = header
    end = frame[-5] if text else frame[-3]
    at = (24 + (6 if part else 0)) if text else _AT_BODY + (3 if part else 0)
    read_body = sl651_ascii.read if text else sl651_body.read
    read = read_body(function, up, body, at, part, end == words.ETB)
    notes = [] if up is False or centre else ["centre 0: 1 to 255 in the standard"]
    return Message(
        up, centre, station, password, function, body, end, part, read.serial, read.sent,
        read.content, tuple(read.readings), (*notes, *read.notes), text,
    )  # fmt: skip


def encode(message: Message) -> bytes:
    """The bytes of it; ValueError where the body would be longer than 4,095 bytes."""
    head = (message.centre, message.station, message.password, message.function)
    if message.ascii:
        return sl651_ascii.wrap(message.up, head, message.body, message.end, message.part)
    station = bytes.fromhex(message.station)
    address = (
        bytes((message.centre,)) + station if message.up else station + bytes((message.centre,))
    )
    text = message.body
    if message.part:
        number, total = message.part
        text = (total << 12 | number).to_bytes(3, "big") + text
    if not 1 <= len(text) <= MAX_BODY:
        raise ValueError(f"{len(text)} bytes between start and end: 1 to {MAX_BODY}")
    size = len(text) | (0 if message.up else 0x8000)
    made = START + address + message.password.to_bytes(2, "big") + bytes((message.function,))
    made += size.to_bytes(2, "big") + bytes((words.SYN if message.part else words.STX,))
    made += text + bytes((message.end,))
    return made + crc.modbus(made).to_bytes(2, "big")


def answer(message: Message, end: int | None = None, at: datetime | None = None) -> bytes | None:
    """What the centre answers to a frame from a station; None where it answers nothing.

    Nothing to a keep-alive, nor to a part of many, which `sl651_packets.Assembler` answers once.
    `end`: ACK where more follows; else ESC after a report, so that the station stays in reach for
    ten minutes, and EOT after what was asked for. `at`: the centre's clock; the frame's own time
    without it, as in the standard's examples.
    """
    silent = message.function == words.KEEP_ALIVE or message.part is not None
    if not message.up or silent or message.serial is None or message.sent is None:
        return None
    if end is None:
        last = words.ESC if message.function <= words.PICTURE else words.EOT
        end = words.ACK if message.end == words.ETB else last
    return encode(reply(message, end, at))


def reply(message: Message, end: int, at: datetime | None = None) -> Message:
    """The frame down with the serial number of `message`."""
    sent = at or message.sent or EPOCH
    body = (message.serial or 0).to_bytes(2, "big") + sl651_body.time_bytes(sent, 6)
    if message.ascii:
        body = body.hex().upper().encode()
    return Message(
        False, message.centre, message.station, message.password, message.function, body, end,
        None, message.serial, sent, ascii=message.ascii,
    )  # fmt: skip


def values(message: Message) -> list[Value]:
    """The readings in it; the key is the standard's ASCII identifier, "Z" for the water level."""
    return list(message.readings)


def length(head: bytes) -> int:
    """How many bytes the frame that begins so has, 0 while that cannot be told yet."""
    if head[:1] == sl651_ascii.SOH:
        return sl651_ascii.length(head)
    if not START.startswith(head[:2]):
        raise FrameError(NAME, 0, "does not begin with 7E7E, nor with 01")
    if len(head) < _AT_BODY:
        return 0
    if head[_AT_LENGTH] >> 4 not in (0, 8):
        raise FrameError(NAME, _AT_LENGTH, f"direction {head[_AT_LENGTH] >> 4:X}: 0 up, 8 down")
    if head[13] not in (words.STX, words.SYN):
        raise FrameError(NAME, 13, f"{head[13]:02X} where the text starts: 02 or 16")
    size = (head[_AT_LENGTH] & 15) << 8 | head[12]
    if size == 0:
        raise FrameError(NAME, _AT_LENGTH, "no text: 1 to 4095 bytes")
    return OVERHEAD + size


def judge(frame: bytes) -> None:
    """Nothing, when the end and the CRC of a frame of the right length agree; FrameError else."""
    if frame[:1] == sl651_ascii.SOH:
        sl651_ascii.judge(frame)
        return
    up = frame[_AT_LENGTH] >> 4 == 0
    end = frame[-3]
    if end not in (words.UP_ENDS if up else words.DOWN_ENDS):
        way = "up ends with 03 or 17" if up else "down ends with 05, 04, 06, 15 or 1B"
        raise FrameError(NAME, len(frame) - 3, f"{end:02X}: a frame {way}")
    computed = crc.modbus(frame[:-2])
    if computed != int.from_bytes(frame[-2:], "big"):
        told = f"CRC {frame[-2:].hex().upper()}, computed {computed:04X}"
        raise FrameError(NAME, len(frame) - 2, told)


def splitter() -> _Splitter:
    """Cuts what a station sends into frames; `flush` it when the line was silent for a while."""
    longest = sl651_ascii.OVERHEAD + MAX_BODY
    return _Splitter((START, sl651_ascii.SOH), longest, length, judge)


def _parts(
    frame: bytes,
) -> tuple[bool, tuple[int, str, int, int], bytes, tuple[int, int] | None]:
    up = frame[_AT_LENGTH] >> 4 == 0
    centre, station = (frame[2], frame[3:8]) if up else (frame[7], frame[2:7])
    header = (centre, station.hex().upper(), int.from_bytes(frame[8:10], "big"), frame[10])
    body, part = frame[_AT_BODY:-3], None
    if frame[13] == words.SYN:
        if len(body) < 3:
            raise FrameError(NAME, _AT_BODY, "no number of the packet")
        total, number = body[0] << 4 | body[1] >> 4, (body[1] & 15) << 8 | body[2]
        if not 1 <= number <= total:
            raise FrameError(NAME, _AT_BODY, f"packet {number} of {total}")
        body, part = body[3:], (number, total)
    return up, header, body, part
