"""Rule packs, TOML, read strictly: every key is known, of its type and within its bounds, or the
pack is refused by a line that names rule and key. docs/operations.md has the format.
"""

import re
import tomllib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fleet.alarms.errors import PackError
from fleet.alarms.kinds import KINDS, SEVERITIES
from fleet.alarms.rules import Missing, Pack, Rate, Rule, Stuck, Threshold, Together
from fleet.registry.operations import ROLES
from fleet.registry.sub_devices import KINDS as SUB_KINDS
from fleet.telemetry.operations import QUALITIES, TelemetryError, quantity_code
from fleet.texts import LANGUAGES
from fleet.wire import quantity as quantities

MOST_BYTES = 65536
MOST_RULES = 100
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
_RULE_NAME = re.compile(r"[a-z][a-z0-9-]{0,18}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# What a text may name.
NAMES = frozenset(
    ("asset", "node", "area", "value", "limit", "change", "over", "since", "affected", "total")
)
_DAY_S = 86400
_LONGEST_S = 400 * _DAY_S
_WINDOW_S = 7 * _DAY_S  # of a rate: its readings are read at each report
_MOST = 1 << 53


def parse(text: str) -> Pack:
    """The pack that a text is; PackError in one line."""
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise PackError(f"a rule pack has at most {MOST_BYTES} bytes")
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError) as e:
        raise PackError(f"no TOML: {(str(e).splitlines() or ['?'])[0][:200]}") from None
    top = _Table(raw, "the pack")
    name = top.text("name", _NAME)
    titles = top.texts("title")
    rules = top.take("rule", list, "a list of [[rule]] tables")
    top.end()
    if not 0 < len(rules) <= MOST_RULES:
        raise PackError(f"pack {name}: 1 to {MOST_RULES} rules, not {len(rules)}")
    made: dict[str, Rule] = {}
    for number, each in enumerate(rules, 1):
        rule = _rule(name, each, f"pack {name}, rule {number}")
        if rule.name in made:
            raise PackError(f"pack {name}: two rules are named {rule.name!r}")
        made[rule.name] = rule
    own = {rule.kind for rule in made.values() if not isinstance(rule, Together)}
    for rule in made.values():
        for kind in rule.of if isinstance(rule, Together) else ():
            if kind not in KINDS and kind not in own:
                raise PackError(
                    f"pack {name}, rule {rule.name}: of: no such kind of alarm: {kind[:40]!r}"
                )
    return Pack(name, titles, tuple(made.values()))


def _rule(pack: str, raw: object, where: str) -> Rule:
    table = _Table(raw, where)
    name = table.text("name", _RULE_NAME)
    table.where = f"pack {pack}, rule {name}"
    kind = table.choice("kind", tuple(_KINDS))
    texts = {lang: table.message(lang) for lang in LANGUAGES}
    if _names(texts["en"]) != _names(texts["zh"]):
        raise PackError(f"{table.where}: en and zh name different {{things}}")
    common = {
        "pack": pack, "name": name,
        "severity": table.choice("severity", SEVERITIES),
        "role": table.choice("role", tuple(dict.fromkeys((*ROLES, "gateway", *SUB_KINDS)))),
        "texts": texts,
    }  # fmt: skip
    rule = _KINDS[kind](table, common)
    table.end()
    return rule


def _series(table: "_Table", common: dict[str, Any]) -> dict[str, Any]:
    qualities = table.take("qualities", list, "a list", ["good", "estimated"])
    for each in qualities:
        if each not in QUALITIES:
            raise table.error("qualities", f"of {', '.join(QUALITIES)}")
    if not qualities:
        raise table.error("qualities", "not empty")
    return {
        **common,
        "quantity": table.quantity(),
        "qualities": frozenset(QUALITIES.index(each) for each in qualities),
        "hold_us": table.seconds("hold_s", 0, _LONGEST_S, 0),
        "back_hold_us": table.seconds("back_hold_s", 0, _LONGEST_S, 0),
    }


def _threshold(table: "_Table", common: dict[str, Any]) -> Rule:
    series = _series(table, common)
    side = table.either("above", "below")
    limit = table.amount(side, series["quantity"])
    back = table.amount("back", series["quantity"], limit)
    if (back > limit) if side == "above" else (back < limit):
        raise table.error("back", f"on the other side of {side}")
    return Threshold(**series, limit=limit, back=back, is_above=side == "above")


def _rate(table: "_Table", common: dict[str, Any]) -> Rule:
    series = _series(table, common)
    side = table.either("rise", "fall")
    change = table.amount(side, series["quantity"])
    back = table.amount("back", series["quantity"], change)
    if not 0 <= back <= change or change == 0:
        raise table.error("back", f"from 0 to {side}, and {side} is above 0")
    over_us = table.seconds("over_s", 1, _WINDOW_S)
    return Rate(**series, change=change, back=back, over_us=over_us, is_rise=side == "rise")


def _missing(table: "_Table", common: dict[str, Any]) -> Rule:
    # Of a sub-device its gateway's report says nothing.
    needed = "quantity" in table.raw or common["role"] in SUB_KINDS
    quantity = table.quantity() if needed else None
    return Missing(**common, quantity=quantity, after_us=table.seconds("after_s", 60, _LONGEST_S))


