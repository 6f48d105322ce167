"""What a technician did for a work order, as data: it can wait in a file, and is taken in once."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet.migration.breaches import LedgerError
from fleet.registry.operations import check_text

MAX_BYTES = 4000  # of an act in a file
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIAL = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))?")
_MOST_MODULUS = 1 << 53


class Start(NamedTuple):
    """Somebody is on his way with an order."""

    id: str
    at_us: int
    person: str
    order: int


class Done(NamedTuple):
    """An order was carried out. `old` and `new` are scans, `new` empty where by its item's
    path the same terminal stays, or nothing comes; `final` and `initial` what their dials showed,
    empty where nobody could read them.

    `unit`, `decimals`, `modulus` tell how the new one's register is read; unit empty: as its
    quantity; modulus 0: it never begins anew. `iccid`: of the card that came into a terminal that
    stays.
    """

    id: str
    at_us: int
    person: str
    order: int
    old: str
    new: str = ""
    mode: str = "beside"
    final: str = ""
    initial: str = ""
    unit: str = ""
    decimals: int = 0
    modulus: int = 0
    photo: str = ""
    photo_sha256: str = ""
    note: str = ""
    iccid: str = ""


Act = Start | Done
_KINDS: dict[str, type[Start] | type[Done]] = {"m-start": Start, "m-done": Done}


def kind_of(act: Act) -> str:
    """Its name in files and in the database."""
    return "m-start" if isinstance(act, Start) else "m-done"


def encode(act: Act) -> str:
    """One line of JSON, always the same for the same act."""
    return json.dumps({"kind": kind_of(act), **act._asdict()}, ensure_ascii=False, sort_keys=True)


def digest(act: Act) -> str:
    """SHA-256 of the line, in hexadecimal: two acts under one UUID show."""
    return hashlib.sha256(encode(act).encode()).hexdigest()


def decode(line: bytes) -> Act:
    """The act of one line; LedgerError for any other."""
    if len(line) > MAX_BYTES:
        raise LedgerError(f"{len(line)} bytes are no act: {MAX_BYTES} at most")
    try:
        raw = json.loads(line)
        shape = _KINDS[raw["kind"]]
        values = {key: value for key, value in raw.items() if key != "kind"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise LedgerError("no act of kapok migrate work") from None
    return check(shape, values)


def check(shape: type[Start] | type[Done], values: Mapping[str, Any]) -> Act:
    """An act of these values; LedgerError."""
    if set(values) != set(shape._fields):
        raise LedgerError(f"an act has the keys {', '.join(shape._fields)}")
    most = {"at_us": 1 << 53, "order": 1 << 53, "decimals": 9, "modulus": _MOST_MODULUS}
    for key, value in values.items():
        if key in most:
            is_number = isinstance(value, int) and not isinstance(value, bool)
            if not is_number or not 0 <= value <= most[key]:
                raise LedgerError(f"an act's {key} is a whole number of 0 to {most[key]}")
        elif not isinstance(value, str) or len(value) > 500 or (value and not value.isprintable()):
            raise LedgerError(f"an act's {key} is a printable text of 500 characters at most")
    act = shape(**values)
    if not _UUID.fullmatch(act.id):
        raise LedgerError(f"an act's id is a UUID, not {act.id[:40]!r}")
    check_text(act.person, "an act's person")
    if isinstance(act, Done):
        if act.photo_sha256 and not _SHA256.fullmatch(act.photo_sha256):
            raise LedgerError("an act's photo_sha256 is 64 hexadecimal digits")
        for text in (act.final, act.initial):
            if text:
                dial(text, 9)
    return act


def dial(text: str, decimals: int) -> int:
    """What a dial shows, such as 1234.567, in counts of 10**-decimals; LedgerError."""
    found = _DIAL.fullmatch(text)
    fraction = (found[2] or "") if found else ""
    if found is None or fraction[decimals:].strip("0"):
        raise LedgerError(f"dial {text[:20]!r}: digits with up to {decimals} decimals")
    return int(found[1] + fraction[:decimals].ljust(decimals, "0"))
