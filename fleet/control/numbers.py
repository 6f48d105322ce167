"""Numbers of items: each is one item's for ever, and they become visible in their order."""

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.control.errors import ControlError
from fleet.control.settling import LAST, new_progress
from fleet.control.tables import DownlinkProgress


def next_number(session: Session, node_id: str) -> int:
    """A number that no other transaction gets: the counter's row is locked until the end."""
    row = DownlinkProgress
    more = (
        update(row)
        .where(row.node_id == node_id, row.last_number < LAST)
        .values(last_number=row.last_number + 1)
        .returning(row.last_number)
    )
    number = session.scalar(more)
    if number is not None:
        return number
    try:
        with session.begin_nested():
            session.add(new_progress(node_id, 1))
        return 1
    except IntegrityError:  # another transaction made the row meanwhile
        number = session.scalar(more)
    if number is None:
        raise ControlError(f"the downlink numbers of node {node_id} are used up")
    return number


def take_numbers(session: Session, sizes: Mapping[str, int]) -> dict[str, int]:
    """The last of so many new numbers of each node, as `next_number` gives one."""
    progress_row = DownlinkProgress
    known = set(
        session.scalars(select(progress_row.node_id).where(progress_row.node_id.in_(list(sizes))))
    )
    session.add_all(new_progress(node_id, 0) for node_id in sorted(set(sizes) - known))
    session.flush()
    found: dict[str, int] = {}
    for count in sorted(set(sizes.values())):
        mine = sorted(node_id for node_id, size in sizes.items() if size == count)
        rows = session.execute(
            update(progress_row)
            .where(progress_row.node_id.in_(mine), progress_row.last_number <= LAST - count)
            .values(last_number=progress_row.last_number + count)
            .returning(progress_row.node_id, progress_row.last_number)
            .execution_options(synchronize_session=False)
        )
        found.update({row[0]: row[1] for row in rows})
    return found
