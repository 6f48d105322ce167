"""Ask a device on the bus for the values that its profile names.

A profile is compiled (fleet/flashing/profiles.py says to what) and lies in the slot, so one that
is not polled costs no heap; one of its own in the configuration is "=" and hexadecimal digits.
"""

import binascii
import sys

from micropython import const

from node.errors import ConfigError
from node.sense.bus import BusTimeout
from node.wire import cbor

MODBUS, DLT645, CJT188 = 0, 1, 2
_VALUE = const(7)  # numbers of a value: quantity, at, size, kind, multiplier, divisor, summand
_LARGEST = const(0x3FFFFFFFFFFFFFF)  # what no meter counts, and a record still carries
_AMOUNT = const(8)


def profile(name: str) -> list:
    """The profile of this name, or of these digits; ConfigError when there is none such."""
    try:
        if name[:1] == "=":
            raw = binascii.unhexlify(name[1:])
        else:
            with open(sys.path[0] + "/profiles/" + name, "rb") as file:
                raw = file.read()
        found = cbor.decode(raw)
    except (OSError, ValueError) as e:
        raise ConfigError("profile %s: %s" % (name, e))
    if not isinstance(found, list) or len(found) != 7 or found[0] not in (MODBUS, DLT645, CJT188):
        raise ConfigError("profile %s is damaged" % name)
    return found


async def values(bus, profile: list, address: str, baud: int = 0, tries: int = 0) -> list:
    """[(quantity, value), ...] of the device at `address`, as far as it has them.

    `baud` and `tries` instead of the profile's where they are not 0. BusTimeout when nothing came,
    ValueError when nothing that came was an answer.
    """
    protocol, usual, parity, stop, wait_ms, often, reads = profile
    bus.line(baud or usual, parity, stop)
    if protocol == MODBUS:
        from node.wire import modbus as codec
    elif protocol == DLT645:
        from node.wire import dlt645 as codec
    else:
        from node.wire import cjt188 as codec
    found = []
    failure = None
    heard = False
    for a, b, c, wanted in reads:
        if failure is not None and not heard:
            break  # it answers nothing: the others need not wait for it again
        try:
            data = await _answer(bus, codec, protocol, address, (a, b, c), wait_ms, tries or often)
            heard = True
        except (BusTimeout, ValueError) as e:
            # One that refuses is there, though it has not this. It is no failure of the bus.
            heard = heard or _refused(e)
            failure = e
            continue
        for i in range(0, len(wanted), _VALUE):
            try:
                value = _value(codec, protocol, data, wanted[i + 1 : i + 5])
            except (ValueError, IndexError):
                continue  # FF for BCD, or not a number: it does not measure this now
            divisor = wanted[i + 5]
            value = (2 * abs(value) + divisor) // (2 * divisor) * (-1 if value < 0 else 1)
            value += wanted[i + 6]
            if -_LARGEST < value < _LARGEST:
                found.append((wanted[i], value))
    if failure is not None and not heard:
        raise failure
    return found


def _refused(error) -> bool:
    return hasattr(error, "code") or hasattr(error, "status")


async def _answer(bus, codec, protocol, address, what, wait_ms, tries):
    # One read of the profile, asked for up to `tries` times.
    a, b, c = what
    head = 0x68
    length = codec.reply_length if protocol == MODBUS else codec.length
    for left in range(tries - 1, -1, -1):
        if protocol == MODBUS:
            head = int(address)
            request = codec.read_request(head, a, b, c)
        elif protocol == DLT645:
            request = codec.WAKE + codec.read_request(address, a)
        else:
            request = codec.WAKE + codec.read_request(a, address, b, left)
        try:
            frame = await bus.ask(request, length, head, wait_ms)
            if protocol == MODBUS:
                return codec.read_reply(frame, head, a, c)
            if protocol == DLT645:
                return codec.read_reply(frame, address, a)[0]
            return codec.read_reply(frame, a, address, b, left)
        except (BusTimeout, ValueError) as e:
            if not left or _refused(e):
                raise
    raise BusTimeout(0)


def _value(codec, protocol: int, data: bytes, where: list) -> int:
    # The number at its place, `times` larger.
    at, size, kind, times = where
    if protocol == MODBUS:
        if kind == 4:
            return (data[at // 8] >> at % 8 & 1) * times
        raw = data[2 * at : 2 * (at + size)]
        order = kind >> 4
        kind &= 15
        if kind == 3:
            return codec.single(raw, order, times)
        return (codec.unsigned, codec.signed, codec.bcd)[kind](raw, order) * times
    if protocol == DLT645:
        return codec.bcd(_exactly(data, at, size), bool(kind)) * times
    if kind >= _AMOUNT:
        return codec.amount(_exactly(data, at, 5), kind - _AMOUNT, size) * times
    if kind:
        status = codec.metered(data)[1]
        return codec.valve_of(status) if kind == 1 else 1 if status & codec.BATTERY_LOW else 0
    return codec.bcd(_exactly(data, at, size)) * times


def _exactly(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("shorter than the profile says")
    return data[at : at + size]
