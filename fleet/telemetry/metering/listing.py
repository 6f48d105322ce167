"""Daily reads and consumption as lists show them: days as dates, numbers as exact decimals."""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.telemetry.metering import consumption, days, history
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.tables import DailyRead
from fleet.telemetry.operations import QUALITIES, quantity_name, written

# Digits of an area's code (GB/T 2260).
DIGITS: Final = {"city": 4, "district": 6, "street": 9}


def of_asset(
    session: Session, asset_id: int, first: int, last: int, every: bool
) -> list[dict[str, Any]]:
    """An asset's days, `last` included; with `every` what was replaced as well."""
    query = (
        select(DailyRead)
        .where(DailyRead.asset_id == asset_id, DailyRead.day.between(first - 1, last))
        .order_by(DailyRead.register, DailyRead.day, DailyRead.revision)
    )
    rows = list(session.scalars(query if every else query.where(history.counts())))
    if not rows:
        raise MeteringError(f"asset id:{asset_id} was not read then: kapok metering read")
    newest = {(row.register, row.day): row.at_index for row in rows}
    return [
        {
            "register": quantity_name(row.register), "day": days.written(row.day),
            "index": written(row.register, row.at_index),
            "used": None if (before := newest.get((row.register, row.day - 1))) is None
            else written(row.register, row.at_index - before),
            "quality": QUALITIES[row.quality], "method": row.method, "reason": row.reason,
            "read_us": row.read_us, "revision": row.revision, "made_us": row.made_us,
        }
        for row in rows
        if row.day >= first
    ]  # fmt: skip


def used_by_assets(
    session: Session, since: int, until: int, area: str, asset_id: int | None
) -> list[dict[str, Any]]:
    """Days from `since` to before `until`."""
    if asset_id is None:
        found = list(consumption.all_assets(session, since, until, area))
    else:
        found = consumption.of_assets(session, since, until, asset_id=asset_id)
        if not found:
            raise MeteringError(f"asset id:{asset_id} is not in the ledger: kapok metering enrol")
    return [
        {
            **_span(since, until), "asset": one.asset_id, "name": one.name, "area": one.area,
            "register": quantity_name(one.register), "used": written(one.register, one.used),
            "from_index": written(one.register, one.from_index),
            "to_index": written(one.register, one.to_index), "estimated_days": one.estimated,
        }
        for one in found
    ]  # fmt: skip


def used_by_areas(
    session: Session, since: int, until: int, area: str, of: str
) -> list[dict[str, Any]]:
    """The same by area: `area` itself, or each city, district or street in it."""
    digits = DIGITS.get(of, len(area) or DIGITS["city"])
    return [
        {
            **_span(since, until), "area": one.area, "register": quantity_name(one.register),
            "used": written(one.register, one.used), "assets": one.assets,
            "assets_without_estimate": one.exact,
        }
        for one in consumption.of_areas(session, since, until, area, digits)
    ]  # fmt: skip


def _span(since: int, until: int) -> dict[str, Any]:
    return {"since": days.written(since), "until": days.written(until - 1)}
