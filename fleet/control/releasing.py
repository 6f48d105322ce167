"""Approved commands go into the queues of their nodes, so many in a minute; what is over ends.

Each call is one transaction of the caller's: killed anywhere, it has released a node or has not.
"""

import json

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select, update
from sqlalchemy.orm import Session

from fleet.control import ends
from fleet.control.command_tables import Command, Delivery
from fleet.control.limits import Limits
from fleet.control.operations import COMMAND, enqueue_many
from fleet.control.targets import GONE
from fleet.identity import hmac_keys
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal
from fleet.wire import cbor

MINUTE_US = 60 * 1_000_000
# How long a result is waited for after the approval ended: a node reports once a week at least.
RESULT_US = 8 * 86400 * 1_000_000
_COMMANDS = 100  # of one call
_NODES = 500


def waits(session: Session) -> bool:
    """Whether a call of `release` or `expire` may have something to do: two looks at an index."""
    now = now_us()
    due = select(Command.id).where(Command.due_us <= now).limit(1)
    return session.scalar(due) is not None or session.scalar(_ready(now).limit(1)) is not None


def release(session: Session, limits: Limits) -> int:
    """Put the next nodes of approved commands into the queue; how many. In any 60 s no more than
    each command's own rate, and `limits` of all together.
    """
    now = now_us()
    left = {
        True: limits.valve - _released(session, Delivery.valve.is_(True), now),
        False: limits.other - _released(session, Delivery.valve.is_(False), now),
    }
    done = 0
    # A command to one node must not wait until an older one has reached a whole district.
    first = (Command.unreleased, Command.id)
    for valve in (True, False):
        with_budget = _ready(now).where(
            Command.valve.is_(valve), Command.per_minute > _recent(now)
        )
        for identifier in list(session.scalars(with_budget.order_by(*first).limit(_COMMANDS))):
            if min(left[valve], _NODES - done) <= 0:
                break
            taken = _release_some(session, identifier, min(left[valve], _NODES - done), now)
            left[valve] -= taken
            done += taken
    return done


def expire(session: Session) -> int:
    """End what is over: approvals that died, and results that never came; how many nodes' part."""
    now = now_us()
    due = select(Command.id).where(Command.due_us <= now).order_by(Command.due_us)
    count = 0
    for identifier in list(session.scalars(due.limit(_COMMANDS))):
        row = session.get_one(Command, identifier, with_for_update=True, populate_existing=True)
        why = ends.UNAPPROVED if row.approved_us is None else ends.APPROVAL_ENDED
        result_us = row.until_us + RESULT_US
        if row.unreleased or row.due_us == row.until_us:
            row.due_us, row.unreleased = result_us, 0
            session.flush()
            count += ends.end_queued(session, identifier, why)
        if result_us <= now:
            row.due_us = None  # whatever the count says: nobody looks at it again
            session.flush()
            count += ends.end_delivered(session, identifier)
    return count


def _ready(now: int) -> Select[int]:
    return select(Command.id).where(
        Command.unreleased > 0,
        Command.approved_us.is_not(None),
        Command.cancelled_by.is_(None),
        Command.until_us > now,
    )


def _recent(now: int) -> ScalarSelect[int]:
    """How many nodes a command was released to in the last minute."""
    return (
        select(func.count())
        .where(
            Delivery.valve == Command.valve, Delivery.command_id == Command.id,
            Delivery.released_us > now - MINUTE_US,
        )
        .correlate(Command)
        .scalar_subquery()
    )  # fmt: skip


def _release_some(session: Session, identifier: int, most: int, now: int) -> int:
    # Not by number any more: whoever waited for another's row might be waited for himself.
    lock = {"skip_locked": True}
    row = session.get(Command, identifier, with_for_update=lock, populate_existing=True)
    if row is None:
        return 0  # another process has it now
    of_it = (Delivery.valve == row.valve) & (Delivery.command_id == identifier)
    count = min(most, row.per_minute - _released(session, of_it, now))
    return _release(session, row, count, now) if count > 0 else 0


def _released(session: Session, of: ColumnElement[bool], now: int) -> int:
    counted = select(func.count()).where(of, Delivery.released_us > now - MINUTE_US)
    return session.scalar(counted) or 0


def _release(session: Session, row: Command, count: int, now: int) -> int:
    nodes = list(
        session.scalars(
            select(Delivery.node_id)
            .where(
                Delivery.command_id == row.id,
                Delivery.released_us.is_(None),
                Delivery.state == ends.QUEUED,
            )
            .order_by(Delivery.node_id)
            .limit(count)
        )
    )
    identifier, until = row.id, row.until_us
    payload = cbor.encode([row.code, json.loads(row.arguments), identifier])
    keyed = hmac_keys.holders(session, nodes)
    gone = set(
        session.scalars(
            select(Terminal.id).where(Terminal.id.in_(nodes), Terminal.state.in_(GONE))
        )
    )
    may = [node_id for node_id in nodes if node_id not in gone and node_id in keyed]
    numbers = enqueue_many(session, COMMAND, {node_id: [payload] for node_id in may}, until)
    rows: list[dict[str, object]] = []
    refused = 0
    for node_id in nodes:
        why = ends.GONE if node_id in gone else ends.NO_KEY if node_id not in keyed else ""
        if not why and node_id not in numbers:
            why = ends.QUEUE_FULL
        refused += bool(why)
        rows.append(
            {
                "command_id": identifier, "node_id": node_id, "released_us": now,
                "number": None if why else numbers[node_id][0],
                "state": ends.REFUSED if why else ends.QUEUED, "why": why,
                "ended_us": now if why else None,
            }
        )  # fmt: skip
    if rows:
        session.execute(update(Delivery), rows)
    session.execute(
        update(Command)
        .where(Command.id == identifier)
        .values(unreleased=Command.unreleased - len(nodes))
        .execution_options(synchronize_session=False)
    )
    ends.count_ended(session, identifier, refused)
    return len(nodes)
