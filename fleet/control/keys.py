"""Keys of configuration as the firmware's own schema has them: checked here before they travel."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fleet import schema
from fleet.control.errors import ControlError
from fleet.schema import SchemaError
from fleet.wire import cbor

# A node that lives on a battery, and what wakes or talks too often costs it: key, least, why.
_BATTERY = ("gas-meter", "drainage")
_COSTS = (("report_s", 3600), ("sample_s", 60))
_STAND_INS = {"node": "0000000000", "modem": "bc660k", "pins": {}, "host": "fleet", "port": 8883}


class Key(NamedTuple):
    """A key of a role. `kind`: int, str, list or dict; `least` None but for int; `most` is a
    length but for int; `default` None: the key may be absent.
    """

    name: str
    kind: str
    least: int | None
    most: int
    default: object


def of_role(role: str) -> list[Key]:
    """Every key that may be set over the air, by name; ControlError when there is no such role."""
    try:
        rules = schema.rules(role)
    except SchemaError:
        raise ControlError(f"role {role[:20]!r}: one of {', '.join(schema.ROLES)}") from None
    return [
        Key(name, rule[0].__name__, rule[1] if rule[0] is int else None, rule[-2], rule[-1])
        for name, rule in sorted(rules.items())
        if name not in schema.FIXED
    ]


def knows(role: str, key: str) -> bool:
    """Whether nodes of a role take a key."""
    return key in schema.rules(role) and key not in schema.FIXED


def check_patch(patch: Mapping[str, Any], roles: Iterable[str]) -> None:
    """ControlError for a key that none of `roles` knows, or a value that one of them refuses."""
    roles = list(roles)
    if not patch:
        raise ControlError("nothing to set: KEY=VALUE")
    for key, value in patch.items():
        if key in schema.FIXED:
            raise ControlError(f"{key} is the board's: it is not set over the air")
        knowing = [role for role in roles if knows(role, key)]
        if not knowing:
            raise ControlError(
                f"no such key: {key[:40]!r}; kapok config schema {roles[0]} shows them"
            )
        for role in knowing:
            _judge(role, key, value)


def check_whole(role: str, values: Mapping[str, Any]) -> None:
    """ControlError where `values` contradict each other, or the defaults of what they lack.

    What else a node has is not known here: keys that hang together are set together.
    """
    mine = {key: value for key, value in values.items() if knows(role, key)}
    said = _contradiction(role, mine)
    if said is not None and said.key != getattr(_contradiction(role, {}), "key", None):
        raise ControlError(f"for a {role}: {said}; set together what hangs together")


def _contradiction(role: str, values: Mapping[str, Any]) -> SchemaError | None:
    try:
        schema.check({**_STAND_INS, "role": role, **values})
    except SchemaError as e:
        return e
    return None


def costly(values: Mapping[str, Any], roles: Iterable[str]) -> list[str]:
    """What of `values` a battery pays dearly for, as KEY=VALUE: of roles that have one."""
    if not set(roles) & set(_BATTERY):
        return []
    return [
        f"{key}={values[key]}"
        for key, least in _COSTS
        if isinstance(values.get(key), int) and 0 < values[key] < least
    ]


def named(crc: int, candidates: Iterable[str]) -> str | None:
    """The key whose CRC-32 a refusal told; None when it is none of `candidates`."""
    return next((key for key in candidates if zlib.crc32(key.encode()) == crc & 0xFFFFFFFF), None)


def all_keys() -> set[str]:
    """The keys of every role."""
    return {key for role in schema.ROLES for key in schema.rules(role)}


def _judge(role: str, key: str, value: object) -> None:
    rule = schema.rules(role)[key]
    if value is None:
        if key in schema.NEEDED:
            raise ControlError(f"{key} has no default to fall back to")
        return
    try:
        schema.judge(key, rule, value)
        cbor.decode(cbor.encode(value))
    except SchemaError as e:
        raise ControlError(f"for a {role}: {e}") from None
    except (cbor.CborError, UnicodeError) as e:
        raise ControlError(f"{key}: a value that cannot be sent: {e}") from None
