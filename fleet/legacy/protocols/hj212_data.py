"""The data of an HJ 212 packet: the fields before CP, and what stands between CP's ampersands."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from fleet.legacy.protocols.frame import FrameError, moment

_NAME = "hj212"
_HEAD = 6  # bytes before the data
_ORDER = ("QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO")
_RULES = {
    "QN": (re.compile(r"[0-9]{17}"), "a time of 17 digits"),
    "ST": (re.compile(r"[0-9A-Z]{2}"), "two digits or capitals"),
    "CN": (re.compile(r"[0-9]{4}"), "four digits"),
    "PW": (re.compile(r"[0-9A-Za-z]{1,9}"), "up to six letters or digits"),
    "MN": (re.compile(r"[0-9A-Za-z_-]{1,32}"), "letters and digits"),
    "Flag": (re.compile(r"[0-9]{1,3}"), "a number up to 255"),
    "PNUM": (re.compile(r"[0-9]{1,4}"), "a number up to 9999"),
    "PNO": (re.compile(r"[0-9]{1,4}"), "a number up to 9999"),
}
_ANSWERS = ("9011", "9012", "9013", "9014")
_FIELD = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_TIMES = ("DataTime", "SystemTime", "BeginTime", "EndTime", "RestartTime", "AlarmTime")
MAX_CP = 950  # bytes between the ampersands (table 3)


@dataclass
class Head:
    """The fields before CP."""

    fields: dict[str, str]
    flag: int | None = None
    pnum: int | None = None
    pno: int | None = None
    extra: tuple[tuple[str, str], ...] = field(default=())


def parse(data: bytes) -> tuple[Head, str, list[str]]:
    """(fields, content of CP, notes); FrameError where a field is missing or wrong."""
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise FrameError(_NAME, _HEAD + e.start, "no UTF-8 text") from None
    before, sign, cp = text.partition("CP=&&")
    if not sign:
        raise FrameError(_NAME, _HEAD, "no CP=&& in the data")
    if not cp.endswith("&&"):
        raise FrameError(
            _NAME, _HEAD + len(data), "CP does not end with && at the end of the data"
        )
    cp = cp[:-2]
    if "&&" in cp:
        at = len(text[: text.index("&&", len(before) + 5)].encode())
        raise FrameError(_NAME, _HEAD + at, "something behind the && that ends CP")
    if before and not before.endswith(";"):
        raise FrameError(_NAME, _HEAD + len(before.encode()) - 1, "no ; before CP")
    head, notes = _fields(before[:-1] if before else "")
    if len(cp.encode()) > MAX_CP:
        notes.append(f"CP has {len(cp.encode())} bytes: the standard has up to {MAX_CP}")
    return head, cp, notes


def groups(cp: str, at: int) -> tuple[tuple[tuple[tuple[str, str], ...], ...], list[str]]:
    """(items of CP, notes): items between ;, in each the pairs between commas.

    A value between // is a log's, which may hold all that separates. `at`: where CP stands.
    """
    made, notes = [], []
    if not cp.strip():
        return (), (["blanks in an empty CP"] if cp else [])
    pieces = _cut(cp, ";")
    if len(pieces) > 1 and not pieces[-1].strip():
        notes.append("a ; at the end of CP")
        pieces.pop()
    for piece in pieces:
        pairs: list[tuple[str, str]] = []
        for pair in _cut(piece, ","):
            name, sign, value = pair.partition("=")
            if name != name.strip():
                notes.append(f"blanks around {name.strip()}")
            name = name.strip()
            if not sign or not _FIELD.fullmatch(name):
                raise FrameError(_NAME, at, f"no name=value in CP: {pair[:40]!r}")
            _time(name, value, at)
            if name in dict(pairs):
                notes.append(f"{name} twice in an item")
            pairs.append((name, value))
        made.append(tuple(pairs))
    return tuple(made), notes


@lru_cache(4096)  # the same few times stand all over a packet, and in those of a minute
def stamp(text: str) -> datetime | None:
    """YYYYMMDDhhmmss, with zzz behind it or not; None where it is no time."""
    if len(text) not in (14, 17) or not (text.isascii() and text.isdigit()):
        return None
    try:
        parts = [int(text[:4]), *(int(text[i : i + 2]) for i in range(4, 14, 2))]
        return moment(*parts) + timedelta(milliseconds=int(text[14:] or 0))
    except (ValueError, OverflowError):
        return None


def _fields(text: str) -> tuple[Head, list[str]]:
    fields: dict[str, str] = {}
    extra: list[tuple[str, str]] = []
    notes: list[str] = []
    at = _HEAD
    for part in text.split(";") if text else []:
        name, sign, value = part.partition("=")
        if not sign:
            raise FrameError(_NAME, at, f"no name=value before CP: {part[:40]!r}")
        if name in fields or name in dict(extra):
            raise FrameError(_NAME, at, f"{name} twice")
        if name in _RULES:
            rule, words = _RULES[name]
            if not rule.fullmatch(value):
                raise FrameError(_NAME, at, f"{name}={value[:40]}: {words}")
            fields[name] = value
        elif _FIELD.fullmatch(name):
            extra.append((name, value))
            notes.append(f"{name}: not a field of the standard")
        else:
            raise FrameError(_NAME, at, f"no name=value before CP: {part[:40]!r}")
        at += len(part.encode()) + 1
    if list(fields) != [name for name in _ORDER if name in fields]:
        notes.append("fields in another order")
    return _whole(fields, extra, notes)


def _whole(
    fields: dict[str, str], extra: list[tuple[str, str]], notes: list[str]
) -> tuple[Head, list[str]]:
    flag = int(fields["Flag"]) if "Flag" in fields else None
    old = not (flag or 0) >> 2
    for name in ("ST", "CN", "PW", "MN"):
        if name in fields:
            continue
        # An answer to data or to a notice has in 2005 nothing of these two but what CP repeats.
        answers = fields.get("ST") == "91" and fields.get("CN") in _ANSWERS
        if not (old and answers and name in ("PW", "MN")):
            raise FrameError(_NAME, _HEAD, f"{name} is missing")
        notes.append(f"no {name}, as in answers of 2005")
    if flag is not None and flag > 255:
        raise FrameError(_NAME, _HEAD, f"Flag={flag}: a number up to 255")
    if not old and "QN" not in fields:
        raise FrameError(_NAME, _HEAD, "QN is missing")
    if "QN" in fields and stamp(fields["QN"]) is None:
        raise FrameError(_NAME, _HEAD, f"QN={fields['QN']} is no time")
    pnum = int(fields["PNUM"]) if "PNUM" in fields else None
    pno = int(fields["PNO"]) if "PNO" in fields else None
    if (pnum is None) != (pno is None):
        raise FrameError(_NAME, _HEAD, "one of PNUM and PNO alone")
    if (flag or 0) & 2 and pnum is None:
        told = "Flag says that packets have numbers: no PNUM and PNO"
        if not old:
            raise FrameError(_NAME, _HEAD, told)
        notes.append(told)  # the requests of 2005 have Flag=3 and no numbers
    if pnum is not None and pno is not None and not 1 <= pno <= pnum:
        raise FrameError(_NAME, _HEAD, f"packet {pno} of {pnum}")
    if len(fields.get("PW", "")) > 6:
        notes.append(f"PW of {len(fields['PW'])} characters: 6 in the standard")
    usual = 14 if old else 24
    if "MN" in fields and len(fields["MN"]) != usual:
        notes.append(f"MN of {len(fields['MN'])} characters: {usual} in the standard")
    return Head(fields, flag, pnum, pno, tuple(extra)), notes


def _cut(text: str, sign: str) -> list[str]:
    """`text` at each `sign` that does not stand in a value between //."""
    if "=//" not in text:
        return text.split(sign)
    pieces, start, at = [], 0, 0
    while at < len(text):
        if text.startswith("=//", at):
            end = text.find("//", at + 3)
            at = len(text) if end < 0 else end + 2
        elif text[at] == sign:
            pieces.append(text[start:at])
            at += 1
            start = at
        else:
            at += 1
    return [*pieces, text[start:]]


def _time(name: str, value: str, at: int) -> None:
    if (name in _TIMES or name.endswith("-SampleTime")) and stamp(value) is None:
        raise FrameError(_NAME, at, f"{name}={value[:40]} is no time")
