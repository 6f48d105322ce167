"""A terminal is let go: its keys are revoked, its SIM is to be cancelled, platforms forget it. Of
one that stays the card goes that was taken out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fleet.identity.errors import IdentityError
from fleet.identity.operations import revoke
from fleet.identity.tables import Certificate
from fleet.migration import cards, moves, states
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.dualrun import SAME
from fleet.migration.swap_tables import Decommissioned
from fleet.migration.tables import MigrationItem
from fleet.registry import beside
from fleet.registry.beside import Place
from fleet.registry.tables import Terminal

PAGE = 1000


class Asked(NamedTuple):
    """What an operator or a platform has yet to confirm."""

    item_id: int
    terminal_id: str
    iccid: str
    alias: str
    at_us: int


def decommission(desk: Desk, item_ids: Sequence[int]) -> list[int]:
    """Let the old terminals of settled items go, once none of them may be rolled back any more.
    What is let go already is left as it is.
    """
    items = [item for item in moves.find(desk, item_ids) if item.state != states.DECOMMISSIONED]
    for item in items:
        moves.expect(item, states.SETTLED)
        moves.check(desk, item, states.DECOMMISSIONED)
        if item.deadline_us is not None and desk.now_us <= item.deadline_us:
            raise LedgerError(_held(item.id, item.old_terminal_id, item.deadline_us))
    there = moves.swaps(desk, items)
    gone = [item for item in items if there[item.id][0].mode != SAME or not item.new_terminal_id]
    terminals = {
        row.id: row
        for row in desk.session.scalars(
            select(Terminal).where(Terminal.id.in_([item.old_terminal_id for item in gone]))
        )
    }
    rows = []
    for item in gone:
        terminal = terminals[item.old_terminal_id]
        revoked = _revoke(desk.session, terminal.id)
        body = {
            "terminal": terminal.id, "imei": terminal.imei, "iccid": terminal.iccid,
            "sim_cancel_asked": terminal.iccid is not None, "revoked": revoked,
            "alias": terminal.imei or terminal.id,
        }  # fmt: skip
        evidence_id = desk.note("decommission", body, item_id=item.id, asset_id=item.asset_id)
        alias = terminal.imei or terminal.id
        rows.append(_row(item, terminal.iccid, alias, revoked, desk.now_us, evidence_id))
    rows += _cards(desk, [item for item in items if item not in gone])
    desk.store_evidence()
    if rows:
        desk.session.execute(insert(Decommissioned), rows)
    beside.leave(
        desk.session, [Place(item.old_terminal_id, item.asset_id, desk.now_us) for item in gone]
    )
    beside.retire(desk.session, [item.old_terminal_id for item in gone])
    moves.move(desk, items, states.DECOMMISSIONED, {})
    desk.done([item.asset_id for item in items])
    return [item.id for item in items]


def held(session: Session, item_ids: Sequence[int], now_us: int) -> dict[int, str]:
    """Those of these items that may be rolled back still, and so wait; and until when."""
    found: dict[int, str] = {}
    for start in range(0, len(item_ids), PAGE):
        rows = session.execute(
            select(MigrationItem.id, MigrationItem.old_terminal_id, MigrationItem.deadline_us)
            .where(MigrationItem.id.in_(item_ids[start : start + PAGE]))
            .where(MigrationItem.deadline_us >= now_us)
        )
        found |= {item_id: _held(item_id, old, until or 0) for item_id, old, until in rows}
    return found


def _held(item_id: int, terminal_id: str, until_us: int) -> str:
    return (
        f"item {item_id} ({terminal_id}) may be rolled back until {until_us} us: only then its "
        "terminal is let go"
    )


def asked(session: Session, after: int = 0, limit: int = PAGE) -> list[Asked]:
    """Cancellations and aliases that nobody has confirmed, by item, those behind `after`."""
    rows = session.scalars(
        select(Decommissioned)
        .where(
            Decommissioned.item_id > after,
            (Decommissioned.iccid.is_not(None) & Decommissioned.sim_confirmed_us.is_(None))
            | (Decommissioned.alias.is_not(None) & Decommissioned.alias_confirmed_us.is_(None)),
        )
        .order_by(Decommissioned.item_id)
        .limit(min(limit, PAGE))
    )
    return [
        Asked(
            row.item_id, row.terminal_id,
            (row.iccid or "") if row.sim_confirmed_us is None else "",
            (row.alias or "") if row.alias_confirmed_us is None else "", row.at_us,
        )
        for row in rows
    ]  # fmt: skip


def confirm(desk: Desk, what: str, text: str) -> int:
    """The operator has cancelled a SIM (what: sim, text: ICCID), or a platform an alias; how many
    items that was of. LedgerError for one that nobody asked for.
    """
    column, at = {
        "sim": (Decommissioned.iccid, "sim_confirmed_us"),
        "alias": (Decommissioned.alias, "alias_confirmed_us"),
    }[what]
    rows = list(desk.session.scalars(select(Decommissioned).where(column == text)))
    if not rows:
        raise LedgerError(f"no terminal with {what} {text[:24]!r} was let go")
    fresh = [row for row in rows if getattr(row, at) is None]
    for row in fresh:
        desk.note(f"{what}-confirmed", {what: text}, item_id=row.item_id)
    ids = [row.item_id for row in fresh]
    desk.session.execute(
        update(Decommissioned).where(Decommissioned.item_id.in_(ids)).values({at: desk.now_us})
    )
    desk.done([])
    return len(fresh)


def _revoke(session: Session, terminal_id: str) -> int:
    """How many certificates of it were revoked: none, where it never had one."""
    had = session.scalar(
        select(Certificate.serial).where(Certificate.subject == terminal_id).limit(1)
    )
    if had is None:
        return 0
    try:
        return len(revoke(session, terminal_id, "cessation-of-operation"))
    except IdentityError as e:
        raise LedgerError(str(e)) from None


def _cards(desk: Desk, items: Sequence[MigrationItem]) -> list[dict[str, Any]]:
    """Of terminals that stay, the rows of the cards that were taken out of them."""
    rows = []
    for item_id, iccid in cards.out(desk, items).items():
        item = next(one for one in items if one.id == item_id)
        terminal = desk.session.get_one(Terminal, item.old_terminal_id)
        if terminal.iccid == iccid:
            raise LedgerError(
                f"item {item.id}: card {iccid} is in {terminal.id} again by the registry: tell "
                "which card it has before the old one is cancelled"
            )
        body = {"terminal": terminal.id, "iccid": iccid, "sim_cancel_asked": True, "revoked": 0}
        evidence_id = desk.note("decommission", body, item_id=item.id, asset_id=item.asset_id)
        rows.append(_row(item, iccid, None, 0, desk.now_us, evidence_id))
    return rows


def _row(
    item: MigrationItem, iccid: str | None, alias: str | None, revoked: int, now_us: int,
    evidence_id: int,
) -> dict[str, Any]:  # fmt: skip
    return {
        "item_id": item.id, "terminal_id": item.old_terminal_id, "at_us": now_us, "iccid": iccid,
        "sim_confirmed_us": None, "alias": alias, "alias_confirmed_us": None, "revoked": revoked,
        "evidence_id": evidence_id,
    }  # fmt: skip
