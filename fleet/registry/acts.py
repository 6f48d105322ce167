"""What a technician did, as data: it can wait in a file, and be taken in once, whenever."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet.registry.labels import LabelText, parse
from fleet.registry.operations import RegistryError, check_text

MAX_BYTES = 4000  # of an act in a file
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Install(NamedTuple):
    """A node was put at an asset. Position in 1e-7 degrees of WGS-84, None: not said.

    `asset` is a name, or `id:17`; `area` empty: the node's. `move`: it may come from elsewhere.
    """

    id: str
    at_us: int
    person: str
    label: LabelText
    asset: str
    area: str = ""
    latitude_e7: int | None = None
    longitude_e7: int | None = None
    photo: str = ""
    photo_sha256: str = ""
    address: str = ""
    move: bool = False


class Swap(NamedTuple):
    """A node took another's place. Registers as the dials showed them, empty without one."""

    id: str
    at_us: int
    person: str
    old: LabelText
    new: LabelText
    register_old: str = ""
    register_new: str = ""


Act = Install | Swap
_KINDS: dict[str, type[Install] | type[Swap]] = {"install": Install, "swap": Swap}


def new_id() -> str:
    """A UUID for a new act."""
    return str(uuid.uuid4())


def kind_of(act: Act) -> str:
    """Its name in files and in the database."""
    return "install" if isinstance(act, Install) else "swap"


def encode(act: Act) -> str:
    """One line of JSON, always the same for the same act."""
    values = {
        key: value.encode() if isinstance(value, LabelText) else value
        for key, value in act._asdict().items()
    }
    return json.dumps({"kind": kind_of(act), **values}, ensure_ascii=False, sort_keys=True)


def digest(act: Act) -> str:
    """SHA-256 of the line, in hexadecimal: two acts under one UUID show."""
    return hashlib.sha256(encode(act).encode()).hexdigest()


def decode(line: bytes) -> Act:
    """The act of one line; RegistryError for any other."""
    if len(line) > MAX_BYTES:
        raise RegistryError(f"{len(line)} bytes are no act: {MAX_BYTES} at most")
    try:
        raw = json.loads(line)
        shape = _KINDS[raw["kind"]]
        values = {key: value for key, value in raw.items() if key != "kind"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RegistryError("no act of kapok install or kapok swap") from None
    return _checked(shape, values)


def _checked(shape: type[Install] | type[Swap], values: Mapping[str, Any]) -> Act:
    if set(values) != set(shape._fields):
        raise RegistryError(f"an act has the keys {', '.join(shape._fields)}")
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key in {"label", "old", "new"}:
            made[key] = parse(_text(value, key))
        elif key == "at_us":
            made[key] = _number(value, key, 0, 1 << 53)
        elif key in {"latitude_e7", "longitude_e7"}:
            most = 900_000_000 if key == "latitude_e7" else 1_800_000_000
            made[key] = None if value is None else _number(value, key, -most, most)
        elif key == "move":
            if not isinstance(value, bool):
                raise RegistryError("an act's move is true or false")
            made[key] = value
        else:
            made[key] = _text(value, key)
    if not _UUID.fullmatch(made["id"]):
        raise RegistryError(f"an act's id is a UUID, not {made['id'][:40]!r}")
    check_text(made["person"], "an act's person")
    if made.get("photo_sha256") and not _SHA256.fullmatch(made["photo_sha256"]):
        raise RegistryError("an act's photo_sha256 is 64 hexadecimal digits")
    if (made.get("latitude_e7") is None) != (made.get("longitude_e7") is None):
        raise RegistryError("an act has both latitude_e7 and longitude_e7, or neither")
    return shape(**made)


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or len(value) > 500 or (value and not value.isprintable()):
        raise RegistryError(f"an act's {key} is a printable text of 500 characters at most")
    return value


def _number(value: object, key: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RegistryError(f"an act's {key} is a whole number of {least} to {most}")
    return value
