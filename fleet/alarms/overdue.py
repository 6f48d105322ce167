"""What does not come: `missing` and `stuck` rules, by a queue that an index keeps in order.

Each asset that such a rule is for has a row with a time to look again. It is not moved when a
report comes, which would be a write for each: only when its time has come is the newest reading
asked, and the row goes on from there. So a tick costs what is due, whatever the fleet's size.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.alarms import details, operations
from fleet.alarms.heard import Heard
from fleet.alarms.hysteresis import Phase
from fleet.alarms.packs import Rules, in_force
from fleet.alarms.rules import Missing, Stuck
from fleet.alarms.tables import WatchState
from fleet.alarms.watches import Watches
from fleet.control.stack import stacks
from fleet.registry import whereabouts
from fleet.registry.tables import Terminal
from fleet.registry.whereabouts import Whereabouts
from fleet.telemetry import newest

_Came = tuple[int, int]  # us, value
MOST = 500  # rows of one tick
_AGAIN = 16  # a series that stopped is looked at so many times in the span of its rule


def heard_from(
    session: Session,
    rules: Rules,
    heard: Sequence[Heard],
    reported: Iterable[tuple[str, int]],
    where: Mapping[int, Whereabouts],
    watches: Watches,
    now_us: int,
) -> set[str]:
    """Queue assets that are new to these rules, and clear what has come again.

    `reported`: (node id, asset) of each report, those without records too. The areas of what
    was cleared.
    """
    values: dict[tuple[int, int], list[_Came]] = {}
    by_node = [record for record in heard if not record.by_file]
    for record in by_node:
        for quantity, value in record.values:
            values.setdefault((record.asset_id, quantity), []).append((record.at_us, value))
    present = {asset_id for _, asset_id in reported} | {each.asset_id for each in by_node}
    areas = set()
    for asset_id in sorted(present & where.keys()):
        for rule in rules.of_silence.get(where[asset_id].kind, ()):
            if rule.quantity is None:
                came = [(now_us, 0)]
            else:
                came = values.get((asset_id, rule.quantity), [])
            if came and _note(session, rule, asset_id, came, watches, now_us):
                areas.add(where[asset_id].area)
    return areas


def waits(session: Session, now_us: int) -> bool:
    """Whether something is due."""
    due = select(WatchState.asset_id).where(WatchState.due_us <= now_us).limit(1)
    return session.scalar(due) is not None


def tick(session: Session, now_us: int) -> tuple[int, set[str]]:
    """Look at what is due; how many rows that were, and the areas of what was raised."""
    rows = list(
        session.scalars(
            select(WatchState)
            .where(WatchState.due_us <= now_us)
            .order_by(WatchState.due_us)
            .limit(MOST)
        )
    )
    if not rows:
        return 0, set()
    rules = in_force(session)
    where = whereabouts.of_assets(session, {row.asset_id for row in rows})
    areas = set()
    for row in rows:
        rule = rules.by_kind.get(row.rule)
        place = where.get(row.asset_id)
        # Of a rule or an asset that there is no more, nobody asks.
        serving = None if place is None else whereabouts.serving(session, row.asset_id)
        if not isinstance(rule, Missing | Stuck) or serving is None or place is None:
            session.delete(row)
        elif serving.state != "active":
            row.due_us = now_us + _span(rule)
        elif _judge(session, rule, row, place, serving, now_us, rules):
            areas.add(place.area)
    session.flush()
    return len(rows), areas


def _span(rule: Missing | Stuck) -> int:
    return rule.after_us if isinstance(rule, Missing) else rule.for_us


def _note(
    session: Session, rule: Missing | Stuck, asset_id: int, came: list[_Came], watches: Watches,
    now_us: int,
) -> bool:  # fmt: skip
    row = watches.rows.get((asset_id, rule.kind))
    if row is None:
        watches.add(asset_id, rule.kind, now_us + _span(rule))
        return False
    if row.phase != Phase.RAISED:
        return False
    if isinstance(rule, Stuck) and not _moves(session, rule, row, came, now_us):
        return False
    row.phase, row.due_us = int(Phase.QUIET), now_us + _span(rule)
    return operations.clear(session, rule.kind, details.subject(asset_id), ended_us=now_us)


def _judge(
    session: Session, rule: Missing | Stuck, row: WatchState, place: Whereabouts,
    serving: Terminal, now_us: int, rules: Rules,
) -> bool:  # fmt: skip
    """Raise, or put the row where it is due next; whether it was raised."""
    if isinstance(rule, Missing):
        found = _silence(session, rule, row.asset_id, serving, now_us)
    else:
        found = _standstill(session, rule, row.asset_id, now_us)
    if found.due_us > now_us:
        row.due_us = found.due_us
        return False
    row.phase, row.due_us = int(Phase.RAISED), None
    row.since_us, row.seen_us, row.value = found.since_us, found.last_us, found.value
    detail = {**details.of_asset(row.asset_id, place, serving.id), "since": found.since_us}
    if rule.quantity is not None:
        detail["quantity"] = rule.quantity
    if isinstance(rule, Stuck):
        detail["value"] = found.value
    grace_us = details.GRACE_US if rule.kind in rules.joined else 0
    about = operations.About(
        rule.severity, serving.id, row.asset_id, place.area, found.since_us, grace_us
    )
    return operations.raise_alarm(session, rule.kind, details.subject(row.asset_id), detail, about)


def _moves(session: Session, rule: Stuck, row: WatchState, came: list[_Came], now_us: int) -> bool:
    """Whether another value came, and not one from before."""
    others = [at_us for at_us, value in came if value != row.value]
    if not others:
        return False
    series = row.asset_id, rule.quantity
    return max(others) >= newest.newest(session, [series], now_us).get(series, -1)


class _Finding(NamedTuple):
    """Since when, at which value, by which newest reading. `due_us` ahead: all is well."""

    since_us: int
    value: int
    last_us: int
    due_us: int


def _silence(
    session: Session, rule: Missing, asset_id: int, serving: Terminal, now_us: int
) -> _Finding:
    last_us = serving.added_us
    if rule.quantity is None:
        last_us = max(last_us, serving.last_report_us or 0)
    else:
        found = newest.last(session, (asset_id, rule.quantity), now_us)
        last_us = found[0] if found is not None else last_us
    # A node that is wanted to report rarely is not missed before its second report is.
    wanted = next((keys for _, keys in stacks(session, [serving.id])), {}).get("report_s")
    after_us = max(rule.after_us, 2 * wanted.value * 1_000_000 if wanted is not None else 0)
    return _Finding(last_us, 0, last_us, last_us + after_us)


def _standstill(session: Session, rule: Stuck, asset_id: int, now_us: int) -> _Finding:
    later = now_us + rule.for_us // _AGAIN
    series = asset_id, rule.quantity
    found = newest.last(session, series, now_us)
    if found is None:
        return _Finding(now_us, 0, now_us, later)
    last_us, value = found
    rows = newest.window(session, series, last_us - rule.for_us, last_us)
    begun = last_us
    for time_us, each in reversed(rows):
        if each != value:
            break
        begun = time_us
    due = begun + rule.for_us
    if due <= last_us and value not in rule.besides and len(rows) >= rule.least:
        return _Finding(begun, value, last_us, now_us)
    return _Finding(begun, value, last_us, due if due > now_us else later)
