"""Events that nodes record, as alarms: the record says that it began or ended, and when.

An event's records are a series like any other, so the newest one that is stored tells which of
those that come now are late: they are history and change nothing.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from fleet.alarms import details, operations
from fleet.alarms.details import Detail
from fleet.alarms.heard import Heard
from fleet.alarms.kinds import BY_EVENT, KINDS, UNKNOWN_EVENT
from fleet.registry.whereabouts import Whereabouts
from fleet.telemetry import newest
from fleet.wire.quantity import EVENT


def take(
    session: Session,
    heard: Sequence[Heard],
    where: Mapping[int, Whereabouts],
    joined: frozenset[str],
    now_us: int,
) -> set[str]:
    """Raise and clear what the event records among `heard`, none of them stored yet, say.

    `joined`: kinds for which an alarm of a street may stand. The areas of what was changed.
    """
    events = [
        (record, quantity, value)
        for record in sorted(heard, key=lambda each: each.order)
        for quantity, value in record.values
        if quantity >= EVENT and record.asset_id in where
    ]
    if not events:
        return set()
    stored = newest.newest(session, {(r.asset_id, q) for r, q, _ in events}, now_us)
    areas = set()
    for record, quantity, value in events:
        if record.at_us < stored.get((record.asset_id, quantity), -1):
            continue
        place = where[record.asset_id]
        if _event(session, record, quantity - EVENT, value, place, joined):
            areas.add(place.area)
    return areas


def _event(
    session: Session, record: Heard, code: int, value: int, place: Whereabouts,
    joined: frozenset[str],
) -> bool:  # fmt: skip
    kind = BY_EVENT.get(code, UNKNOWN_EVENT)
    subject = details.subject(record.asset_id)
    if KINDS[kind].about == "node":
        subject = record.node_id
    if value == 0 and record.by_file:
        return False
    if value == 0:
        return operations.clear(session, kind, subject, ended_us=record.at_us)
    detail: Detail = {
        **details.of_asset(record.asset_id, place, record.node_id),
        "since": record.at_us, "measured": details.measured(record),
    }  # fmt: skip
    if kind == UNKNOWN_EVENT:
        detail["code"] = code
    about = operations.About(
        "", record.node_id, record.asset_id, place.area, record.at_us,
        details.GRACE_US if kind in joined else 0,
    )  # fmt: skip
    return operations.raise_alarm(session, kind, subject, detail, about)
