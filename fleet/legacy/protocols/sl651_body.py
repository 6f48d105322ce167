"""The body of an SL 651-2014 frame by its function and direction (6.6.4, tables 27 to 86)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fleet.legacy.protocols import sl651_settings as settings
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import BEIJING, FrameError, Value, iso
from fleet.legacy.protocols.sl651_elements import Report, identifier, report, station
from fleet.legacy.protocols.sl651_numbers import NAME, Reader, bcd_time, state, step

REPORTS = (0x30, 0x31, 0x32, 0x33, 0x34, 0x36, 0x37, 0x38, 0x3A, 0x44)
MANUAL = (0x35, 0x39)
SERIES = (0x31, 0x38)
CUT = "more follows: not to be read alone"
BARE = (words.KEEP_ALIVE,)
_SETTINGS = (0x40, 0x41, 0x42, 0x43)
_NAMES_ONLY = (0x38, 0x3A, 0x41, 0x43)  # down: identifiers without data


@dataclass
class Body:
    """What a body says: serial number, time it was sent, and the rest by name."""

    serial: int | None = None
    sent: datetime | None = None
    content: dict[str, Any] = field(default_factory=dict)
    readings: list[Value] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(
    function: int, up: bool, data: bytes, at: int, part: tuple[int, int] | None, more: bool
) -> Body:
    """What `data` says, which stands at byte `at` of the frame; FrameError where it does not fit.

    A part of several is read as far as its serial number; those behind the first have none. Where
    `more` follows, an element may go on in the next frame: then the bytes stay as they are.
    """
    body = Body()
    if part and part[0] > 1:
        body.content["raw"] = data.hex().upper()
        body.notes.append(f"packet {part[0]} of {part[1]}: join them before they are read")
        return body
    if function not in words.FUNCTIONS and len(data) < 8:
        body.content["raw"] = data.hex().upper()
        body.notes.append(f"function {function:02X}: not in the standard")
        return body
    reader = Reader(data, at)
    body.serial = int.from_bytes(reader.take(2, "a serial number"), "big")
    body.sent = bcd_time(reader.take(6, "the send time"), at + 2)
    if part and part[1] > 1:
        body.content["raw"] = data[8:].hex().upper()
        body.notes.append(f"packet 1 of {part[1]}: join them before they are read")
        return body
    try:
        (_up if up else _down)(function, reader, body)
    except FrameError:
        if not more:
            raise
        # What stands before the element that goes on in the next frame is whole.
        body.content["raw"] = data[8:].hex().upper()
        body.notes.append(CUT)
        return body
    if reader.left:
        raise FrameError(NAME, reader.place, f"{reader.left} bytes too many in the body")
    return body


def time_bytes(when: datetime, size: int) -> bytes:
    """That moment in China as `size` bytes of BCD from the year on."""
    return bytes.fromhex(when.astimezone(BEIJING).strftime("%y%m%d%H%M%S"))[:size]


def _up(function: int, reader: Reader, body: Body) -> None:
    if function == words.KEEP_ALIVE:
        return
    if function not in words.FUNCTIONS:
        body.content["raw"] = reader.take(reader.left, "the rest").hex().upper()
        body.notes.append(f"function {function:02X}: not in the standard")
        return
    if function in REPORTS or function in MANUAL:
        _report(function, reader, body)
        return
    told = Report()
    station(reader, told, with_class=False)
    body.content["observed_station"] = told.stations[0]
    if function in _SETTINGS:
        body.content["parameters"] = settings.parameters(reader, basic=function < 0x42)
    else:
        _state_of(function, reader, body)


def _down(function: int, reader: Reader, body: Body) -> None:
    if reader.left >= 7 and reader.data[reader.at : reader.at + 2] == b"\xf1\xf1":
        told = Report()
        station(reader, told, with_class=False)
        body.content["observed_station"] = told.stations[0]
    if not reader.left:
        return  # a confirmation, or a query of all that there is
    if function == 0x38:
        body.content["from"] = iso(bcd_time(reader.take(4, "a start") + b"\0", reader.place - 4))
        body.content["to"] = iso(bcd_time(reader.take(4, "an end") + b"\0", reader.place - 4))
        code, definition = identifier(reader)
        if (code, definition) != (0x04, 0x18):
            raise FrameError(NAME, reader.place - 2, "no time step 0418")
        every = step(reader.take(3, "a time step"), reader.place - 3)
        body.content["step_seconds"] = int(every.total_seconds())
    if function in _NAMES_ONLY:
        body.content["asked"] = settings.names(reader, elements=function < 0x40)
    elif function in _SETTINGS:
        body.content["parameters"] = settings.parameters(reader, basic=function < 0x42)
    elif function in (0x47, 0x48):
        code, definition = identifier(reader)
        if code != 0x97 + function - 0x47:
            raise FrameError(NAME, reader.place - 2, f"{code:02X}{definition:02X} does not belong")
    elif function in (0x49, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F):
        _state_of(function, reader, body)
    elif function not in words.FUNCTIONS:
        body.content["raw"] = reader.take(reader.left, "the rest").hex().upper()


def _report(function: int, reader: Reader, body: Body) -> None:
    told = Report()
    try:
        report(reader, told, uniform=function in SERIES)
        if function in REPORTS and not told.stations:
            raise FrameError(NAME, reader.start + 8, "no station's F1F1 in a report")
    finally:
        _said(told, body)


def _said(told: Report, body: Body) -> None:
    if told.stations:
        body.content["observed_station"] = told.stations[0]
    if told.classes:
        body.content["station_class"] = told.classes[0]
    if len(told.stations) > 1:
        body.content["observed_stations"] = told.stations
        body.notes.append("several stations: each reading names its own")
    body.content["observation_time"] = iso(told.times[0]) if told.times else None
    body.content["elements"] = told.elements
    body.readings, body.notes = told.readings, [*body.notes, *told.notes]


def _state_of(function: int, reader: Reader, body: Body) -> None:
    """Functions 45 to 51 behind the station's address, and what a centre says in 49 to 4F."""
    content = body.content
    if function == 0x45:
        size = reader.take(1, "a length of the version")[0]
        content["version"] = reader.take(size, "the version").decode("ascii", "replace")
    elif function in (0x46, 0x4B):
        if identifier(reader) != (0x45, 0x20):
            raise FrameError(NAME, reader.place - 2, "no state 4520")
        content["state"] = state(reader.take(4, "the state"))
    elif function == 0x49:
        passwords = []
        while reader.left:
            if identifier(reader) != (0x03, 0x10):
                raise FrameError(NAME, reader.place - 2, "no password 0310")
            passwords.append(reader.take(2, "a password").hex().upper())
        content["passwords"] = passwords
    elif function in (0x4C, 0x4D):
        size = reader.take(1, "a count of bytes")[0]
        content["on"] = _on(reader.take(size, "states"), 8 * size)
    elif function == 0x4E:
        gates = reader.take(1, "a count of gates")[0]
        content["on"] = _on(reader.take((gates + 7) // 8, "states of gates"), gates)
        openings = [reader.take(2, "a gate's opening").hex() for _ in range(gates)]
        content["openings_cm"] = openings
    elif function == 0x4F:
        content["fixed_amount"] = {0xFF: "on", 0x00: "off"}.get(
            reader.take(1, "a command")[0], "not in the standard"
        )
    elif function == 0x50:
        counts = reader.take(64, "32 counts of events")
        pairs = [int.from_bytes(counts[i : i + 2], "big") for i in range(0, 64, 2)]
        named = [*words.EVENTS, *(f"erc{number}" for number in range(len(words.EVENTS) + 1, 33))]
        content["events"] = dict(zip(named, pairs, strict=True))


def _on(data: bytes, count: int) -> list[bool]:
    return [bool(data[place // 8] >> place % 8 & 1) for place in range(count)]
