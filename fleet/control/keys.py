"""The keys of a node's configuration as people and programs see them: bounds from the firmware's
own schema, words and units from keys.toml.
"""

import functools
import tomllib
from binascii import crc32
from pathlib import Path
from typing import Any, NamedTuple

from fleet import schema
from fleet.control.errors import ControlError

_WORDS = Path(__file__).with_name("keys.toml")
_TYPES = {int: "integer", str: "text", list: "list", dict: "map"}


class Key(NamedTuple):
    """`least` and `most` of an integer; of a text, list or map `most` is its longest length.

    `default` None: the key may be absent. `fixed`: what the board is, which no patch changes.
    """

    name: str
    type: str
    least: int | None
    most: int
    default: Any
    unit: str
    fixed: bool
    en: str
    zh: str


@functools.cache
def words() -> dict[str, dict[str, dict[str, str]]]:
    """The text file: by role (or `common`) and key."""
    found: dict[str, dict[str, dict[str, str]]] = tomllib.loads(_WORDS.read_text("utf-8"))
    return found


def keys(role: str) -> list[Key]:
    """Every key of a role, in the schema's order; ControlError when there is no such role."""
    try:
        rules = schema.rules(role)
    except schema.SchemaError:
        raise ControlError(
            f"no such role: {role[:40]!r}; one of {', '.join(schema.ROLES)}"
        ) from None
    said = {**words()["common"], **words().get(role, {})}
    return [_key(name, rule, said.get(name, {})) for name, rule in rules.items()]


def name_of(role: str, code: int) -> str:
    """The key that a node names by the CRC-32 of its name; the number in hex where none is."""
    for key in keys(role):
        if crc32(key.name.encode()) == code:
            return key.name
    return f"{code:#010x}"


def _key(name: str, rule: tuple[Any, ...], said: dict[str, str]) -> Key:
    least = rule[1] if rule[0] is int else None
    return Key(
        name, _TYPES[rule[0]], least, rule[-2], rule[-1], said.get("unit", ""),
        name in schema.FIXED, said.get("en", ""), said.get("zh", ""),
    )  # fmt: skip
