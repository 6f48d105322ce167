"""SL 651-2014 coded in ASCII (6.4 and 6.6.2): the same head and body as text, words with blanks.

All but the start, the end and what stands in pictures and manual values is hexadecimal digits or
words; `sl651` reads both codings into the same Message.
"""

import re
from datetime import timedelta
from typing import Any

from fleet.legacy.protocols import crc
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import FrameError, Value, decimal_text, iso
from fleet.legacy.protocols.sl651_body import BARE, CUT, MANUAL, REPORTS, SERIES, Body
from fleet.legacy.protocols.sl651_elements import Report
from fleet.legacy.protocols.sl651_numbers import NAME, bcd_time, state

SOH = b"\x01"
MAX_TEXT, OVERHEAD = 0xFFF, 29
_AT_LENGTH, _AT_START, _AT_BODY = 19, 23, 24
_HEX = re.compile(rb"[0-9A-Fa-f]*")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,7})?")
_STEP = re.compile(r"DR([DHN])([0-9]{2})")
_RAW = re.compile(rb"(?:(?<= )|\A)(RGZS|PIC) ")
_SERIES = re.compile(r"DRP|DRZ[1-8]")
_UNITS = {"D": "days", "H": "hours", "N": "minutes"}
Head = tuple[int, str, int, int]


def length(head: bytes) -> int:
    """How many bytes the frame that begins with 01 so has, 0 while that cannot be told yet."""
    if not _HEX.fullmatch(head[1:_AT_START]):
        raise FrameError(NAME, 1, "a head in ASCII has hexadecimal digits only")
    if len(head) <= _AT_START:
        return 0
    if head[_AT_LENGTH] not in b"08":
        raise FrameError(NAME, _AT_LENGTH, "direction: 0 up, 8 down")
    if head[_AT_START] not in (words.STX, words.SYN):
        raise FrameError(NAME, _AT_START, f"{head[_AT_START]:02X} where the text starts: 02 or 16")
    size = int(head[_AT_LENGTH + 1 : _AT_START], 16)
    if size == 0:
        raise FrameError(NAME, _AT_LENGTH, "no text: 1 to 4095 bytes")
    return OVERHEAD + size


def judge(frame: bytes) -> None:
    """Nothing, when the end and the CRC of a frame of the right length agree; FrameError else."""
    end = frame[-5]
    if end not in (words.UP_ENDS if frame[_AT_LENGTH] == ord("0") else words.DOWN_ENDS):
        raise FrameError(NAME, len(frame) - 5, f"{end:02X} does not end a frame of this direction")
    computed = crc.modbus(frame[:-4])
    if not _HEX.fullmatch(frame[-4:]) or int(frame[-4:], 16) != computed:
        told = f"CRC {frame[-4:].decode('ascii', 'replace')}, computed {computed:04X}"
        raise FrameError(NAME, len(frame) - 4, told)


def parts(frame: bytes) -> tuple[bool, Head, bytes, tuple[int, int] | None]:
    """(up, (centre, station, password, function), body, number of the packet)."""
    up = frame[_AT_LENGTH] == ord("0")
    text = frame[1:13].decode()
    centre, station = (text[:2], text[2:]) if up else (text[10:], text[:10])
    head = (int(centre, 16), station.upper(), int(frame[13:17], 16), int(frame[17:19], 16))
    body, part = frame[_AT_BODY:-5], None
    if frame[_AT_START] == words.SYN:
        if len(body) < 6 or not _HEX.fullmatch(body[:6]):
            raise FrameError(NAME, _AT_BODY, "no number of the packet")
        total, number = int(body[:3], 16), int(body[3:6], 16)
        if not 1 <= number <= total:
            raise FrameError(NAME, _AT_BODY, f"packet {number} of {total}")
        body, part = body[6:], (number, total)
    return up, head, body, part


