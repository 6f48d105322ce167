"""Work orders: which jobs wait, who is on his way, and what came of them."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import (
    cards,
    cutover,
    dualrun,
    labels,
    ledger,
    moves,
    paths,
    states,
    work_acts,
)
from fleet.migration.adopting import registers_of
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.dualrun import BESIDE, INSTEAD, SAME, Put
from fleet.migration.handover import Typed
from fleet.migration.preflight import needs
from fleet.migration.scaling import Meaning, plain
from fleet.migration.swap_tables import WorkOrder
from fleet.migration.tables import MigrationItem
from fleet.migration.work_acts import Act, Done, Start, dial
from fleet.registry.tables import Asset, FieldAct, Site, Terminal

PAGE = 1000
AHEAD_US = 600 * 1_000_000  # a laptop's clock may be so far off the fleet's
OPEN = ("open", "started")


class Order(NamedTuple):
    """A job as lists show it: what stands where, what is to be done there."""

    id: int
    item_id: int
    kind: str
    state: str
    person: str
    asset_id: int
    asset: str
    address: str
    area: str
    old_terminal_id: str
    imei: str
    path: str
    checks: tuple[str, ...]
    wave: int | None
    due_day: int | None


class Taken(NamedTuple):
    """What an act came to; `repeated`: it was taken in before."""

    id: str
    order: int
    said: str
    repeated: bool = False


def orders(
    session: Session, programme_id: int, *, after: int = 0, limit: int = PAGE,
    wave: int | None = None,
) -> list[Order]:  # fmt: skip
    """Jobs that are not done, by number, those behind `after`."""
    query = (
        select(WorkOrder, MigrationItem, Asset, Site.area_code, Terminal.imei)
        .join(MigrationItem, MigrationItem.id == WorkOrder.item_id)
        .join(Asset, Asset.id == MigrationItem.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .join(Terminal, Terminal.id == MigrationItem.old_terminal_id)
        .where(
            MigrationItem.programme_id == programme_id, WorkOrder.state.in_(OPEN),
            WorkOrder.id > after,
        )
        .order_by(WorkOrder.id)
        .limit(min(limit, PAGE))
    )  # fmt: skip
    if wave is not None:
        query = query.where(MigrationItem.wave == wave)
    return [
        Order(
            row.id, item.id, row.kind, row.state, row.person, asset.id, asset.name,
            asset.address or "", area, item.old_terminal_id, imei or "", item.path,
            needs(item.path), item.wave, item.due_day,
        )
        for row, item, asset, area, imei in session.execute(query)
    ]  # fmt: skip


def send_back(desk: Desk, item_id: int) -> int:
    """Somebody has to drive out to put the old terminal in again; the order's number, of the one
    that waits where it was asked for before.
    """
    (item,) = moves.find(desk, [item_id])
    moves.expect(item, *states.IN_PLACE)
    waits = desk.session.scalar(
        select(WorkOrder.id).where(WorkOrder.item_id == item_id, WorkOrder.state.in_(OPEN))
    )
    if waits is not None:
        return waits
    row = WorkOrder(
        item_id=item_id, kind="back", state="open", made_us=desk.now_us, person="", photo="",
        photo_sha256="", note="",
    )  # fmt: skip
    desk.session.add(row)
    desk.session.flush()
    return row.id


def take_in(desk: Desk, act: Act) -> Taken:
    """Do what an act says, or find that it is done; LedgerError, and nothing is done."""
    known = desk.session.get(FieldAct, act.id)
    if known is not None:
        if known.digest != work_acts.digest(act):
            raise LedgerError(f"the act {act.id} was taken in with another content: a copied id")
        return Taken(act.id, act.order, f"order {act.order}: done before", True)
    if act.at_us > desk.now_us + AHEAD_US:
        raise LedgerError(f"the act {act.id} is of the future: set the laptop's clock")
    row = desk.session.get(WorkOrder, act.order, with_for_update=True)
    if row is None:
        raise LedgerError(f"there is no work order {act.order}: kapok migrate work list")
    if row.state not in OPEN:
        raise LedgerError(f"work order {act.order} is {row.state} already")
    if act.at_us < row.made_us - AHEAD_US:
        # A visit of long ago would have its dual run behind it.
        raise LedgerError(f"the act {act.id} is older than its order: set the laptop's clock")
    said = _start(row, act) if isinstance(act, Start) else _done(desk, row, act)
    desk.session.add(
        FieldAct(
            id=act.id, digest=work_acts.digest(act), kind=work_acts.kind_of(act),
            person=act.person, at_us=act.at_us, taken_us=desk.now_us, said=work_acts.encode(act),
        )
    )  # fmt: skip
    desk.session.flush()
    return Taken(act.id, act.order, said)


def _start(row: WorkOrder, act: Start) -> str:
    if row.state == "started" and row.person != act.person:
        raise LedgerError(f"work order {row.id} is with {row.person}")
    row.state, row.person, row.started_us = "started", act.person, act.at_us
    return f"order {row.id} is with {act.person}"


def _done(desk: Desk, row: WorkOrder, act: Done) -> str:
    (item,) = moves.find(desk, [row.item_id])
    old = labels.terminal(desk.session, act.old)
    if old.id != item.old_terminal_id:
        raise LedgerError(
            f"order {row.id} is for terminal {item.old_terminal_id}, the scan is of {old.id}: "
            "is this the right place?"
        )
    row.state, row.person, row.done_us = "done", act.person, act.at_us
    row.photo, row.photo_sha256, row.note = act.photo, act.photo_sha256, act.note[:200]
    desk.session.flush()
    if row.kind == "back":
        return _back(desk, item, act)
    new = _came(desk, item, act)
    if new == old.id or not new:
        mode = SAME
    elif act.mode in (BESIDE, INSTEAD):
        mode = act.mode
    else:
        raise LedgerError(f"mode {act.mode[:20]!r}: {BESIDE} or {INSTEAD}, for another terminal")
    register = registers_of(desk, [item.asset_id]).get(item.asset_id)
    put = Put(item.id, mode, new, act.at_us)
    if register is not None and mode != SAME:
        meaning = plain(register)
        if act.unit:
            meaning = Meaning(act.unit, act.decimals, act.modulus or None)
        put = put._replace(
            old_raw=_old_raw(desk, item, register, act.final), meaning=meaning,
            new_raw=dial(act.initial, meaning.decimals) if act.initial else None,
        )  # fmt: skip
    dualrun.install(desk, [put])
    if mode == SAME and new:
        cards.changed(desk, item, act.iccid)
    elif act.iccid:
        raise LedgerError(f"order {row.id}: --iccid is of a card for a terminal that stays")
    _note_photo(desk, item, row)
    return f"order {row.id}: {new or 'nothing'} is in place ({mode})"


def _came(desk: Desk, item: MigrationItem, act: Done) -> str:
    """The id of what is in place now; empty only where the path says that nothing comes."""
    if act.new:
        return labels.terminal(desk.session, act.new).id
    if item.path == paths.RETIRE:
        return ""
    if item.path in paths.SAME_TERMINAL:
        return item.old_terminal_id
    raise LedgerError(f"order {act.order} is a {item.path}: scan what was put in: --new LABEL")


def _back(desk: Desk, item: MigrationItem, act: Done) -> str:
    typed = None
    found = ledger.standings(desk.session, [item.asset_id])
    register = registers_of(desk, [item.asset_id]).get(item.asset_id)
    if register is not None and act.final and act.initial:
        standing = ledger.need(found, (item.asset_id, register))
        former = standing.last_of(item.old_terminal_id)
        if former is not None:
            # The one that goes is billed; the old one comes again.
            typed = Typed(
                act.at_us, dial(act.final, standing.segment.decimals),
                dial(act.initial, former.decimals),
            )  # fmt: skip
    cutover.roll_back(desk, [item.id], act.note or "a visit put the old terminal in again", typed)
    return f"order {act.order}: {item.old_terminal_id} is in place again"


def _old_raw(desk: Desk, item: MigrationItem, register: int, text: str) -> int | None:
    if not text:
        return None
    found = ledger.standings(desk.session, [item.asset_id])
    segment = ledger.need(found, (item.asset_id, register)).segment
    return dial(text, segment.decimals)


def _note_photo(desk: Desk, item: MigrationItem, row: WorkOrder) -> None:
    body = {
        "order": row.id, "photo": row.photo, "photo_sha256": row.photo_sha256, "note": row.note
    }  # fmt: skip
    desk.note("visit", body, item_id=item.id, asset_id=item.asset_id)
    desk.store_evidence()  # what was done was held against the invariants as it was done
