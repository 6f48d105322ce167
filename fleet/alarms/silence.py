"""Alarms that are kept and not told: under maintenance, or for which another one stands.

Maintenance of a node or an asset silences all of its alarms; of an area, all but critical ones,
for danger to people is not on anybody's plan. It always has an end, at which what is still open
is told.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from fleet.alarms import acts, outbox
from fleet.alarms.errors import AlarmError
from fleet.alarms.kinds import CRITICAL
from fleet.alarms.tables import Alarm, Maintenance
from fleet.registry import operations as registry
from fleet.registry import whereabouts
from fleet.registry.operations import now_us

NODE, ASSET, AREA = "node", "asset", "area"
LONGEST_US = 90 * 86400 * 1_000_000
_CHUNK = 500
_CACHE = "alarm maintenance"  # of a session, which is one transaction
_NO_ALARM = "no such maintenance in force: kapok alarm maintenance list"


class Listed(NamedTuple):
    """A maintenance as lists show it; times in us since 1970 UTC."""

    id: int
    scope: str
    target: str
    from_us: int
    until_us: int
    reason: str
    person: str
    ended_us: int | None
    ended_by: str | None


def start(
    session: Session, scope: str, target: str, until_us: int, reason: str, person: str
) -> int:
    """Put a node, an asset or an area under maintenance from now on; its number.

    AlarmError for one that there is not, for an end that has passed or is over 90 days ahead.
    """
    _check_target(session, scope, target)
    now = now_us()
    if not now < until_us <= now + LONGEST_US:
        raise AlarmError("maintenance ends at a time to come, 90 days ahead at most")
    if not 0 < len(reason) <= 200 or not reason.isprintable():
        raise AlarmError("the reason takes 1 to 200 printable characters")
    row = Maintenance(
        scope=scope, target=target, from_us=now, until_us=until_us, reason=reason,
        person=acts.check_person(person),
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.info.pop(_CACHE, None)
    for part in _parts(session.scalars(select(Alarm.id).where(_open(), *_within(row)))):
        _silence(session, part, f"maintenance {row.id}: {reason}", maintenance_id=row.id)
    return row.id


def end(session: Session, identifier: int, person: str) -> None:
    """End a maintenance before its time; AlarmError when it is not in force."""
    row = session.get(Maintenance, identifier)
    if row is None or row.ended_us is not None:
        raise AlarmError(f"{identifier}: {_NO_ALARM}")
    _end(session, row, acts.check_person(person))


def waits(session: Session, now: int) -> bool:
    """Whether one is to be ended."""
    due = select(Maintenance.id).where(Maintenance.ended_us.is_(None), Maintenance.until_us <= now)
    return session.scalar(due.limit(1)) is not None


def expire(session: Session, now: int) -> int:
    """End those whose time has come; how many."""
    due = select(Maintenance).where(Maintenance.ended_us.is_(None), Maintenance.until_us <= now)
    rows = list(session.scalars(due.limit(_CHUNK)))
    for row in rows:
        _end(session, row, acts.FLEET)
    return len(rows)


def list_(session: Session, *, history: bool = False, limit: int = 1000) -> list[Listed]:
    """Those in force, newest first; all of them with `history`."""
    query = select(Maintenance).order_by(Maintenance.id.desc()).limit(limit)
    if not history:
        query = query.where(Maintenance.ended_us.is_(None))
    return [
        Listed(
            row.id, row.scope, row.target, row.from_us, row.until_us, row.reason, row.person,
            row.ended_us, row.ended_by,
        )
        for row in session.scalars(query)
    ]  # fmt: skip


def covering(session: Session, alarm: Alarm) -> int | None:
    """The maintenance that silences a new alarm; None: there is none, it is to be told."""
    if not _any_in_force(session):
        return None
    scopes: ColumnElement[bool] = (Maintenance.scope == NODE) & (
        Maintenance.target == (alarm.node_id or "")
    )
    scopes |= (Maintenance.scope == ASSET) & (Maintenance.target == str(alarm.asset_id or 0))
    if alarm.severity != CRITICAL:
        code = alarm.area_code or ""
        wider = [code[:length] for length in range(2, len(code) + 1)]
        scopes |= (Maintenance.scope == AREA) & Maintenance.target.in_(wider)
    now = now_us()
    return session.scalar(
        select(Maintenance.id)
        .where(Maintenance.ended_us.is_(None), Maintenance.until_us > now, scopes)
        .order_by(Maintenance.until_us.desc())
        .limit(1)
    )


def _any_in_force(session: Session) -> bool:
    """Asked once in a transaction: most often there is none at all."""
    known = session.info.get(_CACHE)
    if known is None:
        found = select(Maintenance.id).where(Maintenance.ended_us.is_(None)).limit(1)
        known = session.info[_CACHE] = session.scalar(found) is not None
    is_any: bool = known
    return is_any


def adopt(session: Session, parent: Alarm, children: Iterable[int], why: str) -> int:
    """`parent` stands for these alarms from now on; how many they are."""
    count = 0
    for part in _parts(children):
        _silence(session, part, why, parent_id=parent.id)
        count += len(part)
    return count


def orphan(session: Session, parent_id: int) -> None:
    """The alarm that stood for others has ended: those that are still open are told."""
    _show(session, Alarm.parent_id == parent_id, {"parent_id": None})


def _end(session: Session, row: Maintenance, person: str) -> None:
    row.ended_us, row.ended_by = now_us(), person
    session.flush()
    _show(session, Alarm.maintenance_id == row.id, {"maintenance_id": None})


def _silence(session: Session, ids: list[int], why: str, **values: int) -> None:
    session.execute(update(Alarm).where(Alarm.id.in_(ids)).values(**values))
    outbox.silenced(session, ids)
    acts.note(session, ids, "silenced", text=why)


def _show(session: Session, which: ColumnElement[bool], values: dict[str, None]) -> None:
    for alarm in list(session.scalars(select(Alarm).where(_open(), which))):
        for name in values:
            setattr(alarm, name, None)
        if alarm.parent_id is None and alarm.maintenance_id is None:
            alarm.maintenance_id = covering(session, alarm)  # another one may lie over it
            if alarm.maintenance_id is None:
                acts.note(session, [alarm.id], "shown")
                outbox.raised(session, alarm)
    session.flush()


def _open() -> ColumnElement[bool]:
    return Alarm.open_key.is_not(None)


def _within(row: Maintenance) -> list[ColumnElement[bool]]:
    free = Alarm.maintenance_id.is_(None)
    if row.scope == NODE:
        return [free, Alarm.node_id == row.target]
    if row.scope == ASSET:
        return [free, Alarm.asset_id == int(row.target)]
    inside = (Alarm.area_code >= row.target) & (Alarm.area_code < f"{row.target}:")
    return [free, inside, Alarm.severity != CRITICAL]


def _check_target(session: Session, scope: str, target: str) -> None:
    if scope == NODE:
        registry.show_node(session, target)
    elif scope == AREA:
        registry.check_area(session, target)
    elif scope == ASSET:
        is_number = target.isascii() and target.isdecimal() and len(target) < 10
        if not is_number or not whereabouts.of_assets(session, [int(target)]):
            raise AlarmError(f"there is no asset {target[:20]!r}: kapok node show tells a node's")
    else:
        raise AlarmError(f"maintenance of {scope[:20]!r}: node, asset or area")


def _parts(ids: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(list(ids))
    while part := list(islice(rest, _CHUNK)):
        yield part
