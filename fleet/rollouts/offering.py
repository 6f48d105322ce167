"""Which updates of a rollout are offered now, and why the others that are due wait."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import func, literal, select, update
from sqlalchemy.orm import Session, aliased

from fleet.query.fields import BATTERY, SIGNAL, newest
from fleet.registry.tables import Terminal
from fleet.rollouts import moves, states
from fleet.rollouts.plan import Plan
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, Update
from fleet.updates.tables import Running

HOUR_US = 3600 * 1_000_000
# How long one that cannot go now is in nobody's way, by the reason.
LATER_US = {
    "area-full": HOUR_US // 6,
    "busy": HOUR_US,
    "no-offer": HOUR_US,
    "battery": 6 * HOUR_US,
    "signal": 6 * HOUR_US,
    "state": 12 * HOUR_US,
}
SOON_US = 10_000_000
# What does not end by itself within a known time.
LASTING = ("no-offer", "battery", "signal", "state")
_ROUNDS = 3  # of looking, where most that are due must wait
_GONE = ("revoked", "retired")


class Offerer(Protocol):
    """Who puts assignments into the queues of nodes, and takes them back."""

    def offer(self, session: Session, updates: Iterable[Update], now_us: int) -> dict[int, int]:
        """Numbers of the items, by update; who gets none is left out."""

    def withdraw(self, session: Session, updates: Iterable[Update], now_us: int) -> None:
        """Take back what was offered."""


class _Facts(NamedTuple):
    """Of a node that is due."""

    state: str
    sequence: int | None
    battery_mv: int | None
    signal_dbm: int | None
    busy: int | None  # the id of its update in flight
    busy_sequence: int | None


def offer_some(
    session: Session, offerer: Offerer, row: Rollout, plan: Plan, most: int, now_us: int
) -> tuple[int, bool]:
    """Offer to `most` nodes at most, in order; how many, and whether as many more may be due."""
    offered = 0
    for _ in range(_ROUNDS):
        due = _due(session, row, most - offered, now_us)
        due = _tried_again(session, due, plan, now_us)
        if not due:
            return offered, False
        fit = _sorted_out(session, offerer, row, plan, due, now_us)
        numbers = offerer.offer(session, fit, now_us) if fit else {}
        for each in fit:
            each.number = numbers.get(each.id, each.number)
        without = [each.id for each in fit if each.id not in numbers]
        _later(session, without, "no-offer", now_us, LATER_US["no-offer"])
        moved = moves.move(session, numbers, states.OFFERED, Actor.FLEET, now_us)
        offered += len(moved)
        if offered >= most:
            return offered, True
    return offered, True


def _due(session: Session, row: Rollout, most: int, now_us: int) -> list[Update]:
    """The next ones of the groups that were opened, the oldest group first."""
    found: list[Update] = []
    for group_no in range(1, row.group_no + 1):
        if len(found) < most:
            found += session.scalars(
                select(Update)
                .where(
                    Update.rollout_id == row.id, Update.group_no == group_no,
                    Update.due_us <= now_us,
                )
                .order_by(Update.due_us, Update.place)
                .limit(most - len(found))
            )  # fmt: skip
    return found


def _tried_again(
    session: Session, due: list[Update], plan: Plan, now_us: int
) -> list[Update]:  # fmt: skip
    """Those that are scheduled, with failed ones that may be tried again; the others stay so."""
    failed = [each for each in due if each.state in states.COUNTED]
    again = [each.id for each in failed if each.attempts <= plan.retries]
    moves.move(session, again, states.SCHEDULED, Actor.FLEET, now_us, "again")
    for each in failed:
        if each.attempts > plan.retries:
            each.due_us = None
    session.flush()
    return [each for each in due if each.state == states.SCHEDULED]


def _sorted_out(
    session: Session, offerer: Offerer, row: Rollout, plan: Plan, due: list[Update], now_us: int
) -> list[Update]:
    facts = _facts(session, due, plan)
    loads = _loads(session, {each.cell for each in due})
    fit: list[Update] = []
    ends: dict[tuple[str, str], list[int]] = {}
    waits: dict[str, list[int]] = {}
    in_the_way: list[int] = []
    for each in due:
        known = facts.get(each.node_id)
        end = _end(known, each.sequence)
        wait = None if end else _wait(known, plan)
        if end:
            ends.setdefault(end, []).append(each.id)
            continue
        load, displaced = loads[each.cell], None
        if wait == "busy" and row.urgent and known and (known.busy_sequence or 0) < row.sequence:
            wait, displaced = None, known.busy
            load -= 1  # it takes its place
        if not wait and load >= plan.per_area:
            wait = "area-full"
        if wait:
            waits.setdefault(wait, []).append(each.id)
            continue
        loads[each.cell] = load + 1
        fit.append(each)
        if displaced is not None:
            in_the_way.append(displaced)
    for (state, reason), ids in ends.items():
        moves.move(session, ids, state, Actor.FLEET, now_us, reason)
    for reason, ids in waits.items():
        soon = row.urgent and reason == "area-full"  # what becomes free there is its own
        _later(session, ids, reason, now_us, SOON_US if soon else LATER_US[reason])
    if in_the_way:
        take_back(session, offerer, in_the_way, states.SUPERSEDED, Actor.FLEET, "urgent", now_us)
    return fit


def take_back(
    session: Session, offerer: Offerer, ids: Sequence[int], to: str, actor: Actor, reason: str,
    now_us: int,
) -> int:  # fmt: skip
    """Withdraw what was offered, and move it; how many."""
    rows = session.scalars(select(Update).where(Update.id.in_(ids))).all()
    offerer.withdraw(session, rows, now_us)
    return len(moves.move(session, ids, to, actor, now_us, reason))


def _end(known: _Facts | None, sequence: int) -> tuple[str, str] | None:
    """The state, and its reason, of one that needs no offer any more."""
    if known is None or known.state in _GONE:
        return states.REMOVED, "gone"
    if known.sequence == sequence:
        return states.ALREADY_INSTALLED, ""
    if known.sequence is not None and known.sequence > sequence:
        return states.SUPERSEDED, "newer"
    return None


def _wait(known: _Facts | None, plan: Plan) -> str | None:
    if known is None or known.state != "active":
        return "state"
    if known.busy is not None:
        return "busy"
    if plan.battery_mv and known.battery_mv is not None and known.battery_mv < plan.battery_mv:
        return "battery"
    if plan.signal_dbm and known.signal_dbm is not None and known.signal_dbm < plan.signal_dbm:
        return "signal"
    return None


def _facts(session: Session, due: list[Update], plan: Plan) -> dict[str, _Facts]:
    flying = aliased(Update)
    told: list[Any] = [
        newest(quantity) if wanted is not None else literal(None)
        for quantity, wanted in ((BATTERY, plan.battery_mv), (SIGNAL, plan.signal_dbm))
    ]
    rows = session.execute(
        select(
            Terminal.id, Terminal.state, Running.sequence, told[0], told[1], flying.id,
            flying.sequence,
        )
        .outerjoin(Running, Running.node_id == Terminal.id)
        .outerjoin(flying, flying.open_for == Terminal.id)
        .where(Terminal.id.in_([each.node_id for each in due]))
    )  # fmt: skip
    return {node_id: _Facts(*rest) for node_id, *rest in rows}


def _loads(session: Session, cells: set[str]) -> Counter[str]:
    """How many updates are in flight in some areas, of all rollouts together."""
    rows = session.execute(
        select(Update.cell, func.count())
        .where(Update.cell.in_(cells), Update.open_for.is_not(None))
        .group_by(Update.cell)
    )
    return Counter({cell: count for cell, count in rows})  # noqa: C416


def _later(session: Session, ids: list[int], reason: str, now_us: int, after_us: int) -> None:
    if ids:
        session.execute(
            update(Update)
            .where(Update.id.in_(ids), Update.state == states.SCHEDULED)
            .values(due_us=now_us + after_us, reason=reason)
            .execution_options(synchronize_session="fetch")
        )
