"""Which value of a frame is which quantity of the fleet's, as data; and its exact integer."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fleet.errors import Refusal
from fleet.legacy.intake import MOST
from fleet.legacy.intake import Value as Taken
from fleet.legacy.protocols import frame, hj212_values
from fleet.registry.registers import REGISTERS
from fleet.registry.sub_devices import REGISTER
from fleet.telemetry import derived
from fleet.telemetry.operations import QUALITIES, quantity_code

_FILE = Path(__file__).with_name("mapping.toml")
_PLACES = 20  # more than any stored value has
_COUNTERS = REGISTERS | set(REGISTER.values())
_PERIODS = {"2051": "minute", "2061": "hour", "2031": "day"}  # HJ 212's CN
_FIGURES = {
    "Avg": "mean", "Min": "min", "Max": "max", "Cou": "total", "ZsAvg": "converted_mean",
    "ZsMin": "converted_min", "ZsMax": "converted_max",
}  # fmt: skip


class BadMapping(Refusal):
    """An entry of a mapping that cannot be used."""


class Entry(NamedTuple):
    """What a key means: `unit` as the codec gives it, `total` that of its totals, empty: none."""

    quantity: int
    unit: str
    factor: Decimal
    total: str


class Unmapped(NamedTuple):
    """A value that is no quantity of the fleet's: as it came."""

    key: str
    unit: str
    value: str
    time_us: int


@dataclass
class Mapped:
    """The values of one frame, sorted."""

    values: list[Taken] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)


class Meanings:
    """The tables by protocol; those of legacy.toml win over the shipped ones."""

    def __init__(self, own: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._tables = {name: dict(table) for name, table in _shipped().items()}
        for name, table in (own or {}).items():
            if name not in self._tables:
                known = ", ".join(self._tables)
                raise BadMapping(f"legacy.toml: [map.{name}]: one of {known}")
            for key, told in table.items():
                self._tables[name][key] = _entry(f"legacy.toml: map.{name}.{key}", told)

    def hj212(self, cn: str, values: Iterable[frame.Value], received_us: int) -> Mapped:
        """The readings of a packet with the command `cn`."""
        return self._sorted(values, received_us, lambda value: self._of_hj212(cn, value))

    def sl651(self, values: Iterable[frame.Value], received_us: int) -> Mapped:
        """The readings of a station's report."""
        table = self._tables["sl651"]
        return self._sorted(
            values, received_us, lambda value: _plain(table.get(value.key), value.unit)
        )

    def _of_hj212(self, cn: str, value: frame.Value) -> tuple[int, Decimal] | None:
        code, _, kind = value.key.rpartition("-")
        entry = self._tables["hj212"].get(code)
        if entry is None:
            known = hj212_values.factor(code)  # by the code of 2005
            entry = None if known is None else self._tables["hj212"].get(known.code)
        if entry is None:
            return None
        if kind == "Rtd":
            return _plain(entry, value.unit)
        if kind == "ZsRtd":
            found = _plain(entry, value.unit)
            return found and (derived.code_of(found[0], "now", "converted"), found[1])
        if kind not in _FIGURES or cn not in _PERIODS:
            return None
        made = derived.code_of(entry.quantity, _PERIODS[cn], _FIGURES[kind])
        if kind == "Cou":
            return (made, Decimal(1)) if entry.total and value.unit == entry.total else None
        return (made, entry.factor) if value.unit == entry.unit else None

    @staticmethod
    def _sorted(values: Iterable[frame.Value], received_us: int, find: Any) -> Mapped:
        made = Mapped()
        for value in values:
            at_us = received_us if value.time is None else micros(value.time)
            found = find(value)
            number = None if found is None else scaled(found[0], value.value, found[1])
            if found is None or number is None or not 0 <= at_us <= MOST:
                made.unmapped.append(
                    Unmapped(value.key[:40], value.unit[:16], value.value[:40], at_us)
                )
                continue
            made.values.append(Taken(found[0], at_us, number, QUALITIES.index(value.quality)))
        return made


def scaled(quantity: int, text: str, factor: Decimal = Decimal(1)) -> int | None:
    """A number's text in the quantity's own scale; None for what is none, or too large.

    Digits beyond the scale are dropped of a register, which must never show more than its dial,
    and rounded of all else.
    """
    known = derived.entry(quantity)
    if known is None:
        return None
    try:
        exact = (Decimal(text) * factor).scaleb(known[2])
        if exact.adjusted() > _PLACES:  # as an integer it could have a million digits
            return None
        way = ROUND_FLOOR if quantity in _COUNTERS else ROUND_HALF_EVEN
        number = int(exact.to_integral_value(way))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return number if abs(number) <= MOST else None


@lru_cache(4096)
def micros(moment: datetime) -> int:
    """An aware time in us since 1970 UTC, exact."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond


def _plain(entry: Entry | None, unit: str) -> tuple[int, Decimal] | None:
    if entry is None or unit != entry.unit:
        return None
    return entry.quantity, entry.factor


def _entry(where: str, told: Any) -> Entry:
    strange = set(told) - {"quantity", "unit", "factor", "total"} if isinstance(told, dict) else 1
    if strange or "quantity" not in told:
        raise BadMapping(f'{where}: a table such as {{ quantity = "level", unit = "m" }}')
    texts = {name: told.get(name, "") for name in ("quantity", "unit", "total")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise BadMapping(f"{where}: quantity, unit and total are texts")
    try:
        factor = Decimal(told.get("factor", "1"))
        code = quantity_code(texts["quantity"])
    except (InvalidOperation, TypeError, ValueError) as e:
        raise BadMapping(f"{where}: {e or 'factor: a number as text'}") from None
    if code not in range(1, 300) or derived.entry(code) is None:
        raise BadMapping(f"{where}: {texts['quantity']} is no reading of an asset")
    if not factor.is_finite() or not factor:
        raise BadMapping(f"{where}: factor: a number as text, not 0")
    return Entry(code, texts["unit"], factor, texts["total"])


@cache
def _shipped() -> dict[str, dict[str, Entry]]:
    loaded = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {
        name: {key: _entry(f"mapping.toml: {name}.{key}", told) for key, told in table.items()}
        for name, table in loaded.items()
    }
