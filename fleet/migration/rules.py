"""The planner's rules as data: read, checked, and asked. Another file is another plan."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fleet.migration.errors import MigrationError
from fleet.query.errors import QueryError
from fleet.query.grammar import Both, Comparison, Either, Every, Not, Tree, Value, parse

DEFAULT = Path(__file__).with_name("rules.toml")
NB, CAT1, REDCAP = "NB-IoT", "Cat1", "RedCap"
GATEWAY, LEGACY, NONE = "gateway", "legacy", "none"
TARGETS = (NB, CAT1, REDCAP, GATEWAY, LEGACY, NONE)
PATHS = (
    "configuration", "esim-profile", "sim-swap", "module-swap", "replacement", "gateway-bridge",
    "master-station", "retire",
)  # fmt: skip
NUMBERS = ("bytes_day", "reports_day", "latency", "rate", "ecl", "rsrp", "sunset")
WORDS = (
    "kind", "area", "model", "protocol", "operator", "bearer", "power", "mobility", "voice", "nb",
    "confidence", "capable", "sim", "sim_lock", "site_state",
)  # fmt: skip
OF_PATHS = ("target", "fits", "sim_fits", "module", "configured_by")
NAMES = ("reports", "bytes", "latency", "rate", "ecl", "evidence", "until", "power")
Facts = Mapping[str, Any]
_FIELD = re.compile(r"\{(\w+)\}")
_UNITS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUMBER = re.compile(r"([+-]?[0-9]{1,12})(ms|s|m|h|d)?")
_MOST = 200_000  # bytes of a rules file
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Rule(NamedTuple):
    """`bearer` where `when` holds; `because` by language, with {names}."""

    name: str
    bearer: str
    when: Tree
    source: str
    because: Mapping[str, str]


class Path_(NamedTuple):  # noqa: N801  # pathlib has the plain name
    """A way to the target; `minutes` of a technician, `fen` of money."""

    name: str
    when: Tree
    source: str
    minutes: int
    fen: int


@dataclass(frozen=True)
class Rules:
    """A rules file. `text` is what it was read from."""

    text: str
    rules: tuple[Rule, ...]
    paths: tuple[Path_, ...]
    assumed: Mapping[str, Mapping[str, Any]]
    coverage: Mapping[str, Any]
    cells: Mapping[str, Any]

    def path(self, name: str) -> Path_:
        """By its name; one that an item has of an older file, and this has not, costs nothing."""
        return next(
            (each for each in self.paths if each.name == name), Path_(name, Every(), "all", 0, 0)
        )


def load(path: Path | None = None) -> Rules:
    """The rules of a file, by default those that come along; MigrationError."""
    path = path or DEFAULT
    if path.stat().st_size > _MOST:
        raise MigrationError(f"{path.name}: over {_MOST // 1000} kB are no rules")
    try:
        return read(path.read_text(encoding="utf-8"), path.name)
    except UnicodeError:
        raise MigrationError(f"{path.name} is no UTF-8 text") from None


def read(text: str, name: str = "rules") -> Rules:
    """The rules of a text; MigrationError names the entry that is wrong."""
    try:
        raw = tomllib.loads(text)
        rules = tuple(_rule(one, name) for one in raw["rule"])
        paths = tuple(_path(one, name) for one in raw["path"])
        assumed = {kind: dict(one) for kind, one in raw.get("assumed", {}).items()}
        return Rules(text, rules, paths, assumed, _coverage(raw), _cells(raw))
    except tomllib.TOMLDecodeError as e:
        raise MigrationError(f"{name} is no TOML: {e}") from None
    except KeyError as e:
        why = f"{e.args[0]} is missing: take kapok's own as a model"
        raise MigrationError(f"{name}: {why}") from None
    except (TypeError, AttributeError, ValueError) as e:
        if isinstance(e, MigrationError):
            raise
        raise MigrationError(f"{name}: an entry has another shape than kapok's own: {e}") from None


def holds(tree: Tree, facts: Facts) -> bool:
    """Whether a condition is true of facts; a comparison with what is not known is false."""
    match tree:
        case Comparison():
            return _compared(tree, facts)
        case Not():
            return not holds(tree.part, facts)
        case Both():
            return all(holds(part, facts) for part in tree.parts)
        case Either():
            return any(holds(part, facts) for part in tree.parts)
        case Every():
            return True


def _rule(raw: Mapping[str, Any], where: str) -> Rule:
    name = _named(raw, where)
    bearer = raw["bearer"]
    if bearer not in TARGETS:
        raise MigrationError(f"{where}, rule {name}: bearer is one of {', '.join(TARGETS)}")
    because = raw["because"]
    for lang in ("en", "zh"):
        wrong = [each for each in _FIELD.findall(because[lang]) if each not in NAMES]
        if wrong:
            known = ", ".join(NAMES)
            raise MigrationError(f"{where}, rule {name}: {{{wrong[0]}}} is none of {known}")
    when = _condition(raw["when"], (*WORDS, *NUMBERS), f"{where}, rule {name}")
    return Rule(name, bearer, when, raw["when"], dict(because))


def _path(raw: Mapping[str, Any], where: str) -> Path_:
    name = _named(raw, where)
    if name not in PATHS:
        raise MigrationError(f"{where}, path {name}: one of {', '.join(PATHS)}")
    when = _condition(raw["when"], (*WORDS, *NUMBERS, *OF_PATHS), f"{where}, path {name}")
    minutes, fen = _whole(raw["minutes"], name, 10_000), _whole(raw["fen"], name, 10**9)
    return Path_(name, when, raw["when"], minutes, fen)


def _named(raw: Mapping[str, Any], where: str) -> str:
    name = raw["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MigrationError(f"{where}: a name {str(name)[:24]!r} is of a-z, 0-9 and -")
    return name


def _condition(text: str, fields: tuple[str, ...], where: str) -> Tree:
    try:
        tree = parse(text)
        _check(tree, fields)
    except QueryError as e:
        raise MigrationError(f"{where}: {e}") from None
    return tree


def _check(tree: Tree, fields: tuple[str, ...]) -> None:
    match tree:
        case Comparison():
            if tree.field not in fields:
                raise QueryError(tree.at, f"{tree.field[:40]!r} is none of {', '.join(fields)}")
            if tree.field in NUMBERS:
                for value in tree.values:
                    _bounds(value)
            elif tree.sign not in ("in", "known"):
                raise QueryError(tree.at, f"{tree.field} is a word: =, !=, in")
        case Not():
            _check(tree.part, fields)
        case Both() | Either():
            for part in tree.parts:
                _check(part, fields)
        case Every():
            pass


def _compared(one: Comparison, facts: Facts) -> bool:
    fact = facts.get(one.field)
    if fact is None or fact == "":
        return False
    if one.sign == "known":
        return True
    if one.field in NUMBERS:
        return _number(one, fact)
    said = {value.first for value in one.values}
    return not said.isdisjoint(fact) if isinstance(fact, frozenset) else fact in said


def _number(one: Comparison, fact: int) -> bool:
    if one.sign == "in":
        bounds = [_bounds(value) for value in one.values]
        return any(least <= fact <= most for least, most in bounds)
    limit, _ = _bounds(one.values[0])
    return {
        "<": fact < limit, "<=": fact <= limit, ">": fact > limit, ">=": fact >= limit
    }[one.sign]  # fmt: skip


def _bounds(value: Value) -> tuple[int, int]:
    least = _read(value.first, value) if value.first else -(1 << 62)
    if value.last is None:
        return least, least
    return least, _read(value.last, value) if value.last else 1 << 62


def _read(text: str, value: Value) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise QueryError(value.at, f"{text[:24]!r}: a whole number, such as 10000, 10s or 50ms")
    return int(found[1]) * _UNITS[found[2] or ""]


def _coverage(raw: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(raw["coverage"])
    for name in ("ecl0_dbm", "ecl1_dbm", "none_dbm"):
        if not -150 <= found[name] <= -30:
            raise MigrationError(f"[coverage] {name}: -150 to -30 dBm")
    radii = found["radii_m"]
    if not radii or sorted(radii) != radii or not 1 <= radii[0] <= radii[-1] <= 5000:
        raise MigrationError("[coverage] radii_m: rising, from 1 to 5000 m")
    for name in ("neighbours", "own", "days"):
        _whole(found[name], name, 10_000)
    return found


def _cells(raw: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(raw["cells"])
    for name, most in (
        ("devices", 10**7), ("tones", 48), ("busy_permille", 1000), ("window_h", 24)
    ):  # fmt: skip
        if _whole(found[name], name, most) < 1:
            raise MigrationError(f"[cells] {name}: 1 to {most}")
    if len(found["airtime_ms"]) != 3 or min(found["airtime_ms"]) < 1:
        raise MigrationError("[cells] airtime_ms: of ECL 0, 1 and 2")
    return found


def _whole(value: object, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise MigrationError(f"{name}: a whole number up to {most}")
    return value


def fill(text: str, values: Mapping[str, str]) -> str:
    """A `because` with its {names} filled in."""
    return _FIELD.sub(lambda found: values[found[1]], text)
