"""Cards that are changed in a terminal that stays: the old one's number is kept until its operator
has cancelled it, and comes back with a rollback.
"""

import json
from collections.abc import Sequence

from sqlalchemy import select

from fleet.migration import paths
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.ledger_tables import Evidence
from fleet.migration.tables import MigrationItem
from fleet.registry.labels import check_iccid
from fleet.registry.tables import Terminal

_KIND = "card"  # of evidence: old and new ICCID or null, and whether it was a rollback


def changed(desk: Desk, item: MigrationItem, iccid: str) -> None:
    """A visit, or the operator, has changed an item's card or profile; `iccid` empty: nobody read
    the new one's number, so that none is known. LedgerError, LabelError for one that cannot be.
    """
    if not iccid and item.path not in paths.NEW_CARD:
        return
    terminal = desk.session.get_one(Terminal, item.old_terminal_id, with_for_update=True)
    if iccid:
        check_iccid(iccid)
        other = _holder(desk, iccid)
        if other is not None:
            which = "was in it before" if other == terminal.id else f"is in terminal {other}"
            raise LedgerError(f"item {item.id}: card {iccid} {which}: read the new card again")
    _put(desk, item, terminal, iccid or None, is_back=False)


def back(desk: Desk, items: Sequence[MigrationItem]) -> None:
    """The cards that these items had are in again."""
    for item_id, old in out(desk, items).items():
        item = next(one for one in items if one.id == item_id)
        terminal = desk.session.get_one(Terminal, item.old_terminal_id, with_for_update=True)
        known = old if _holder(desk, old) is None else terminal.iccid
        _put(desk, item, terminal, known, is_back=True)


def out(desk: Desk, items: Sequence[MigrationItem]) -> dict[int, str]:
    """By item the card that was taken out of its terminal, and is, where its number is known."""
    rows = desk.session.execute(
        select(Evidence.item_id, Evidence.body)
        .where(Evidence.item_id.in_([item.id for item in items]), Evidence.kind == _KIND)
        .order_by(Evidence.id)
    )
    last = {item_id: json.loads(body) for item_id, body in rows if item_id is not None}
    return {
        item_id: body["old"] for item_id, body in last.items() if body["old"] and not body["back"]
    }


def _holder(desk: Desk, iccid: str) -> str | None:
    return desk.session.scalar(select(Terminal.id).where(Terminal.iccid == iccid))


def _put(
    desk: Desk, item: MigrationItem, terminal: Terminal, iccid: str | None, *, is_back: bool
) -> None:
    body = {"terminal": terminal.id, "old": terminal.iccid, "new": iccid, "back": is_back}
    desk.note(_KIND, body, item_id=item.id, asset_id=item.asset_id)
    terminal.iccid = iccid
    desk.session.flush()
