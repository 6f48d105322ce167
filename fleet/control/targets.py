"""Whom something is for: some nodes, a group, or an area with all that lies in it."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleet.control.desired_tables import Group, GroupMember
from fleet.control.errors import ControlError
from fleet.registry.operations import check_area, check_node_id
from fleet.registry.tables import Terminal

AREA, GROUP, NODE = "area", "group", "node"
GONE = ("revoked", "retired")  # what waits for such a node is never handed over


class Target(NamedTuple):
    """`kind`: area, group or node; `name`: its code, name or node id; `role` empty: every one."""

    kind: str
    name: str
    role: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f", {self.role}" if self.role else "")


def check_target(session: Session, target: Target) -> Target:
    """`target` if there is such a one; ControlError or RegistryError says what to do."""
    if target.kind == AREA:
        check_area(session, target.name)
    elif target.kind == GROUP:
        if session.get(Group, target.name) is None:
            raise ControlError(
                f"no such group: {target.name[:40]!r}; kapok group add {target.name[:40]}"
            )
    elif session.get(Terminal, check_node_id(target.name)) is None:
        raise ControlError(f"node {target.name} is not registered: kapok node list")
    return target


def within(column: InstrumentedAttribute[str], code: str) -> ColumnElement[bool]:
    """An area and all that lies in it: all codes that begin so, as a range that the index can
    follow. Digits lie before letters in every collation; before ":" they do not.
    """
    return and_(column >= code, column < code + "a")


def nodes_of(target: Target) -> Select[str]:
    """Node ids of a target, in no order; those that are gone for ever are not among them."""
    query = select(Terminal.id).where(Terminal.kind == "node", Terminal.state.not_in(GONE))
    if target.kind == AREA:
        query = query.where(within(Terminal.area_code, target.name))
    elif target.kind == GROUP:
        query = query.join(GroupMember, GroupMember.node_id == Terminal.id).where(
            GroupMember.group_name == target.name
        )
    else:
        query = query.where(Terminal.id == target.name)
    return query.where(Terminal.role == target.role) if target.role else query
