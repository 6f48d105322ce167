"""A master station's own questions to the bus, over the door, for a bounded time.

Only what reads passes: a frame that writes could open a valve or a breaker, and for that the fleet
has commands, which two persons must want.
"""

import time

from micropython import const

from node.sense.bus import Bus, BusTimeout
from node.wire import cbor, cjt188, dlt645, modbus

_ANSWER_MS = const(2_000)  # of a device; DL/T 645 allows 500 ms
_SAY_MS = const(15_000)
_MOST = const(256)  # bytes of a frame
SILENCE, NOT_ALLOWED = 0, 1  # in place of an answer
_DLT645_READS = (0x11, 0x12, 0x13)
_CJT188_READS = (0x01, 0x03)


def reader(frame: bytes) -> "tuple | None":
    """(length function, first byte) of the answer to a frame that only reads; None for others.

    A frame that is one of several protocols must be a read in each: who knows who hears it.
    """
    found = None
    bare = frame.lstrip(b"\xfe")
    try:
        address, pdu = modbus.decode(frame)
        if len(pdu) != 5 or not 1 <= pdu[0] <= 4 or not address:
            return None
        found = modbus.reply_length, address
    except modbus.ModbusError:
        pass
    try:
        control, data = dlt645.decode(bare)[1:]
        # Data as long as a read's: in more there would be room for a frame of somebody else's.
        if control not in _DLT645_READS or len(data) > 10:
            return None
        found = dlt645.length, 0x68
    except dlt645.Dlt645Error:
        pass
    try:
        control, data = cjt188.decode(bare)[2:]
        if control not in _CJT188_READS or len(data) != 3:
            return None
        found = cjt188.length, 0x68
    except cjt188.Cjt188Error:
        pass
    return found


async def serve(door, pins: dict, session: tuple, left_ms: int) -> None:
    """Pass frames for `session`, (seconds, baud, parity), and no longer than `left_ms`.

    The door gives [number, frame] and takes [number, answer], in strict CBOR; [0, seconds] says
    that the session begins, [0, 0] that it is over.
    """
    seconds, baud, parity = session
    left_ms = min(seconds * 1000, left_ms)
    if left_ms <= 0:
        return
    until = time.ticks_add(time.ticks_ms(), left_ms)
    bus = Bus(pins)
    try:
        bus.line(baud, parity)
        await door.say(cbor.encode([0, left_ms // 1000]), _SAY_MS)
        while True:
            left_ms = time.ticks_diff(until, time.ticks_ms())
            message = await door.hear(left_ms) if left_ms > 0 else None
            if message is None:
                break
            asked = _asked(message)
            if asked:
                await door.say(cbor.encode([asked[0], await _answer(bus, asked[1])]), _SAY_MS)
        await door.say(cbor.encode([0, 0]), _SAY_MS)
    finally:
        bus.close()


def _asked(message: bytes) -> "list | None":
    try:
        flat = cbor.decode(message)
    except cbor.CborError:
        return None
    if not isinstance(flat, list) or len(flat) != 2:
        return None
    number, frame = flat
    if not isinstance(number, int) or not isinstance(frame, bytes) or len(frame) > _MOST:
        return None
    return flat


async def _answer(bus, frame: bytes) -> "bytes | int":
    known = reader(frame)
    if known is None:
        return NOT_ALLOWED
    try:
        return await bus.ask(frame, known[0], known[1], _ANSWER_MS)
    except BusTimeout:
        return SILENCE
