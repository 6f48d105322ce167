"""What nodes tell of their downlinks, and what is settled by it; in the caller's transaction."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.control.ends import told_by_status
from fleet.control.tables import Downlink, DownlinkProgress
from fleet.registry.operations import now_us

LAST = 2**31 - 1  # the highest number
# A node may be ahead of a database that was restored; further than this it is wrong, not ahead.
_AHEAD = 1_000_000


class Progress(NamedTuple):
    """What a node told last: highest number handled, CONFIG in force, item refused; 0: none."""

    handled: int
    applied: int
    refused: int


def settle(session: Session, told: Mapping[str, tuple[int, int, int]]) -> list[str]:
    """Settle items by what nodes told: (highest handled, CONFIG applied, refused last); those
    that told something new.

    Zeros for what a node did not tell. A number that no node can have changes nothing.
    """
    told = {node_id: numbers for node_id, numbers in told.items() if any(numbers)}
    if not told:
        return []
    found = session.scalars(
        select(DownlinkProgress)
        .where(DownlinkProgress.node_id.in_(list(told)))
        .order_by(DownlinkProgress.node_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = {row.node_id: row for row in found}
    changed = []
    for node_id, numbers in told.items():
        # A node that is ahead of its row, or has none, is one of a database that was restored.
        row = rows.get(node_id) or new_progress(node_id, 0)
        known = (row.handled, row.applied, row.refused)
        if numbers != known and _plausible(row.last_number, numbers):
            session.add(row)
            _settle(session, row, numbers)
            changed.append(node_id)
    session.flush()
    return changed


def ahead(session: Session, handled: Mapping[str, int]) -> set[str]:
    """The nodes that say to have handled a number that they were never given: the database is
    older than they are. Ask before `settle`, which takes their word for it.
    """
    rows = session.execute(
        select(DownlinkProgress.node_id, DownlinkProgress.last_number).where(
            DownlinkProgress.node_id.in_(list(handled))
        )
    )
    return {node_id for node_id, last in rows if handled[node_id] > last}


def progress(session: Session, node_id: str) -> Progress:
    """What a node told last."""
    row = session.get(DownlinkProgress, node_id)
    return Progress(0, 0, 0) if row is None else Progress(row.handled, row.applied, row.refused)


def new_progress(node_id: str, last_number: int) -> DownlinkProgress:
    """A row of a node that told nothing so far."""
    return DownlinkProgress(
        node_id=node_id, last_number=last_number, handled=0, applied=0, refused=0, base=0
    )


def _plausible(last_number: int, numbers: tuple[int, int, int]) -> bool:
    return all(0 <= number <= min(last_number + _AHEAD, LAST) for number in numbers)


def _settle(session: Session, row: DownlinkProgress, numbers: tuple[int, int, int]) -> None:
    row.handled, row.applied, row.refused = numbers
    row.last_number = max(row.last_number, row.handled)
    mine = Downlink.node_id == row.node_id
    session.execute(
        update(Downlink)
        .where(mine, Downlink.number <= row.handled, Downlink.settled_us.is_(None))
        .values(settled_us=now_us())
    )
    if 0 < row.refused <= row.handled:
        session.execute(
            update(Downlink).where(mine, Downlink.number == row.refused).values(refused=True)
        )
    told_by_status(session, row.node_id, row.handled, row.refused)
