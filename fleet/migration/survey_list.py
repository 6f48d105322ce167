"""What a survey found, to be listed: counts of an area's sites, and sites one by one."""

from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration.survey_tables import Coverage
from fleet.registry.tables import Site

HEADINGS = ["operator", "bearer", "coverage", "by", "confidence", "sites"]
PAGE = 1000


class Count(NamedTuple):
    """How many sites have the same; `coverage` is ECL 0 to ECL 2, or none."""

    operator: str
    bearer: str
    coverage: str
    by: str
    confidence: str
    sites: int


class Listed(NamedTuple):
    """One site's."""

    site_id: int
    site: str
    area: str
    operator: str
    bearer: str
    ecl: int | None
    rsrp_dbm: int | None
    snr_db: int | None
    cell: str
    by: str
    samples: int
    radius_m: int
    confidence: str


def counts(session: Session, area: str) -> list[Count]:
    """Of an area; sites without any measurement near them are of operator and bearer -."""
    key = (Coverage.operator, Coverage.bearer, Coverage.ecl, Coverage.by, Coverage.confidence)
    last = case((Coverage.ecl.is_(None), 3), else_=Coverage.ecl)
    rows = session.execute(
        select(*key, func.count())
        .join(Site, Site.id == Coverage.site_id)
        .where(within(Site.area_code, area))
        .group_by(*key)
        .order_by(Coverage.operator, Coverage.bearer, last, Coverage.by, Coverage.confidence)
    )
    found = [
        Count(operator, bearer, "none" if ecl is None else f"ECL {ecl}", by, sure, count)
        for operator, bearer, ecl, by, sure, count in rows
    ]
    unknown = session.scalar(
        select(func.count())
        .select_from(Site)
        .where(
            within(Site.area_code, area),
            Site.id.not_in(select(Coverage.site_id).where(Coverage.bearer == "nb")),
        )
    )
    if unknown:
        found.append(Count("-", "nb", "unknown", "-", "-", unknown))
    return found


def sites(session: Session, area: str, after: int = 0, limit: int = PAGE) -> list[Listed]:
    """Site by site, those behind `after`."""
    rows = session.execute(
        select(
            Site.id, Site.name, Site.area_code, Coverage.operator, Coverage.bearer, Coverage.ecl,
            Coverage.rsrp_dbm, Coverage.snr_db, Coverage.cell, Coverage.by, Coverage.samples,
            Coverage.radius_m, Coverage.confidence,
        )
        .join(Coverage, Coverage.site_id == Site.id)
        .where(within(Site.area_code, area), Site.id > after)
        .order_by(Site.id, Coverage.operator, Coverage.bearer)
        .limit(min(limit, PAGE))
    )  # fmt: skip
    return [Listed._make(row) for row in rows]
