"""What was used: the difference of two indices, so that any parts of a time add up to the whole.

A day's index is its daily read's; of a day without one the last one's before it, and before all of
them the index at which the ledger begins.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ScalarSelect, Select, case, func, select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration.ledger_tables import RegisterSegment
from fleet.registry.tables import Asset, Site
from fleet.telemetry.metering import history
from fleet.telemetry.metering.tables import ESTIMATED, DailyRead

AT_ONCE = 500


class Used(NamedTuple):
    """What an asset's register used from the end of day `since - 1` to that of `until - 1`.

    `estimated`: how many of its days have an estimate.
    """

    asset_id: int
    name: str
    area: str
    register: int
    since: int
    until: int
    from_index: int
    to_index: int
    estimated: int

    @property
    def used(self) -> int:
        return self.to_index - self.from_index


class AreaUsed(NamedTuple):
    """The same of all registers of a kind in an area; `exact`: how many of its assets have no
    estimated day in it.
    """

    area: str
    register: int
    since: int
    until: int
    assets: int
    exact: int
    used: int


def of_assets(
    session: Session, since: int, until: int, *, area: str = "", asset_id: int | None = None,
    after: int = 0, limit: int = AT_ONCE,
) -> list[Used]:  # fmt: skip
    """By asset, those behind `after`; days from `since` to before `until`."""
    query = _query(since, until, area, asset_id).where(Asset.id > after).limit(limit)
    return [
        Used(number, name, code, register, since, until, begin, end, estimated)
        for number, name, code, register, begin, end, estimated in session.execute(query)
    ]


def all_assets(session: Session, since: int, until: int, area: str = "") -> Iterator[Used]:
    """Every asset of an area, some at a time."""
    after = 0
    while part := of_assets(session, since, until, area=area, after=after):
        yield from part
        after = part[-1].asset_id


def of_areas(session: Session, since: int, until: int, area: str, digits: int) -> list[AreaUsed]:
    """Of an area and all in it, by the first `digits` of the area's code."""
    rows = _query(since, until, area, None).order_by(None).subquery()
    code = func.substr(rows.c.area_code, 1, digits)
    query = (
        select(
            code, rows.c.register, func.count(),
            func.sum(case((rows.c.estimated == 0, 1), else_=0)),
            func.sum(rows.c.to_index - rows.c.from_index),
        )
        .group_by(code, rows.c.register)
        .order_by(code, rows.c.register)
    )  # fmt: skip
    return [
        AreaUsed(name, register, since, until, count, int(exact), int(used))
        for name, register, count, exact, used in session.execute(query)
    ]


def _query(since: int, until: int, area: str, asset_id: int | None) -> Select[*tuple[Any, ...]]:
    begin = func.coalesce(_index(since - 1), RegisterSegment.start_index)
    end = func.coalesce(_index(until - 1), RegisterSegment.start_index)
    query = (
        select(
            Asset.id.label("asset_id"), Asset.name, Site.area_code, RegisterSegment.register,
            begin.label("from_index"), end.label("to_index"),
            _estimated(since, until).label("estimated"),
        )
        .join(Asset, Asset.id == RegisterSegment.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(RegisterSegment.number == 0)
        .order_by(Asset.id, RegisterSegment.register)
    )  # fmt: skip
    if area:
        query = query.where(within(Site.area_code, area))
    if asset_id is not None:
        query = query.where(Asset.id == asset_id)
    return query


def _index(day: int) -> ScalarSelect[int]:
    return (
        select(DailyRead.at_index)
        .where(
            DailyRead.asset_id == RegisterSegment.asset_id,
            DailyRead.register == RegisterSegment.register, DailyRead.day <= day,
        )
        .order_by(DailyRead.day.desc(), DailyRead.revision.desc())
        .limit(1)
        .correlate(RegisterSegment)
        .scalar_subquery()
    )  # fmt: skip


def _estimated(since: int, until: int) -> ScalarSelect[int]:
    return (
        select(func.count())
        .select_from(DailyRead)
        .where(
            DailyRead.asset_id == RegisterSegment.asset_id,
            DailyRead.register == RegisterSegment.register, DailyRead.day >= since,
            DailyRead.day < until, DailyRead.quality == ESTIMATED, history.counts(),
        )
        .correlate(RegisterSegment)
        .scalar_subquery()
    )  # fmt: skip
