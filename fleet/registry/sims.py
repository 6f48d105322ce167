"""IMEI and ICCID of nodes: each belongs to one node at a time."""

import re

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleet.registry.operations import RegistryError, show_node
from fleet.registry.tables import Terminal

_IMEI = re.compile("[0-9]{15}")
_ICCID = re.compile("89[0-9]{17,18}")


def set_sim(session: Session, node_id: str, imei: str = "", iccid: str = "") -> tuple[str, str]:
    """Remember what is in a node; an empty number stays as it was. What it has now, both.

    RegistryError when another node has the number, with that node's name: a SIM moves by
    `forget_sim` there first, so that a mistake of one digit moves none.
    """
    show_node(session, node_id)
    row = session.get_one(Terminal, node_id, with_for_update=True)
    if imei:
        _shaped(imei, _IMEI, "IMEI", "15 digits")
        _free(session, Terminal.imei, imei, node_id, "IMEI")
        row.imei = imei
    if iccid:
        _shaped(iccid, _ICCID, "ICCID", "19 or 20 digits that begin with 89")
        _free(session, Terminal.iccid, iccid, node_id, "ICCID")
        row.iccid = iccid
    session.flush()
    return row.imei or "", row.iccid or ""


def forget_sim(session: Session, node_id: str) -> None:
    """The node's IMEI and ICCID are no longer known, and free for another node."""
    show_node(session, node_id)
    row = session.get_one(Terminal, node_id, with_for_update=True)
    row.imei = row.iccid = None
    session.flush()


def sim_of(session: Session, node_id: str) -> tuple[str, str]:
    """IMEI and ICCID of a node, empty where unknown."""
    show_node(session, node_id)
    row = session.get_one(Terminal, node_id)
    return row.imei or "", row.iccid or ""


def _shaped(digits: str, shape: re.Pattern[str], what: str, wanted: str) -> None:
    if not shape.fullmatch(digits):
        raise RegistryError(f"{what} {digits[:24]!r}: {wanted}")


def _free(
    session: Session,
    column: InstrumentedAttribute[str | None],
    digits: str,
    node_id: str,
    what: str,
) -> None:
    other = session.scalar(select(Terminal.id).where(column == digits, Terminal.id != node_id))
    if other is not None:
        raise RegistryError(
            f"{what} {digits} is in node {other}: kapok node sim {other} --forget, if it moved"
        )
