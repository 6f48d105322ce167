"""One element after the other out of a body of SL 651-2014, 6.6.3 and annex C."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import FrameError, Value, decimal_text, iso
from fleet.legacy.protocols.sl651_numbers import NAME, Reader, bcd_time, number, state, step

_TIME, _STATION, _MANUAL, _PICTURE, _FIVES, _LEVELS, _BULK = (
    0xF0,
    0xF1,
    0xF2,
    0xF3,
    0xF4,
    0xF5,
    0xFD,
)
_STATE, _STEP, _WIDE = 0x45, 0x04, 0xFF
_FIVE_MINUTES = timedelta(minutes=5)


@dataclass
class Report:
    """What the elements of a body say."""

    stations: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    elements: list[dict[str, Any]] = field(default_factory=list)
    readings: list[Value] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    step: timedelta | None = None

    @property
    def station(self) -> str:
        """The station that counts for what comes next."""
        return self.stations[-1] if self.stations else ""

    @property
    def observed(self) -> datetime | None:
        """The observation time that counts for what comes next."""
        return self.times[-1] if self.times else None


def report(reader: Reader, told: Report, uniform: bool) -> None:
    """All elements up to the end of the body, into `told`; FrameError at the first that does not
    fit. `uniform`: one element has many values, a step of time apart.
    """
    while reader.left:
        _element(reader, told, uniform)


def identifier(reader: Reader) -> tuple[int, int]:
    """(identifier, definition): FF has a second byte of its own."""
    code = reader.take(1, "an identifier")[0]
    if code == _WIDE:
        code = _WIDE << 8 | reader.take(1, "the second byte of identifier FF")[0]
    return code, reader.take(1, "a definition")[0]


def station(reader: Reader, told: Report, with_class: bool) -> None:
    """F1F1, a station's address, and in reports its class."""
    code, definition = identifier(reader)
    if (code, definition) != (_STATION, _STATION):
        found = f"{code:02X}{definition:02X}"
        raise FrameError(NAME, reader.place - 2, f"{found} where a station's F1F1 stands")
    told.stations.append(reader.take(5, "a station's address").hex().upper())
    if with_class:
        kind = reader.take(1, "a station's class")[0]
        told.classes.append(words.CLASSES.get(kind, "not in the standard"))


def _element(reader: Reader, told: Report, uniform: bool) -> None:
    at = reader.place
    code, definition = identifier(reader)
    if code in (_TIME, _STATION, _MANUAL, _PICTURE) and definition != code:
        raise FrameError(NAME, at + 1, f"{definition:02X} behind {code:02X}: {code:02X} expected")
    if code == _TIME:
        told.times.append(bcd_time(reader.take(5, "an observation time"), reader.place - 5))
    elif code == _STATION:
        reader.at -= 2
        station(reader, told, with_class=True)
    elif code in (_MANUAL, _PICTURE, _BULK):
        _rest(code, reader, told)
    else:
        size = definition >> 3
        if size == 0:
            raise FrameError(NAME, at + 1, f"{code:02X} with a length of 0")
        data = reader.take(size, f"element {code:02X}")
        if code == _STEP:
            _take_step(data, at + 2, told)
        elif code == _STATE:
            _take_state(data, at + 2, told)
        elif _FIVES <= code < _BULK:
            _take_series(code, data, at + 2, told)
        else:
            _take_number(code, definition, data, reader, told, uniform)


def _rest(code: int, reader: Reader, told: Report) -> None:
    data = reader.take(reader.left, "the rest")
    if code == _MANUAL:
        text = data.decode("ascii", "replace")
        told.elements.append({"id": "F2", "key": "RGZS", "name": "manual values", "text": text})
    elif code == _PICTURE:
        size = {"id": "F3", "key": "PIC", "name": "picture", "bytes": len(data)}
        told.elements.append({**size, "jpeg": data[:3] == b"\xff\xd8\xff"})
    else:
        size = {"id": "FD", "key": "DATA", "name": "velocities", "bytes": len(data)}
        told.elements.append({**size, "raw": data.hex().upper()})


def _take_step(data: bytes, at: int, told: Report) -> None:
    if len(data) != 3:
        raise FrameError(NAME, at - 1, f"a time step of {len(data)} bytes: 3 expected")
    told.step = step(data, at)
    seconds = int(told.step.total_seconds())
    told.elements.append({"id": "04", "key": "DRxnn", "name": "time step", "seconds": seconds})


def _take_state(data: bytes, at: int, told: Report) -> None:
    if len(data) != 4:
        raise FrameError(NAME, at - 1, f"a state of {len(data)} bytes: 4 expected")
    told.elements.append({"id": "45", "key": "ZT", "name": "state and alarms", **state(data)})


def _take_series(code: int, data: bytes, at: int, told: Report) -> None:
    """Twelve values of five minutes: rain a byte each, levels two."""
    rain = code == _FIVES
    width, decimals, unit = (1, 1, "mm") if rain else (2, 2, "m")
    key = "DRP" if rain else f"DRZ{code - _LEVELS + 1}"
    name = "rain of 5 minutes" if rain else f"water level {code - _LEVELS + 1}, each 5 minutes"
    if len(data) != 12 * width:
        raise FrameError(NAME, at - 1, f"{key} of {len(data)} bytes: {12 * width} expected")
    series: list[str | None] = []
    for place in range(12):
        piece = data[place * width : (place + 1) * width]
        if set(piece) == {0xFF}:
            series.append(None)
            continue
        text = decimal_text(int.from_bytes(piece, "big"), decimals)
        series.append(text)
        when = told.observed + place * _FIVE_MINUTES if told.observed else None
        told.readings.append(Value(key, text, unit, when, name=name, source=told.station))
    told.elements.append(
        {"id": f"{code:02X}", "key": key, "name": name, "values": series, "unit": unit}
        | {"time": iso(told.observed)}
    )


def _take_number(
    code: int, definition: int, data: bytes, reader: Reader, told: Report, uniform: bool
) -> None:
    size, decimals = definition >> 3, definition & 7
    known = words.elements().get(code)
    key, unit, name = f"{code:02X}", "", "not in the standard"
    if known:
        key, unit, name = known.key, known.unit, known.name
    many = uniform and told.step is not None and told.step > timedelta(0)
    pieces = [data]
    if many:
        while reader.left >= size:
            pieces.append(reader.take(size, f"element {code:02X}"))
        if reader.left:
            text = f"{reader.left} bytes behind values of {size}"
            raise FrameError(NAME, reader.place, text)
    texts: list[str | None] = []
    first = reader.place - size * len(pieces)
    for place, piece in enumerate(pieces):
        value = number(piece, first + place * size)
        texts.append(None if value is None else decimal_text(value, decimals))
        if value is not None:
            when = told.observed
            if many and when is not None and told.step is not None:
                when += place * told.step
            text = texts[-1] or ""
            told.readings.append(Value(key, text, unit, when, name=name, source=told.station))
    if None in texts:
        told.notes.append(f"{key}: missing")
    element: dict[str, Any] = {"id": f"{code:02X}", "definition": f"{definition:02X}"}
    element |= {"key": key, "name": name}
    element |= {"values": texts} if many else {"value": texts[0]}
    told.elements.append(element | {"unit": unit, "time": iso(told.observed)})
