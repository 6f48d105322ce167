"""When a whole street is dark: one alarm of the area stands for those of its assets.

The alarms of the assets are kept, and nobody is told of them while the area's is open. What is
counted is only areas in which something changed.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from fleet.alarms import operations, silence
from fleet.alarms.details import Detail
from fleet.alarms.packs import Rules
from fleet.alarms.rules import Together
from fleet.alarms.tables import Alarm, Maintenance
from fleet.registry import whereabouts


def weigh(session: Session, rules: Rules, areas: Iterable[str]) -> None:
    """Raise or clear the alarms of `areas`, codes of any length, and silence what they cover."""
    changed = sorted(set(areas))
    if not changed:
        return
    session.flush()
    for rule in rules.together:
        for code in sorted({area[: rule.digits] for area in changed}):
            _weigh(session, rule, code)


def _weigh(session: Session, rule: Together, code: str) -> None:
    key = f"{rule.kind}/{code}"
    parent = session.scalar(select(Alarm).where(Alarm.open_key == key))
    # What somebody works at is dark on purpose: that raises no alarm of its street. Maintenance of
    # an area keeps no critical alarm silent, so its assets count.
    of_areas = select(Maintenance.id).where(Maintenance.scope == silence.AREA)
    told = Alarm.maintenance_id.is_(None) | Alarm.maintenance_id.in_(of_areas)
    free = [] if parent is not None else [told]
    affected = _affected(session, rule, code, *free)
    if parent is None and affected < rule.least:
        return  # most often: the street is not even counted
    total = whereabouts.count_assets(session, code, rule.role)
    is_on = affected * 100 >= rule.share * total and affected >= rule.least
    if parent is None and is_on:
        about = operations.About(rule.severity, area=code)
        detail: Detail = {
            "area": whereabouts.area_name(session, code), "affected": affected, "total": total,
        }  # fmt: skip
        operations.raise_alarm(session, rule.kind, code, detail, about)
        parent = session.scalar(select(Alarm).where(Alarm.open_key == key))
    elif parent is not None and (not affected or affected * 100 < rule.back_share * total):
        operations.clear(session, rule.kind, code)
        return
    if parent is not None:
        alone = select(Alarm.id).where(*_within(rule, code), Alarm.parent_id.is_(None))
        silence.adopt(session, parent, session.scalars(alone), f"alarm {parent.id}")


def _affected(session: Session, rule: Together, code: str, *which: ColumnElement[bool]) -> int:
    counted = select(func.count(func.distinct(Alarm.asset_id)))
    return session.scalar(counted.where(*_within(rule, code), *which)) or 0


def _within(rule: Together, code: str) -> list[ColumnElement[bool]]:
    return [
        Alarm.area_code >= code,
        Alarm.area_code < f"{code}:",  # behind '9'
        Alarm.kind.in_(rule.of),
        Alarm.open_key.is_not(None),  # as the index has it
        Alarm.asset_id.is_not(None),
    ]