def _stuck(table: "_Table", common: dict[str, Any]) -> Rule:
    quantity = table.quantity()
    besides = table.take("besides", list, "a list of values", [])
    return Stuck(
        **common,
        quantity=quantity,
        for_us=table.seconds("for_s", 60, _LONGEST_S),
        least=table.whole("least", 2, 1000),
        besides=frozenset(table.scaled("besides", value, quantity) for value in besides),
    )


def _together(table: "_Table", common: dict[str, Any]) -> Rule:
    of = table.take("of", list, "a list of kinds of alarms")
    if not of or not all(isinstance(each, str) for each in of):
        raise table.error("of", "a list of kinds of alarms")
    share = table.whole("share", 1, 100)
    return Together(
        **common,
        of=tuple(dict.fromkeys(of)),
        least=table.whole("least", 2, 100000),
        share=share,
        back_share=table.whole("back_share", 1, share, share),
        digits=table.whole("digits", 2, 12, 9),
    )


_KINDS: dict[str, Callable[["_Table", dict[str, Any]], Rule]] = {
    "threshold": _threshold,
    "rate": _rate,
    "missing": _missing,
    "stuck": _stuck,
    "together": _together,
}


class _Table:
    """A table whose keys are taken one by one; `end` refuses what nobody took."""

    def __init__(self, raw: object, where: str) -> None:
        self.where = where
        if not isinstance(raw, dict):
            raise PackError(f"{where}: a table")
        self.raw: dict[str, Any] = raw
        self._taken: set[str] = set()

    def error(self, key: str, wanted: str) -> PackError:
        return PackError(f"{self.where}: {key}: {wanted}")

    def end(self) -> None:
        for key in self.raw:
            if key not in self._taken:
                known = ", ".join(sorted(self._taken))
                raise PackError(f"{self.where}: no such key: {key[:40]!r}; it takes {known}")

    def take(self, key: str, kind: type, wanted: str, default: Any = None) -> Any:
        self._taken.add(key)
        value = self.raw.get(key, default)
        if value is None:
            raise self.error(key, "is missing")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, wanted)
        return value

    def text(self, key: str, grammar: re.Pattern[str]) -> str:
        value: str = self.take(key, str, "a text")
        if not grammar.fullmatch(value):
            raise self.error(key, f"{value[:40]!r} is not of the form {grammar.pattern}")
        return value

    def choice(self, key: str, of: tuple[str, ...]) -> str:
        value: str = self.take(key, str, "a text")
        if value not in of:
            raise self.error(key, f"{value[:40]!r}: one of {', '.join(of)}")
        return value

    def either(self, one: str, other: str) -> str:
        self._taken |= {one, other}
        if (one in self.raw) == (other in self.raw):
            raise PackError(f"{self.where}: {one} or {other}, one of the two")
        return one if one in self.raw else other

    def texts(self, key: str) -> dict[str, str]:
        table = _Table(self.take(key, dict, "a table of en and zh"), f"{self.where}: {key}")
        found = {lang: table.message(lang) for lang in LANGUAGES}
        table.end()
        return found

    def message(self, lang: str) -> str:
        value: str = self.take(lang, str, "a text")
        if not 0 < len(value) <= 400 or not value.isprintable():
            raise self.error(lang, "1 to 400 printable characters")
        if not _names(value) <= NAMES or set("{}") & set(_PLACEHOLDER.sub("", value)):
            raise self.error(lang, f"{{names}} are of {', '.join(sorted(NAMES))}")
        return value

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        value: int = self.take(key, int, "a whole number", default)
        if not least <= value <= most:
            raise self.error(key, f"{least} to {most}, not {value}")
        return value

    def seconds(self, key: str, least: int, most: int, default: int | None = None) -> int:
        return self.whole(key, least, most, default) * 1_000_000

    def quantity(self) -> int:
        name: str = self.take("quantity", str, "a quantity's name")
        try:
            code = quantity_code(name)
        except TelemetryError as e:
            raise self.error("quantity", str(e)) from None
        if code not in quantities.QUANTITIES or code in quantities.ABOUT_ITSELF:
            raise self.error("quantity", f"{name!r} is not one that assets have")
        return code

    def amount(self, key: str, quantity: int, default: int | None = None) -> int:
        if key not in self.raw and default is not None:
            self._taken.add(key)
            return default
        return self.scaled(key, self.take(key, object, "a number"), quantity)

    def scaled(self, key: str, value: object, quantity: int) -> int:
        """A value in the quantity's unit as the wire's integer."""
        _name, unit, decimals = quantities.QUANTITIES[quantity]
        wanted = f"a number ({unit or 'no unit'}) with up to {decimals} decimals"
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.error(key, wanted)
        if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() > 20):
            raise self.error(key, wanted)
        whole = Decimal(value).scaleb(decimals)
        if whole != whole.to_integral_value() or abs(whole) > _MOST:
            raise self.error(key, wanted)
        return int(whole)


def _names(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))