def wrap(up: bool, head: Head, body: bytes, end: int, part: tuple[int, int] | None) -> bytes:
    """The bytes of a frame; ValueError where the text would be longer than 4,095 bytes."""
    centre, station, password, function = head
    text = b"%03X%03X" % (part[1], part[0]) + body if part else body
    if not 1 <= len(text) <= MAX_TEXT:
        raise ValueError(f"{len(text)} bytes between start and end: 1 to {MAX_TEXT}")
    address = f"{centre:02X}{station}" if up else f"{station}{centre:02X}"
    size = f"{'0' if up else '8'}{len(text):03X}"
    made = SOH + f"{address}{password:04X}{function:02X}{size}".encode()
    made += bytes((words.SYN if part else words.STX,)) + text + bytes((end,))
    return made + b"%04X" % crc.modbus(made)


def read(
    function: int, up: bool, data: bytes, at: int, part: tuple[int, int] | None, more: bool
) -> Body:
    """What a body says, as `sl651_body.read` does."""
    body = Body()
    whole = part is None or part[1] == 1
    if not whole and part and part[0] > 1:
        body.content["text"] = data.decode("ascii", "replace")
        body.notes.append(f"packet {part[0]} of {part[1]}: join them before they are read")
        return body
    if len(data) < 16 or not _HEX.fullmatch(data[:16]):
        raise FrameError(NAME, at, "no serial number and send time in 16 digits")
    body.serial = int(data[:4], 16)
    body.sent = bcd_time(bytes.fromhex(data[4:16].decode()), at + 4)
    if not whole:
        body.content["text"] = data[16:].decode("ascii", "replace")
        body.notes.append("packet 1 of several: join them before they are read")
        return body
    if not up or function not in REPORTS + MANUAL + BARE:
        text = data[16:].decode("ascii", "replace")
        body.content |= {"text": text} if text else {}
        return body
    if function in BARE and len(data) > 16:
        raise FrameError(NAME, at + 16, f"{len(data) - 16} bytes too many in the body")
    if function not in BARE:
        _report(function, data[16:], at + 16, body, more)
    return body


def _report(function: int, data: bytes, at: int, body: Body, more: bool) -> None:
    told = Report()
    raw = _RAW.search(data)  # the first of them: a picture may hold any bytes
    if raw:
        rest, data = data[raw.end() :], data[: raw.start()]
        if raw[1] == b"PIC":
            shown: dict[str, Any] = {"key": "PIC", "name": "picture", "bytes": len(rest)}
        else:
            text = rest.decode("ascii", "replace")
            shown = {"key": "RGZS", "name": "manual values", "text": text}
        told.elements.append(shown)
    text = data.decode("ascii", "replace")
    sequence = text.split(" ")
    # Without a blank behind it, and with more to come, the last word may be the half of one.
    is_cut = bool(sequence.pop()) and more and not raw
    if text and not text.endswith(" ") and not is_cut:
        body.notes.append("no blank behind the last word")
        sequence = text.split(" ")
    try:
        _Words(sequence, at, told).read(function)
        if function in REPORTS and not told.stations:
            raise FrameError(NAME, at, "no station's ST in a report")
    except FrameError:
        if not more:
            raise
        is_cut = True
    if is_cut:
        body.content["text"] = text
        body.notes.append(CUT)
    if told.stations:
        body.content["observed_station"] = told.stations[0]
    if told.classes:
        body.content["station_class"] = told.classes[0]
    if len(told.stations) > 1:
        body.content["observed_stations"] = told.stations
    body.content["observation_time"] = iso(told.times[0]) if told.times else None
    body.content["elements"] = told.elements
    body.readings, body.notes = told.readings, [*body.notes, *told.notes]


