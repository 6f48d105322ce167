"""Which rules are in force: the packs that come along, unless switched off or replaced, and those
that were added. They are read in each transaction, so that all processes agree at once.
"""

import hashlib
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.alarms import acts, pack_file
from fleet.alarms.errors import PackError
from fleet.alarms.rules import Missing, Pack, Rate, Rule, Stuck, Threshold, Together
from fleet.alarms.tables import Alarm, RulePack, WatchState
from fleet.registry.operations import now_us

_FOLDER = Path(__file__).with_name("packs")
_CACHE = "alarm rules"  # of a session, which is one transaction
_Key = tuple[tuple[str, str], ...]


class Rules:
    """The rules in force, by what asks for them."""

    def __init__(self, packs: tuple[Pack, ...]) -> None:
        rules = [rule for pack in packs for rule in pack.rules]
        self.by_kind: dict[str, Rule] = {rule.kind: rule for rule in rules}
        self.of_series: dict[tuple[str, int], list[Threshold | Rate]] = {}
        self.of_silence: dict[str, list[Missing | Stuck]] = {}
        self.together: list[Together] = []
        for rule in rules:
            if isinstance(rule, Threshold | Rate):
                self.of_series.setdefault((rule.role, rule.quantity), []).append(rule)
            elif isinstance(rule, Missing | Stuck):
                self.of_silence.setdefault(rule.role, []).append(rule)
            elif isinstance(rule, Together):
                self.together.append(rule)
        self.joined = frozenset(kind for rule in self.together for kind in rule.of)


class Listed(NamedTuple):
    """A pack as lists show it. `origin`: built-in, replaced (by another text) or added."""

    name: str
    title: str
    origin: str
    is_on: bool
    rules: int
    changed_us: int | None
    changed_by: str | None


def in_force(session: Session) -> Rules:
    """The rules of all packs that are on; what a database holds was checked when it was added."""
    known = session.info.get(_CACHE)
    if known is None:
        on = dict.fromkeys(built_in(), "")
        for row in session.execute(select(RulePack.name, RulePack.digest, RulePack.is_on)):
            on.pop(row.name, None)
            if row.is_on:
                on[row.name] = row.digest
        key: _Key = tuple(sorted(on.items()))
        known = _compiled.get(key)
        if known is None:
            known = Rules(tuple(_load(session, name, digest) for name, digest in key))
            _compiled.clear()  # of the states before nobody asks any more
            _compiled[key] = known
        session.info[_CACHE] = known
    found: Rules = known
    return found


_compiled: dict[_Key, Rules] = {}


def add(session: Session, text: str, person: str) -> Pack:
    """Take in a pack, in the place of one of the same name; PackError when it is not good."""
    pack = pack_file.parse(text)
    row = session.get(RulePack, pack.name) or RulePack(name=pack.name)
    before = _rules_of(session, pack.name)
    row.text, row.digest = text, _digest(text)
    _changed(session, row, True, person)
    _ended(session, before - {rule.kind for rule in pack.rules}, person)
    return pack


def switch(session: Session, name: str, on: bool, person: str) -> None:
    """Put a pack in force, or out of it; its open alarms end with it. PackError."""
    row = session.get(RulePack, name)
    if row is None:
        if name not in built_in():
            raise _unknown(name)
        row = RulePack(name=name, text=None, digest="")
    before = _rules_of(session, name)
    _changed(session, row, on, person)
    if not on:
        _ended(session, before, person)


def remove(session: Session, name: str, person: str) -> None:
    """Forget a pack that was added; a built-in one is as it came again. PackError."""
    before = _rules_of(session, name)
    session.execute(delete(RulePack).where(RulePack.name == name))
    session.info.pop(_CACHE, None)
    if not before and name not in built_in():
        raise _unknown(name)
    _ended(session, before - _rules_of(session, name), person)


def list_(session: Session, lang: str) -> list[Listed]:
    """All packs, on or off, by name."""
    rows = {row.name: row for row in session.scalars(select(RulePack))}
    found = []
    for name in sorted({*built_in(), *rows}):
        row = rows.get(name)
        pack = _load(session, name, row.digest if row is not None else "")
        origin = "added" if name not in built_in() else "built-in"
        if origin == "built-in" and row is not None and row.text is not None:
            origin = "replaced"
        found.append(
            Listed(
                name, pack.titles[lang], origin, row is None or row.is_on, len(pack.rules),
                row.changed_us if row else None, row.changed_by if row else None,
            )
        )  # fmt: skip
    return found


def text_of(session: Session, name: str) -> str:
    """The TOML of a pack; PackError when there is none."""
    row = session.get(RulePack, name)
    if row is not None and row.text is not None:
        return row.text
    if name in built_in():
        return built_in()[name]
    raise _unknown(name)


@cache
def built_in() -> dict[str, str]:
    """The packs that come along, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in _FOLDER.glob("*.toml")}


def _changed(session: Session, row: RulePack, on: bool, person: str) -> None:
    row.is_on, row.changed_us, row.changed_by = on, now_us(), acts.check_person(person)
    session.add(row)
    session.flush()
    session.info.pop(_CACHE, None)


def _ended(session: Session, kinds: set[str], person: str) -> None:
    """What rules raised that are no more would never end: it ends here."""
    from fleet.alarms import operations

    open_ones = select(Alarm).where(Alarm.open_key.is_not(None), Alarm.kind.in_(sorted(kinds)))
    for alarm in list(session.scalars(open_ones)):
        operations.clear_by_id(session, alarm.id, person)
        session.execute(
            delete(WatchState).where(
                WatchState.asset_id == alarm.asset_id, WatchState.rule == alarm.kind
            )
        )


def _rules_of(session: Session, name: str) -> set[str]:
    return {kind for kind, rule in in_force(session).by_kind.items() if rule.pack == name}


def _load(session: Session, name: str, digest: str) -> Pack:
    if not digest:
        return _parsed(built_in()[name])
    return _parsed(text_of(session, name))


@lru_cache(64)
def _parsed(text: str) -> Pack:
    return pack_file.parse(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _unknown(name: str) -> PackError:
    return PackError(f"there is no rule pack {name[:40]!r}: kapok alarm pack list")
