"""Questions to meters on a DTU's line: reads, and nothing else. What would act is refused here.

A DTU's connection is not authenticated, so nothing that moves a valve, a relay or a register ever
goes into one, whoever asks for it. Beside these questions only words for the box itself go there
(telling.py), which words.py holds to be a frame of no meter's protocol.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from fleet.errors import Refusal
from fleet.flashing import profiles
from fleet.legacy.intake import MOST
from fleet.wire import cbor, cjt188, dlt645, modbus

MODBUS, DLT645, CJT188 = range(3)  # as profiles are compiled
_NUMBERS = 7  # of a value: quantity, place, size, type, multiplier, divisor, summand
_AMOUNT = 8
_FUNCTIONS = (modbus.READ_COILS, modbus.READ_DISCRETE, modbus.READ_HOLDING, modbus.READ_INPUT)


class WouldAct(Refusal):
    """A request would change something at a meter."""


class NoAnswer(Refusal, ValueError):
    """What came is no answer to the question."""


class Ask(NamedTuple):
    """One question. `length` says how long the answer is that begins with some bytes, 0 while it
    cannot be told, ValueError where none begins so; `read` gives (quantity, value) of an answer,
    ValueError where it is another's; `heads` are the bytes that it may begin with.
    """

    request: bytes
    heads: bytes
    length: Callable[[bytes], int]
    read: Callable[[bytes], list[tuple[int, int]]]


class Line(NamedTuple):
    """How a kind of meter is asked: its profile's own words."""

    protocol: int
    tries: int
    wait_s: float
    reads: tuple[tuple[int, int, int, tuple[int, ...]], ...]


@cache
def line_of(profile: str) -> Line:
    """By the name of a file in hw/profiles; HardwareError where there is none."""
    raw: Any = cbor.decode(profiles.compiled(profiles.load(profile)))
    protocol, _baud, _parity, _stop, wait_ms, tries, reads = raw
    made = tuple((a, b, c, tuple(flat)) for a, b, c, flat in reads)
    return Line(protocol, tries, wait_ms / 1000, made)


def questions(line: Line, address: str, serial: int) -> Iterator[Ask]:
    """What to ask the meter at an address; ValueError for an address that it cannot have."""
    for a, b, c, flat in line.reads:
        if line.protocol == MODBUS:
            number = int(address)
            request = modbus.read_request(number, a, b, c)
            yield _ask(line, request, bytes((number,)), flat, (a, c, address))
        elif line.protocol == DLT645:
            request = dlt645.WAKE + dlt645.read_request(address, a)
            yield _ask(line, request, b"\x68", flat, (a, 0, address))
        else:
            request = cjt188.WAKE + cjt188.read_request(a, address, b, serial & 255)
            yield _ask(line, request, b"\x68", flat, (a, b, address, serial & 255))


def only_reads(protocol: int, request: bytes) -> bytes:
    """`request`, if it changes nothing at a meter; WouldAct else."""
    bare = request.lstrip(b"\xfe")
    try:
        if protocol == MODBUS:
            reads = modbus.decode(request)[1][0] in _FUNCTIONS
        elif protocol == DLT645:
            reads = dlt645.decode(bare)[1] in (dlt645.READ, dlt645.READ_MORE, dlt645.READ_ADDRESS)
        else:
            reads = cjt188.decode(bare)[2] in (cjt188.READ, cjt188.READ_ADDRESS)
    except ValueError:
        reads = False
    if not reads:
        raise WouldAct(f"a line of an old terminal is only read: {request.hex()[:60]} is no read")
    return request


def find_answer(ask: Ask, held: bytearray) -> bytes | None:
    """The first frame in `held` that may be the answer; what cannot begin one is dropped from it.
    None when more bytes are needed.
    """
    while held:
        if held[0] not in ask.heads:
            del held[0]
            continue
        try:
            size = ask.length(bytes(held[:16]))
        except ValueError:
            del held[0]
            continue
        if size == 0 or size > len(held):
            return None
        return bytes(held[:size])
    return None


def _ask(
    line: Line, request: bytes, heads: bytes, flat: tuple[int, ...], what: tuple[Any, ...]
) -> Ask:
    def read(frame: bytes) -> list[tuple[int, int]]:
        if line.protocol == MODBUS:
            function, count, address = what
            data = modbus.read_reply(frame, int(address), function, count)
        elif line.protocol == DLT645:
            item, _, address = what
            data = dlt645.read_reply(frame, address, item)[0]
        else:
            kind, item, address, serial = what
            data = cjt188.read_reply(frame, kind, address, item, serial)
        return list(_values(line.protocol, data, flat))

    length = (modbus.reply_length, dlt645.length, cjt188.length)[line.protocol]
    return Ask(only_reads(line.protocol, request), heads, length, read)


def _values(protocol: int, data: bytes, flat: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    for at in range(0, len(flat), _NUMBERS):
        quantity, place, size, kind, times, divisor, summand = flat[at : at + _NUMBERS]
        try:
            raw = _number(protocol, data, (place, size, kind, times))
        except (ValueError, IndexError):
            continue  # FF for BCD, or not a number: it does not measure this now
        value = _nearest(Fraction(raw, divisor)) + summand
        if abs(value) <= MOST:
            yield quantity, value


def _number(protocol: int, data: bytes, where: tuple[int, int, int, int]) -> int:
    """As firmware/node/sense/subdevice.py takes it."""
    place, size, kind, times = where
    if protocol == MODBUS:
        if kind == 4:
            return (data[place // 8] >> place % 8 & 1) * times
        raw = _exactly(data, 2 * place, 2 * size)
        if kind & 15 == 3:
            return modbus.single(raw, kind >> 4, times)
        reader = (modbus.unsigned, modbus.signed, modbus.bcd)[kind & 15]
        return reader(raw, kind >> 4) * times
    if protocol == DLT645:
        return dlt645.bcd(_exactly(data, place, size), bool(kind)) * times
    if kind >= _AMOUNT:
        return cjt188.amount(_exactly(data, place, 5), kind - _AMOUNT, size) * times
    if kind:
        status = cjt188.metered(data)[1]
        if kind == 1:
            return cjt188.valve_of(status)
        return int(bool(status & cjt188.BATTERY_LOW))
    return cjt188.bcd(_exactly(data, place, size)) * times


def _exactly(data: bytes, place: int, size: int) -> bytes:
    if place + size > len(data):
        raise NoAnswer("shorter than the profile says")
    return data[place : place + size]


def _nearest(exact: Fraction) -> int:
    """Half away from zero, as a node rounds."""
    whole = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return -whole if exact < 0 else whole
