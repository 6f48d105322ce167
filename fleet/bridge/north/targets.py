"""The file of a platform that is told readings: where it is, which assets, in what words."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from fleet.bridge import keys, units
from fleet.bridge.keys import Keys
from fleet.bridge.mapping import check_name, quantity_of
from fleet.telemetry import derived
from fleet.telemetry.operations import QUALITIES

HJ212, SL651, WEBHOOK = "hj212", "sl651", "webhook"
KINDS = (HJ212, SL651, WEBHOOK)
NOW, BEGINNING = "now", "beginning"


@dataclass(frozen=True)
class Word:
    """How a quantity is told: `key` a factor of HJ 212, an element of SL 651, or its name.

    One of `unit`, that of the key in its protocol unless the file says another, is `factor` of the
    quantity's; `decimals` are told.
    """

    quantity: int
    key: str
    factor: Fraction
    decimals: int
    unit: str


@dataclass(frozen=True)
class Station:
    """An asset, by name or as `id:N`, under the number that the platform gave it."""

    asset: str
    number: str


@dataclass(frozen=True)
class Target:
    """A platform. `platform` is the table [platform], which its connection reads.

    `stations` empty: all assets of `area` (webhooks alone). `words` empty: all quantities.
    """

    name: str
    kind: str
    platform: Keys
    every_s: int
    begin: str
    area: str
    qualities: tuple[int, ...]
    stations: tuple[Station, ...]
    words: tuple[Word, ...]


def read(path: Path) -> Target:
    """The file; MappingFault names the key."""
    root = keys.load(path)
    name = check_name(root, "name")
    kind = root.one_of("kind", KINDS)
    platform = root.table("platform")
    every_s = root.whole("every_s", 1, 86400, 5)
    begin = root.one_of("begin", (NOW, BEGINNING), NOW)
    area = root.text("area", "") if kind == WEBHOOK else ""
    usual = QUALITIES[:2] if kind == SL651 else QUALITIES  # SL 651 has no word for a suspect one
    told = root.texts("qualities", usual)
    for one in told:
        if one not in QUALITIES:
            raise root.fault("qualities", f"{one[:20]!r}: of {', '.join(QUALITIES)}")
    stations = _stations(root, kind)
    words = _words(root, kind)
    root.end()
    qualities = tuple(QUALITIES.index(one) for one in dict.fromkeys(told))
    return Target(name, kind, platform, every_s, begin, area, qualities, stations, words)


def _stations(root: Keys, kind: str) -> tuple[Station, ...]:
    if kind == WEBHOOK and "stations" not in root:
        return ()
    key = {HJ212: "mn", SL651: "station", WEBHOOK: "number"}[kind]
    found: dict[str, Station] = {}
    for one in root.tables("stations"):
        asset = one.text("asset", most=100)
        number = one.text(key, "" if kind == WEBHOOK else None, most=32)
        if kind == HJ212 and not (number.isascii() and number.isalnum()):
            raise one.fault(key, f"{number[:32]!r}: letters and digits, 24 in the standard")
        if kind == SL651:
            if not (number.isascii() and number.isdecimal() and len(number) <= 10):
                raise one.fault(key, f"{number[:32]!r}: up to 10 digits")
            number = number.zfill(10)
        one.end()
        if asset in found:
            raise one.fault("asset", f"{asset[:40]!r} is there twice")
        found[asset] = Station(asset, number)
    return tuple(found.values())


def _words(root: Keys, kind: str) -> tuple[Word, ...]:
    if kind == WEBHOOK and "values" not in root:
        return ()
    key = {HJ212: "factor", SL651: "element", WEBHOOK: "as"}[kind]
    found: dict[int, Word] = {}
    keys_said = set()  # a message has room for one value under each
    for one in root.tables("values"):
        code = quantity_of(one)
        own = units.of_quantity(code)[0]
        name = one.text(key, "" if kind == WEBHOOK else None, most=20)
        theirs = _unit_there(one, kind, key, name, code)
        if "unit" not in one and units.between(theirs, own) is None:
            there = f"is told in {theirs}" if theirs else "has no unit that is known"
            raise one.fault(
                key, f"{name} {there}, this is stored in {own or 'no unit'}: or give `unit`"
            )
        unit = one.text("unit", theirs)
        factor = units.between(unit, own)
        if factor is None:
            raise one.fault("unit", f"{unit[:20]!r} is no unit of what is stored in {own}")
        decimals = one.whole("decimals", 0, 9, units.usual_decimals(code, factor))
        one.end()
        if code in found:
            raise one.fault("quantity", "is there twice")
        if kind != WEBHOOK:
            figure = derived.figure_of(code) if kind == HJ212 else ""
            said = (name, derived.period_of(code), figure)
            if said in keys_said:
                raise one.fault(key, f"{name} of the same period is there twice")
            keys_said.add(said)
        found[code] = Word(code, name, factor, decimals, unit)
    return tuple(found.values())


def _unit_there(one: Keys, kind: str, key: str, name: str, code: int) -> str:
    """The unit that the protocol gives a factor or an element; empty where it gives none."""
    if kind == HJ212:
        from fleet.legacy.protocols import hj212_values

        known = hj212_values.factor(name)
        if known is None:
            raise one.fault(key, f"{name!r} is no factor of HJ 212, such as w01018")
        return known.total_unit if derived.figure_of(code) == "total" else known.unit
    if kind == SL651:
        from fleet.legacy.protocols import sl651_words, writing

        if name not in writing.SIZES:
            raise one.fault(key, f"{name!r}: one of {', '.join(writing.SIZES)}")
        return next(each.unit for each in sl651_words.elements().values() if each.key == name)
    return units.of_quantity(code)[0]
