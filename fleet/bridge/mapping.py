"""The mapping file of a bridge: what it reads, and how a row of it becomes readings."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.bridge import keys, times, units
from fleet.bridge.keys import Keys
from fleet.legacy import sources
from fleet.registry.registers import REGISTERS
from fleet.registry.sub_devices import REGISTER
from fleet.telemetry.operations import QUALITIES, TelemetryError, quantity_code

KINDS = ("database", "folder", "mqtt", "rest")
# How the column `terminal` names one, and what the intake calls that.
BY = {
    "number": sources.NUMBER, "id": sources.TERMINAL, "imei": sources.IMEI,
    "phone": sources.PHONE, "hj212": sources.HJ212, "sl651": sources.SL651,
}  # fmt: skip
DEAD, SKIP = "dead", "skip"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_MOST_VALUES = 100


@dataclass(frozen=True)
class ValueRule:
    """One value of a row: `column` is `quantity` where all of `when` (column -> texts) is so.

    `factor` is what one of the column's counts is of the quantity's unit; `words`: text -> value.
    """

    column: str
    quantity: int
    factor: Fraction
    when: Mapping[str, tuple[str, ...]]
    words: Mapping[str, int]
    may_round: bool


@dataclass(frozen=True)
class Rules:
    """How a row becomes readings. `by`: a kind of fleet.legacy.sources; `meter`: the column of a
    meter's address behind the terminal, empty: none. `qualities`: text -> index of QUALITIES.
    """

    terminal: str
    by: str
    meter: str
    time: str
    time_of: Callable[[str], int]
    quality: str
    qualities: Mapping[str, int]
    values: tuple[ValueRule, ...]
    others: str
    skip: Mapping[str, tuple[str, ...]]

    @property
    def columns(self) -> tuple[str, ...]:
        """All that the rules look at, each once."""
        names = [self.terminal, self.meter, self.time, self.quality, *self.skip]
        for rule in self.values:
            names += [rule.column, *rule.when]
        return tuple(name for name in dict.fromkeys(names) if name)


@dataclass(frozen=True)
class Mapped:
    """A mapping file. `source` is the table [source], which its connector reads."""

    name: str
    kind: str
    source: Keys
    every_s: int
    batch: int
    rules: Rules


def read(path: Path) -> Mapped:
    """The file; MappingFault names the key."""
    root = keys.load(path)
    name = check_name(root, "name")
    source = root.table("source")
    kind = source.one_of("kind", KINDS)
    every_s = source.whole("every_s", 1, 86400, 1 if kind == "mqtt" else 60)
    batch = source.whole("batch", 1, 10_000, 500)
    table = root.table("map")
    rules = _rules(table)
    table.end()
    root.end()
    return Mapped(name, kind, source, every_s, batch, rules)


def check_name(root: Keys, key: str) -> str:
    """A name of 1 to 32 of a-z, 0-9 and -; it is a file's and a row's."""
    name = root.text(key)
    if not _NAME.fullmatch(name):
        raise root.fault(key, f"{name[:40]!r}: 1 to 32 of a-z, 0-9 and -")
    return name


def zone_of(table: Keys) -> ZoneInfo:
    """The zone of times that name none, China's unless the file says another."""
    name = table.text("zone", "Asia/Shanghai")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise table.fault("zone", f"{name[:40]!r} is no zone such as Asia/Shanghai") from None


def quantity_of(table: Keys) -> int:
    """The code of a quantity's name or number that can be stored."""
    name = table.text("quantity")
    try:
        code = quantity_code(name)
        units.of_quantity(code)
    except (TelemetryError, KeyError) as e:
        raise table.fault("quantity", str(e)[:300]) from None
    return code


def _rules(table: Keys) -> Rules:
    form = table.text("time_format", "iso")
    if not times.is_form(form):
        raise table.fault("time_format", "iso, s, ms, us, or such as %d.%m.%Y %H:%M")
    quality, qualities = _quality(table)
    found = tuple(_value(one) for one in table.tables("values"))
    if len(found) > _MOST_VALUES:
        raise table.fault("values", f"{_MOST_VALUES} at most")
    return Rules(
        table.text("terminal"), BY[table.one_of("by", list(BY), "number")],
        table.text("meter", ""), table.text("time"), times.reader(form, zone_of(table)), quality,
        qualities, found,
        table.one_of("others", (DEAD, SKIP), DEAD), table.lists("skip"),
    )  # fmt: skip


def _quality(table: Keys) -> tuple[str, dict[str, int]]:
    if "quality" not in table:
        return "", {}
    inner = table.table("quality")
    column = inner.text("column")
    found: dict[str, int] = {}
    for index, name in enumerate(QUALITIES):
        for text in inner.texts(name, ()):
            if text in found:
                raise inner.fault(name, f"{text!r} stands for two qualities")
            found[text] = index
    inner.end()
    if not found:
        raise inner.fault("good", 'which texts mean it, such as ["0", "OK"]')
    return column, found


def _value(table: Keys) -> ValueRule:
    code = quantity_of(table)
    unit = table.text("unit", "")
    factor = units.ratio(unit, code)
    if factor is None:
        own = units.of_quantity(code)[0] or "no unit"
        raise table.fault("unit", f"{unit[:20]!r} is no unit of what is stored in {own}")
    words = table.numbers("words")
    # An index bills: nobody rounds it who was not told to.
    is_register = code in REGISTERS or code in REGISTER.values()
    made = ValueRule(
        table.text("column"), code, factor * _scale(table), table.lists("when"), words,
        table.is_on("round", not is_register),
    )  # fmt: skip
    table.end()
    return made


def _scale(table: Keys) -> Fraction:
    text = table.text("scale", "1", 30)
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number == 0 or not -20 < number.adjusted() < 20:
        raise table.fault("scale", 'a number as text, such as "0.1"')
    return Fraction(number)
