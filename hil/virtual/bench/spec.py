"""What stands on a bench: boards by name, with what may be odd about one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fleet.errors import Refusal

MOST = 64
SECURITY = ("encrypted", "secure-boot", "secure-download", "no-download")


class SpecError(Refusal, ValueError):
    """A spec cannot be used; the text is one line."""


@dataclass(frozen=True)
class Spec:
    """One board: its description's name, faults by their names in `Faults`, burnt eFuses."""

    board: str
    faults: Mapping[str, int | bool] = field(default_factory=dict)
    security: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the bench's folder."""
        return asdict(self)


def parse(text: str) -> Spec:
    """`BOARD[,KEY[=VALUE]]...`: see `KEYS`; SpecError says what is wrong."""
    name, *rest = text.split(",")
    if not name:
        raise SpecError(f"{text!r} names no board, as in esp32c3-bc95,dies-at=60%")
    faults: dict[str, int | bool] = {}
    security: list[str] = []
    for item in rest:
        key, _, value = item.partition("=")
        if key in SECURITY and not value:
            security.append(key)
        elif key in KEYS:
            faults[KEYS[key]] = _value(text, key, value)
        else:
            known = ", ".join([*KEYS, *SECURITY])
            raise SpecError(f"{key!r} in {text!r} is none of {known}")
    return Spec(name, faults, tuple(security))


KEYS = {  # in a spec: in Faults
    "dies-at": "dies_at_percent",
    "unplug-after": "unplug_after",
    "flip-at": "flip_at",
    "nak": "nak_blocks",
    "no-en-capacitor": "no_en_capacitor",
    "silent": "silent",
}
_PLAIN = ("no-en-capacitor", "silent")


def _value(text: str, key: str, value: str) -> int | bool:
    if key in _PLAIN:
        if value:
            raise SpecError(f"{key} in {text!r} takes no value")
        return True
    digits = value.removesuffix("%") if key == "dies-at" else value
    try:
        number = int(digits, 0)
    except ValueError:
        number = -1
    if number < 0 or (key == "dies-at" and number > 100):
        raise SpecError(f"{item_of(key)} in {text!r}: {value!r} is no such number")
    return number


def item_of(key: str) -> str:
    """How the key is written."""
    return {"dies-at": "dies-at=PERCENT%", "nak": "nak=BLOCKS"}.get(key, f"{key}=BYTES")


def saved(items: Sequence[Mapping[str, Any]]) -> list[Spec]:
    """Back from the bench's folder."""
    try:
        return [Spec(i["board"], dict(i["faults"]), tuple(i["security"])) for i in items]
    except (KeyError, TypeError, ValueError):
        raise SpecError("the list of boards in the bench's folder is damaged") from None
