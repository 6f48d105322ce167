"""What nodes tell of updates under way, in the transaction of the batch that brings it: nothing
but one look at an index for nodes that have none.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from fleet.rollouts import moves, states
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update
from fleet.updates import offers, outcomes, running, shelf
from fleet.updates.tables import Assigned
from fleet.wire import command, release
from fleet.wire.uplink import HANDLED, IMAGE, MARK, RELEASE, STAGE

log = structlog.get_logger("updates")


class Told(NamedTuple):
    """What became of an item, as a record says: quantities 900 to 902."""

    node_id: str
    number: int
    result: int
    detail: int


def heard(
    session: Session, statuses: Mapping[str, Mapping[int, int]], results: Sequence[Told],
    now_us: int,
) -> None:  # fmt: skip
    """Move the updates of nodes that reported: by the newest status of each, and by results.

    A node that runs the release, with nothing under way, has succeeded, whatever was lost.
    """
    running.told(session, statuses, now_us)
    results = [each for each in results if _is_possible(each)]
    nodes = {*statuses, *(each.node_id for each in results)}
    open_ones = {
        row.node_id: row
        for row in session.scalars(select(Update).where(Update.open_for.in_(list(nodes))))
    }
    assigned = _note(session, results, now_us)
    ended = set()
    moved: dict[_Move, list[int]] = {}
    for each in results:
        row = open_ones.get(each.node_id)
        if row is None or row.number != each.number or each.result == command.FORGED:
            continue
        if row.id not in ended:  # the first word counts
            ended.add(row.id)
            whole = assigned.get((each.node_id, each.number), True)
            _gather(moved, row, _ended(session, row, each, whole, now_us))
    for node_id, row in open_ones.items():
        if row.id not in ended and node_id in statuses:
            _gather(moved, row, _followed(session, row, statuses[node_id]))
    for move, ids in sorted(moved.items(), key=lambda each: min(each[1])):
        moves.move(session, ids, move.to, move.actor, now_us, move.reason, move.mark)


class _Move(NamedTuple):
    """The same for several nodes of a batch."""

    to: str
    actor: Actor
    reason: str = ""
    mark: int | None = None


def _gather(moved: dict[_Move, list[int]], row: Update, move: _Move | None) -> None:
    if move is not None:
        moved.setdefault(move, []).append(row.id)


def _is_possible(told: Told) -> bool:
    return told.result in range(256) and 0 < told.number < 1 << 31 and abs(told.detail) < 1 << 32


def _note(session: Session, results: Sequence[Told], now_us: int) -> dict[tuple[str, int], bool]:
    """Keep the results of items that are assignments; for each of them whether it was whole."""
    if not results:
        return {}
    keys = list({(each.node_id, each.number) for each in results})
    key = tuple_(Assigned.node_id, Assigned.number)
    rows = session.execute(
        select(Assigned.node_id, Assigned.number, Assigned.whole).where(key.in_(keys))
    )
    found = {(node_id, number): whole for node_id, number, whole in rows}
    for each in results:
        if (each.node_id, each.number) not in found:
            continue
        mine = (Assigned.node_id == each.node_id) & (Assigned.number == each.number)
        change = update(Assigned).execution_options(synchronize_session=False)
        if each.result == command.FORGED:  # it is signed by another key then
            log.warning("a node finds an assignment forged", node=each.node_id, number=each.number)
            session.execute(change.where(mine).values(forged=Assigned.forged + 1))
        else:
            session.execute(
                change.where(mine, Assigned.result.is_(None)).values(
                    result=each.result, detail=each.detail, ended_us=now_us
                )
            )
    return found


def _ended(
    session: Session, row: Update, told: Told, whole: bool, now_us: int
) -> _Move | None:  # fmt: skip
    # Where a delta is at fault it is nobody's but the patch's: the same attempt goes on with the
    # whole image.
    of_delta = told.result in outcomes.OF_DELTA and not whole
    if of_delta and offers.assign(session, [row], now_us):
        return _Move(states.OFFERED, Actor.FLEET, "whole")
    end = outcomes.end_of(told.result, told.detail)
    return None if end is None else _Move(end.state, Actor.NODE, end.reason)


def _followed(session: Session, row: Update, status: Mapping[int, int]) -> _Move | None:
    taken = row.number is not None and status.get(HANDLED, 0) >= row.number
    stage = status.get(STAGE, release.IDLE)
    if stage == release.IDLE:
        if not _runs(session, row.sequence, status):
            return None
        return _Move(states.SUCCEEDED if taken else states.ALREADY_INSTALLED, Actor.NODE)
    state = outcomes.state_of(stage)
    if state is None or not taken:
        return None
    mark = status.get(MARK, row.mark)
    return _Move(state, Actor.NODE, mark=max(0, min(mark, 0xFFFFFF)))


def _runs(session: Session, sequence: int, status: Mapping[int, int]) -> bool:
    """Whether a node runs a release's application, by sequence and image."""
    if status.get(RELEASE) != sequence:
        return False
    image = shelf.image_of(session, sequence)
    return image is not None and status.get(IMAGE) == int.from_bytes(image[:4], "big")
