"""SL 651-2014 in mode M3: a body in several packets, joined, and answered once (6.3.1.2 c)."""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.legacy.protocols import sl651_ascii, sl651_body
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import FrameError
from fleet.legacy.protocols.sl651 import Message, encode

MAX_PARTS = 1024  # packets of one message that are kept, 4 KB each at most
MAX_BYTES = 1 << 20  # of one message
MAX_OPEN = 4  # messages of one connection that are not whole


def split(message: Message, limit: int) -> list[Message]:
    """The same body in packets of up to `limit` bytes each."""
    pieces = [message.body[at : at + limit] for at in range(0, len(message.body), limit)]
    if len(pieces) < 2:
        return [message]
    return [
        replace(
            message,
            body=piece,
            part=(number, len(pieces)),
            end=words.ETX if number == len(pieces) else words.ETB,
        )
        for number, piece in enumerate(pieces, 1)
    ]


@dataclass
class Finished:
    """A message that was made whole. `closing`: its packet with ETX; `place`: of the packet that
    came last; `is_safe`: it is committed, so that its repeats may be answered.
    """

    whole: Message
    closing: Message
    place: int
    sums: tuple[int, ...]  # of the packets' bodies: those behind the first have no serial number
    is_safe: bool = False

    def is_repeat(self, message: Message) -> bool:
        """Whether it is a packet of this message, once more."""
        if message.part is None or _key(message) != _key(self.closing):
            return False
        return self.sums[message.part[0] - 1] == zlib.crc32(message.body)

    def answer(self, at: datetime) -> bytes | None:
        """EOT."""
        return answer(self.closing, self.whole, [], at)


class Assembler:
    """Joins the packets of one connection. Bounded: what is oldest and not whole is given up."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int, int], dict[int, Message]] = {}
        self.finished: Finished | None = None  # the newest that was made whole

    def take(self, message: Message) -> Message | None:
        """The message that this packet makes whole, read anew; itself when it is no part.

        None while others are missing. FrameError when the joined body cannot be read.
        """
        if message.part is None:
            return message
        place, total = message.part
        key = _key(message)
        parts = self._open.pop(key, {})
        if place == 1 and 1 in parts and parts[1].serial != message.serial:
            parts = {}  # the station began another message
        parts[place] = message
        if total > MAX_PARTS or sum(len(one.body) for one in parts.values()) > MAX_BYTES:
            told = f"{total} packets: up to {MAX_PARTS}, and {MAX_BYTES} bytes, are joined"
            raise FrameError("sl651", 14, told)
        if len(parts) == total:
            ordered = [parts[number] for number in range(1, total + 1)]
            whole = _joined(ordered)
            sums = tuple(zlib.crc32(one.body) for one in ordered)
            self.finished = Finished(whole, ordered[-1], place, sums)
            return whole
        self._open[key] = parts
        while len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]
        return None

    def missing(self, message: Message) -> list[int]:
        """Which packets of this one's message have not come."""
        if message.part is None:
            return []
        parts = self._open.get(_key(message), {})
        return [number for number in range(1, message.part[1] + 1) if number not in parts]

    def closing(self, message: Message) -> Message | None:
        """The last packet of this one's message, where it has come before others."""
        key = _key(message)
        return self._open.get(key, {}).get(key[2])

    def is_open(self, message: Message) -> bool:
        """Whether packets of its message wait for others."""
        return _key(message) in self._open


def answer(last: Message, whole: Message | None, missing: list[int], at: datetime) -> bytes | None:
    """What the centre says when the packet with ETX (`last`) has come, and again to each that was
    missing then: EOT for all, NAK for the first that is missing; None before. The packet's number
    is the last, or that of the missing one.
    """
    if last.part is None or last.end != words.ETX:
        return None
    serial = whole.serial if whole and whole.serial is not None else 0
    number = missing[0] if missing else last.part[1]
    body = serial.to_bytes(2, "big") + sl651_body.time_bytes(at, 6)
    if last.ascii:
        body = body.hex().upper().encode()
    end = words.NAK if missing else words.EOT
    return encode(replace(last, up=False, body=body, end=end, part=(number, last.part[1])))


def _key(message: Message) -> tuple[str, int, int]:
    return message.station, message.function, message.part[1] if message.part else 0


def _joined(parts: list[Message]) -> Message:
    data = b"".join(part.body for part in parts)
    first = parts[0]
    read_body = sl651_ascii.read if first.ascii else sl651_body.read
    read = read_body(first.function, True, data, 17, None, False)
    return replace(
        first, body=data, part=None, end=words.ETX, serial=read.serial, sent=read.sent,
        content=read.content, readings=tuple(read.readings), notes=tuple(read.notes),
    )  # fmt: skip
