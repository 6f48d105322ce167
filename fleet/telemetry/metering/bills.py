"""Closing a period of an area: daily reads, bill lines, and an export that is never changed.

It goes some assets at a time, each part one transaction: a killed process is started again, and
goes on behind what is done.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration import billing
from fleet.migration.desk import Desk, Office
from fleet.migration.ledger_tables import BillLine, RegisterSegment
from fleet.migration.states import Actor
from fleet.registry.tables import Asset, Site
from fleet.telemetry.metering import history, lines, reading, sealing, shares
from fleet.telemetry.metering.bill_tables import BillExport, BillShare
from fleet.telemetry.metering.days import end_us, ended, written
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.lines import Account, Known
from fleet.telemetry.metering.shares import CARRIED, USAGE, Share
from fleet.telemetry.metering.tables import ESTIMATED

AHEAD = "ahead"  # why something is carried


def close(office: Office, area: str, through: int, person: str) -> BillExport:
    """Close the bill of an area through a day, and export it; the same again gives the same one.
    MeteringError for a day to come, one that is closed, or one behind a period that is not.
    """
    with office.database.begin() as session:
        desk = office.desk(session, Actor.PERSON, person)
        export = _begin(desk, area, through)
        assets = assets_of(session, area)
    if export.digest is not None:
        return export
    office.each(
        assets, Actor.PERSON, person, lambda desk, part: _part(desk, part, export, through)
    )
    return sealing.seal(office, export.id, person)


def assets_of(session: Session, area: str) -> list[int]:
    """The assets of an area, and of all in it, that the ledger has; `area` empty: all."""
    query = (
        select(RegisterSegment.asset_id)
        .join(Asset, Asset.id == RegisterSegment.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(RegisterSegment.number == 0)
        .distinct()
        .order_by(RegisterSegment.asset_id)
    )
    if area:
        query = query.where(within(Site.area_code, area))
    return list(session.scalars(query))


def _begin(desk: Desk, area: str, through: int) -> BillExport:
    to_us = end_us(through)
    if through > ended(desk.now_us):
        raise MeteringError(f"{written(through)} has not ended: a bill is closed afterwards")
    last = desk.session.scalar(
        select(BillExport)
        .where(BillExport.scope == area)
        .order_by(BillExport.number.desc())
        .limit(1)
    )
    if last is not None and last.to_us == to_us:
        return last
    if last is not None and last.digest is None:
        text = f"export {last.id} of {area} is not finished: close it through"
        raise MeteringError(f"{text} {written(ended(last.to_us))} again")
    if last is not None and last.to_us > to_us:
        raise MeteringError(f"{area} is closed through {written(ended(last.to_us))} already")
    from_us = _first(desk.session, area, to_us) if last is None else last.to_us
    export = BillExport(
        scope=area, number=0 if last is None else last.number + 1,
        previous=None if last is None else last.number, from_us=from_us, to_us=to_us,
        person=desk.person, made_us=desk.now_us, row_count=None, estimated=None, corrections=None,
        digest=None, evidence_id=None,
    )  # fmt: skip
    desk.session.add(export)
    desk.session.flush()
    return export


def _first(session: Session, area: str, to_us: int) -> int:
    found = session.scalar(
        select(func.min(RegisterSegment.from_us))
        .join(Asset, Asset.id == RegisterSegment.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(within(Site.area_code, area))
    )
    if found is None or found >= to_us:
        raise MeteringError(
            f"no register of area {area[:12]!r} is in the ledger until then: kapok metering enrol"
        )
    return int(found)


def _part(desk: Desk, asset_ids: Sequence[int], export: BillExport, through: int) -> list[int]:
    """Read, bill and export some assets; the number of rows."""
    session = desk.session
    reading.read(desk, asset_ids, ended(desk.now_us), again=through)
    estimates = {
        (asset_id, register): row.at_index
        for (asset_id, register, _), row in history.on_days(session, asset_ids, [through]).items()
        if row.quality == ESTIMATED
    }
    billing.freeze(desk, asset_ids, export.to_us, None, estimates)
    accounts = lines.accounts(session, asset_ids, export.to_us)
    reads = lines.known(session, accounts.values())
    rows = [row for account in accounts.values() for row in _rows(account, reads, export.id)]
    if rows:
        session.execute(insert(BillShare), rows)
    return [len(rows)]


def _rows(account: Account, reads: Known, export_id: int) -> list[dict[str, Any]]:
    made = shares.share(
        [lines.period(line, reads) for line in account.earlier], account.told, account.carried,
        [lines.period(line, reads) for line in account.fresh],
    )  # fmt: skip
    by_id = {line.id: line for line in (*account.earlier, *account.fresh)}
    return [_row(one, by_id[one.line_id], reads, export_id) for one in made]


def _row(one: Share, line: BillLine, reads: Known, export_id: int) -> dict[str, Any]:
    begin, end = lines.at_begin(line, reads), lines.at_end(line, reads)
    method = "" if end is None else end.method
    reason = line.reason if end is None else end.reason
    quality = line.quality if end is None else end.quality
    if begin is not None and begin.quality == ESTIMATED:
        quality, reason = ESTIMATED, reason or begin.reason
    if one.kind == USAGE and line.quality == ESTIMATED:
        quality, reason = ESTIMATED, reason or line.reason
    if one.kind == CARRIED:
        quality, method, reason = ESTIMATED, "", AHEAD
    return {
        "export_id": export_id, "line_id": line.id, "kind": one.kind,
        "from_index": one.from_index, "to_index": one.to_index, "used": one.used,
        "quality": quality, "method": method, "reason": reason,
        "read_us": line.read_us if end is None else end.read_us,
    }  # fmt: skip
