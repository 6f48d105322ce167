"""IMEI and ICCID of nodes: each belongs to one node at a time."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fleet.registry.operations import RegistryError, check_node_id, show_node
from fleet.registry.tables import Terminal

MAX_BYTES = 1_000_000  # of a report
_IMEI = re.compile("[0-9]{15}")
_ICCID = re.compile("89[0-9]{17,18}")


class Said(NamedTuple):
    """What a node's modem said of itself and its SIM; empty where it said nothing."""

    node_id: str
    imei: str
    iccid: str


def of_report(path: Path) -> Said:
    """What a file of `kapok diag` tells; RegistryError where it tells neither number."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    try:
        told: Any = json.loads(raw) if len(raw) <= MAX_BYTES else None
        node_id, radio = told["node"], told.get("radio") or {}
        identity = radio.get("identity") or {}
        numbers = [identity.get(name) or "" for name in ("imei", "iccid")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise RegistryError(f"{path} is no report of kapok diag") from None
    if not all(isinstance(text, str) for text in (node_id, *numbers)):
        raise RegistryError(f"{path} is no report of kapok diag: node, imei and iccid are texts")
    check_node_id(node_id)
    if not any(numbers):
        raise RegistryError(
            f"{path}: the modem told neither IMEI nor ICCID: kapok diag without --no-network"
        )
    return Said(node_id, *numbers)


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
