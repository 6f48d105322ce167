"""Groups of nodes: made, filled, emptied; in the caller's transaction. Who joins or leaves is
brought in line with what the group wants at once.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fleet.control import desired
from fleet.control.desired_tables import Group, GroupMember, Layer, LayerChange, Work
from fleet.control.errors import ControlError
from fleet.control.targets import GROUP, NODE, Target, check_target

PAGE = 1000
MOST_AT_ONCE = 10_000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Listed(NamedTuple):
    """`rank`: of two groups that want a key, the higher one wins; then the later name."""

    name: str
    rank: int
    nodes: int


def add(session: Session, name: str, rank: int = 0) -> None:
    """Make a group, or give one another rank; ControlError for what is no name."""
    if not _NAME.fullmatch(name):
        raise ControlError(f"group {name[:40]!r}: 1 to 40 lower-case letters, digits and dashes")
    if not -1000 <= rank <= 1000:
        raise ControlError("a rank is -1000 to 1000")
    row = session.get(Group, name)
    if row is None:
        session.add(Group(name=name, rank=rank))
        session.flush()
    elif row.rank != rank:
        row.rank = rank
        session.flush()
        desired.begin(session, Target(GROUP, name))


def join(session: Session, name: str, node_ids: Sequence[str]) -> int:
    """Put nodes into a group; how many were not in it."""
    _check(session, name, node_ids)
    members = set(_members(session, name, node_ids))
    new = [each for each in dict.fromkeys(node_ids) if each not in members]
    session.add_all(GroupMember(group_name=name, node_id=node_id) for node_id in new)
    session.flush()
    desired.reconcile(session, new)
    return len(new)


def leave(session: Session, name: str, node_ids: Sequence[str]) -> int:
    """Take nodes out of a group; how many were in it."""
    _check(session, name, node_ids)
    members = list(_members(session, name, node_ids))
    session.execute(
        delete(GroupMember).where(GroupMember.group_name == name, GroupMember.node_id.in_(members))
    )
    desired.reconcile(session, members)
    return len(members)


def remove(session: Session, name: str) -> None:
    """Forget a group that has no nodes, and what was wanted of it; ControlError while it has."""
    check_target(session, Target(GROUP, name))
    count = session.scalar(
        select(func.count()).select_from(GroupMember).where(GroupMember.group_name == name)
    )
    if count:
        raise ControlError(f"group {name} has {count} nodes: kapok group leave {name} NODE...")
    for table in (Layer, LayerChange, Work):
        session.execute(delete(table).where(table.kind == GROUP, table.name == name))
    session.execute(delete(Group).where(Group.name == name))


def list_(session: Session, after: str = "", limit: int = PAGE) -> list[Listed]:
    """Groups by name, those behind `after`."""
    rows = session.execute(
        select(Group.name, Group.rank, func.count(GroupMember.node_id))
        .outerjoin(GroupMember, GroupMember.group_name == Group.name)
        .where(Group.name > after)
        .group_by(Group.name, Group.rank)
        .order_by(Group.name)
        .limit(min(limit, PAGE))
    )
    return [Listed(*row) for row in rows]


def members(session: Session, name: str, after: str = "", limit: int = PAGE) -> list[str]:
    """Node ids of a group, those behind `after`."""
    check_target(session, Target(GROUP, name))
    return list(
        session.scalars(
            select(GroupMember.node_id)
            .where(GroupMember.group_name == name, GroupMember.node_id > after)
            .order_by(GroupMember.node_id)
            .limit(min(limit, PAGE))
        )
    )


def _check(session: Session, name: str, node_ids: Sequence[str]) -> None:
    check_target(session, Target(GROUP, name))
    if len(node_ids) > MOST_AT_ONCE:
        raise ControlError(f"{len(node_ids)} nodes at once: {MOST_AT_ONCE} at most")
    for node_id in node_ids:
        check_target(session, Target(NODE, node_id))


def _members(session: Session, name: str, node_ids: Sequence[str]) -> Sequence[str]:
    return session.scalars(
        select(GroupMember.node_id).where(
            GroupMember.group_name == name, GroupMember.node_id.in_(list(node_ids))
        )
    ).all()