class _Words:
    """The words of a report, one after the other."""

    def __init__(self, sequence: list[str], at: int, told: Report) -> None:
        self._words, self._at, self._told, self._next = sequence, at, told, 0
        self._known = {one.key: one for one in words.elements().values()}

    def read(self, function: int) -> None:
        while self._next < len(self._words):
            word = self._take("an identifier")
            step = _STEP.fullmatch(word)
            if word == "ST":
                self._station()
            elif word == "TT":
                self._told.times.append(self._time(self._take("an observation time")))
            elif step:
                self._step(step, function)
            elif _SERIES.fullmatch(word):
                self._series(word, self._take(word))
            elif word == "ZT":
                text = self._take("the state")
                if not re.fullmatch("[0-9A-Fa-f]{8}", text):
                    self._bad(f"ZT {text}: 8 hexadecimal digits")
                shown = {"key": "ZT", "name": "state and alarms", **state(bytes.fromhex(text))}
                self._told.elements.append(shown)
            elif word in self._known:
                self._value(word, self._take(word), self._told.observed)
            else:
                self._bad(f"no identifier: {word[:20]!r}")

    def _take(self, what: str) -> str:
        if self._next >= len(self._words):
            self._bad(f"{what} is missing")
        self._next += 1
        return self._words[self._next - 1]

    def _bad(self, what: str) -> None:
        before = sum(len(word) + 1 for word in self._words[: max(self._next - 1, 0)])
        raise FrameError(NAME, self._at + before, what)

    def _station(self) -> None:
        station = self._take("a station's address")
        if not re.fullmatch("[0-9A-Fa-f]{10}", station):
            self._bad(f"a station's address has 10 digits: {station[:20]}")
        self._told.stations.append(station.upper())
        kind = self._take("a station's class")
        code = ord(kind) if len(kind) == 1 else 0
        self._told.classes.append(words.CLASSES.get(code, "not in the standard"))

    def _time(self, text: str) -> Any:
        if not re.fullmatch("[0-9]{10}", text):
            self._bad(f"an observation time has 10 digits: {text[:20]}")
        return bcd_time(bytes.fromhex(text), self._at)

    def _step(self, found: re.Match[str], function: int) -> None:
        step = timedelta(**{_UNITS[found[1]]: int(found[2])})
        seconds = int(step.total_seconds())
        shown = {"key": "DRxnn", "name": "time step", "seconds": seconds}
        self._told.elements.append(shown)
        if function not in SERIES or not step:
            return
        keys = []
        while self._next < len(self._words) and self._words[self._next] in self._known:
            keys.append(self._take("an element"))
        left = len(self._words) - self._next
        if not keys or left % len(keys):
            self._bad(f"{left} values for {len(keys)} elements")
        begun = self._told.observed
        for place in range(left):
            when = begun + place // len(keys) * step if begun else None
            self._value(keys[place % len(keys)], self._take("a value"), when)

    def _series(self, key: str, text: str) -> None:
        rain = key == "DRP"
        width, decimals, unit = (2, 1, "mm") if rain else (4, 2, "m")
        if not re.fullmatch(f"[0-9A-Fa-f]{{{12 * width}}}", text):
            self._bad(f"{key} has {12 * width} hexadecimal digits")
        for place in range(12):
            piece = text[place * width : (place + 1) * width].upper()
            if set(piece) != {"F"}:
                when = self._told.observed
                when = when + place * timedelta(minutes=5) if when else None
                self._add(key, decimal_text(int(piece, 16), decimals), unit, when, key)
        self._told.elements.append({"key": key, "raw": text, "unit": unit})

    def _value(self, key: str, text: str, when: Any) -> None:
        known = self._known[key]
        if text == "M":
            self._told.notes.append(f"{key}: missing")
            return
        if not _NUMBER.fullmatch(text):
            self._bad(f"{key} {text[:20]}: no number")
        self._add(key, text, known.unit, when, known.name)
        shown = {"key": key, "name": known.name, "value": text, "unit": known.unit}
        self._told.elements.append(shown | {"time": iso(when)})

    def _add(self, key: str, text: str, unit: str, when: Any, name: str) -> None:
        source = self._told.station
        self._told.readings.append(Value(key, text, unit, when, name=name, source=source))
