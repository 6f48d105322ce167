"""What nodes can be asked for, each as SQL; names of other packages' tables end here.

A comparison with what is not known of a node is false, so that `not` of it is true: ask
`is known` where that matters.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, false, not_, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from fleet.control.desired_tables import GroupMember
from fleet.control.targets import within
from fleet.query.errors import QueryError
from fleet.query.grammar import Comparison, Value
from fleet.registry.operations import ROLES, STATES
from fleet.registry.tables import Installation, Terminal, TerminalTag
from fleet.telemetry.tables import Reading
from fleet.updates.tables import Running

BATTERY, SIGNAL = 100, 101  # quantities: mV, dBm of RSRP
_UNITS_S = {"m": 60, "h": 3600, "d": 86400}
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_BATTERY = re.compile(r"([0-9]{1,5})mV|([0-9]{1,2}(?:\.[0-9]{1,3})?)V")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")

Bool = ColumnElement[bool]
Read = Callable[[str], Any]


class Context(NamedTuple):
    """What a query is asked with: the time, us."""

    now_us: int


def newest(quantity: int) -> ScalarSelect[int]:
    """The newest value of a quantity that a node told, of where it is installed now."""
    return (
        select(Reading.value)
        .join(Installation, Installation.asset_id == Reading.asset_id)
        .where(
            Installation.open_for == Terminal.id, Reading.quantity == quantity,
            Reading.terminal_id == Terminal.id, Reading.clock_off.is_(False),
        )
        .order_by(Reading.time_us.desc())
        .limit(1)
        .correlate(Terminal)
        .scalar_subquery()
    )  # fmt: skip


def compared(one: Comparison, context: Context) -> Bool:
    """A comparison as SQL over Terminal, with Running joined from outside; QueryError."""
    rule = FIELDS.get(one.field)
    if rule is None:
        raise QueryError(one.at, f"{one.field[:40]!r} is none of {', '.join(FIELDS)}")
    return rule(one, context)


def _text(column: Any, read: Read) -> Callable[[Comparison, Context], Bool]:
    """Of a column with one text: =, in."""

    def made(one: Comparison, _context: Context) -> Bool:
        if one.sign == "known":
            return _is_known(column)
        found = [_read(read, value) for value in _members(one)]
        return and_(_is_known(column), column.in_(found))

    return made


def _area(one: Comparison, _context: Context) -> Bool:
    """An area and all that lies in it."""
    if one.sign == "known":
        return true()
    codes = [_read(_code, value) for value in _members(one)]
    column = Terminal.area_code
    return or_(false(), *(within(column, code) for code in codes))


def _number(column: Any, read: Read) -> Callable[[Comparison, Context], Bool]:
    def made(one: Comparison, _context: Context) -> Bool:
        if one.sign == "known":
            return _is_known(column)
        if one.sign != "in":
            return and_(_is_known(column), _against(column, one.sign, _read(read, one.values[0])))
        found = []
        for value in one.values:
            if value.last is None:
                found.append(column == _read(read, value))
                continue
            parts = []
            if value.first:
                parts.append(column >= _read(read, value))
            if value.last:
                parts.append(column <= _read(read, Value(value.last, None, value.at)))
            found.append(and_(*parts))
        return and_(_is_known(column), or_(*found))

    return made


def _member(table: Any, column: Any, node: Any) -> Callable[[Comparison, Context], Bool]:
    """Of what a node may have several: tags, groups."""

    def made(one: Comparison, _context: Context) -> Bool:
        mine = node == Terminal.id
        if one.sign == "known":
            return exists().where(mine).correlate(Terminal)
        names = [_read(_name, value) for value in _members(one)]
        return exists().where(mine, column.in_(names)).correlate(Terminal)

    return made


def _seen(one: Comparison, context: Context) -> Bool:
    """How long ago it reported last."""
    column = Terminal.last_report_us
    if one.sign == "known":
        return column.is_not(None)
    if one.sign == "in":
        raise QueryError(one.at, "seen takes <, <=, > or >=, such as seen < 7d")
    then = context.now_us - _read(_age, one.values[0]) * 1_000_000
    turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[one.sign]
    return and_(column.is_not(None), _against(column, turned, then))


def _is_known(column: Any) -> Bool:
    if isinstance(column, InstrumentedAttribute) and not column.property.columns[0].nullable:
        # Of a joined row every column may be missing.
        return column.is_not(None) if column.class_ is Running else true()
    return column.is_not(None)  # type: ignore[no-any-return]


def _against(column: Any, sign: str, value: int) -> Bool:
    made: Bool = {
        "<": column < value, "<=": column <= value, ">": column > value, ">=": column >= value
    }[sign]  # fmt: skip
    return made


def _members(one: Comparison) -> tuple[Value, ...]:
    if one.sign != "in":
        raise QueryError(one.at, f"{one.field} takes =, != and `in` only")
    for value in one.values:
        if value.last is not None:
            raise QueryError(value.at, f"{one.field} takes no range")
    return one.values


def _read(read: Read, value: Value) -> Any:
    try:
        return read(value.first)
    except ValueError as e:
        raise QueryError(value.at, f"{value.first[:40]!r}: {e}") from None


def _one_of(*names: str) -> Read:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return read


def _matching(pattern: re.Pattern[str], what: str) -> Read:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(what)
        return text

    return read


def _whole(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a whole number")
    return int(text)


def _millivolts(text: str) -> int:
    found = _BATTERY.fullmatch(text)
    if not found:
        raise ValueError("a battery's voltage, such as 3.3V or 3300mV")
    if found[1]:
        return int(found[1])
    whole, _, part = found[2].partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0") or "0")


def _age(text: str) -> int:
    unit = _UNITS_S.get(text[-1:])
    if unit is None or not re.fullmatch(r"[0-9]{1,5}", text[:-1]):
        raise ValueError("an age, such as 90m, 36h or 7d")
    return int(text[:-1]) * unit


_name = _matching(_NAME, "a name of 1 to 64 characters")
_code = _matching(re.compile(r"[0-9]{2,12}"), "an area's code, 2 to 12 digits")
_node = _matching(re.compile(r"[0-9a-z]{10}"), "a node id, 10 characters")

FIELDS: dict[str, Callable[[Comparison, Context], Bool]] = {
    "role": _text(Terminal.role, _one_of(*ROLES)),
    "area": _area,
    "board": _text(Terminal.board, _name),
    "version": _number(Running.sequence, _whole),
    "battery": _number(newest(BATTERY), _millivolts),
    "signal": _number(newest(SIGNAL), _whole),
    "tag": _member(TerminalTag, TerminalTag.tag, TerminalTag.node_id),
    "group": _member(GroupMember, GroupMember.group_name, GroupMember.node_id),
    "state": _text(Terminal.state, _one_of(*STATES)),
    "node": _text(Terminal.id, _node),
    "seen": _seen,
}


def negated(condition: Bool) -> Bool:
    """What a condition is not; every condition here is true or false, never NULL."""
    return not_(condition)
