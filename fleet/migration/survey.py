"""Coverage of each site: measured there, or by its neighbours; and how sure that is.

What is measured at a place counts by its worse quarter, since a meter has no better day to wait
for. A modem's own coverage level goes before its RSRP: the limits of the levels are the cell's.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration.inventory import chunks
from fleet.migration.samples import SURVEY
from fleet.migration.survey_tables import Coverage, RadioSample
from fleet.registry.operations import now_us
from fleet.registry.tables import Asset, Site

HIGH, MEDIUM, LOW = "high", "medium", "low"
OWN, NEIGHBOURS = "own", "neighbours"
NONE = 3  # behind coverage level 2: nothing
_SURE = 10  # measurements at a place that are enough without a survey node
_METRES_PER_DEGREE = 111_320
_E7 = 10_000_000
Position = tuple[int, int]  # latitude, longitude in 1e-7 degrees


class Heard(NamedTuple):
    """One measurement as it is counted: `level` 0 to 2, or NONE."""

    level: int
    rsrp_dbm: int | None
    snr_db: int | None
    cell: str
    by_survey: bool
    band: int | None = None


class Place(NamedTuple):
    """Where something was measured: a site, or a bare position; `at` None: not known."""

    site_id: int | None
    at: Position | None
    heard: tuple[Heard, ...]


class Result(NamedTuple):
    """What a site has; as in the table of coverage."""

    ecl: int | None
    rsrp_dbm: int | None
    snr_db: int | None
    cell: str
    by: str
    samples: int
    radius_m: int
    confidence: str


def level(rsrp_dbm: int | None, ecl: int | None, limits: Mapping[str, Any]) -> int:
    """The coverage level of a measurement; `limits`: [coverage] of the rules."""
    if ecl is not None:
        return NONE if rsrp_dbm is not None and rsrp_dbm < limits["none_dbm"] else ecl
    if rsrp_dbm is None or rsrp_dbm < limits["none_dbm"]:
        return NONE
    return 0 if rsrp_dbm > limits["ecl0_dbm"] else 1 if rsrp_dbm >= limits["ecl1_dbm"] else 2


def distance_m(one: Position, other: Position) -> int:
    """Between two positions that are near each other, rounded up."""
    north = (one[0] - other[0]) / _E7 * _METRES_PER_DEGREE
    scale = math.cos(math.radians(one[0] / _E7))
    east = (one[1] - other[1]) / _E7 * _METRES_PER_DEGREE * scale
    return math.ceil(math.hypot(north, east))


def own(heard: Sequence[Heard], limits: Mapping[str, Any]) -> Result:
    """Of what was measured at the site itself; at least one."""
    surveyed = sum(one.by_survey for one in heard)
    sure = HIGH if surveyed >= limits["own"] or len(heard) >= _SURE else (
        MEDIUM if len(heard) >= limits["own"] else LOW
    )  # fmt: skip
    return _result(heard, OWN, len(heard), 0, sure)


def as_a_terminal(heard: Sequence[Heard]) -> tuple[Heard, ...]:
    """What counts for one that chooses its band: a survey looks at each alone, and of those it has
    looked at only the best one is where a terminal would be. Nothing on all bands stays nothing.
    """
    bands: dict[int, list[Heard]] = defaultdict(list)
    for one in heard:
        if one.by_survey and one.band is not None:
            bands[one.band].append(one)
    if len(bands) < 2:
        return tuple(heard)
    best = min(bands, key=lambda band: (*_badness(_typical(bands[band])), band))
    return tuple(one for one in heard if not one.by_survey or one.band in (None, best))


def by_neighbours(near: Sequence[tuple[int, Place]], limits: Mapping[str, Any]) -> Result | None:
    """Of (distance, place), the nearest first; None where there is none within the last radius."""
    radii: list[int] = limits["radii_m"]
    for radius in radii:
        inside = [place for distance, place in near if distance <= radius]
        if len(inside) >= limits["neighbours"] or (inside and radius == radii[-1]):
            # Each place counts once, by its own worse quarter.
            heard = [_typical(place.heard) for place in inside]
            enough = len(inside) >= limits["neighbours"] and radius == radii[0]
            return _result(heard, NEIGHBOURS, len(inside), radius, MEDIUM if enough else LOW)
    return None


def _typical(heard: Sequence[Heard]) -> Heard:
    return _worse_quarter(heard, _badness)


def _badness(one: Heard) -> tuple[int, int]:
    return one.level, -(one.rsrp_dbm or 0)


def _result(heard: Sequence[Heard], by: str, samples: int, radius: int, sure: str) -> Result:
    found = _typical(heard)
    cells = Counter(one.cell for one in heard if one.cell)
    cell = max(cells, key=lambda name: (cells[name], name)) if cells else ""
    ecl = None if found.level == NONE else found.level
    return Result(ecl, found.rsrp_dbm, found.snr_db, cell, by, samples, radius, sure)


def _worse_quarter(heard: Sequence[Heard], key: Any) -> Heard:
    ordered = sorted(heard, key=key)
    return ordered[(3 * len(ordered) + 3) // 4 - 1]


class Grid:
    """Places by squares of the greatest radius, so that neighbours are found without all."""

    def __init__(self, places: Iterable[Place], radius_m: int) -> None:
        self._side = max(1, round(radius_m / _METRES_PER_DEGREE * _E7 * 2))
        self._radius = radius_m
        self._squares: dict[Position, list[Place]] = defaultdict(list)
        for place in places:
            if place.at is not None:
                self._squares[self._square(place.at)].append(place)

    def near(self, at: Position, but: int) -> list[tuple[int, Place]]:
        """(m, place) within the radius, the nearest first, without the site `but`."""
        row, column = self._square(at)
        found = [
            (distance_m(at, place.at), place)
            for y in (row - 1, row, row + 1)
            for x in (column - 1, column, column + 1)
            for place in self._squares.get((y, x), ())
            if place.at is not None and place.site_id != but
        ]
        return sorted(
            ((d, place) for d, place in found if d <= self._radius), key=lambda one: one[0]
        )

    def _square(self, at: Position) -> Position:
        return at[0] // self._side, at[1] // self._side


def compute(session: Session, scope: str, limits: Mapping[str, Any]) -> int:
    """Coverage of all sites of an area, anew; how many rows there are."""
    positions = _positions(session)
    since_us = now_us() - limits["days"] * 86_400_000_000
    by_network = _places(session, positions, since_us, limits)
    sites = list(session.scalars(select(Site.id).where(within(Site.area_code, scope))))
    for part in chunks(sites):
        session.execute(delete(Coverage).where(Coverage.site_id.in_(part)))
    made_us, count = now_us(), 0
    for (operator, bearer), places in by_network.items():
        grid = Grid(places.values(), limits["radii_m"][-1])
        for site_id, found in _results(sites, places, positions, grid, limits):
            session.add(
                Coverage(
                    site_id=site_id, operator=operator, bearer=bearer, made_us=made_us,
                    **found._asdict(),
                )
            )  # fmt: skip
            count += 1
    session.flush()
    return count


def _results(
    sites: list[int], places: Mapping[object, Place], positions: Mapping[int, Position],
    grid: Grid, limits: Mapping[str, Any],
) -> Iterator[tuple[int, Result]]:  # fmt: skip
    for site_id in sites:
        here = places.get(site_id)
        mine = own(here.heard, limits) if here is not None else None
        if mine is None or mine.confidence == LOW:
            at = positions.get(site_id)
            others = by_neighbours(grid.near(at, site_id), limits) if at is not None else None
            # Few readings of its own go before few others, and before many where they are worse.
            if others is not None and (mine is None or _outdoes(others, mine)):
                mine = others
        if mine is not None:
            yield site_id, mine


def _outdoes(others: Result, mine: Result) -> bool:
    if others.confidence == LOW:
        return False
    return (NONE if mine.ecl is None else mine.ecl) <= (NONE if others.ecl is None else others.ecl)


def _positions(session: Session) -> dict[int, Position]:
    """Of sites: the middle of their assets."""
    rows = session.execute(
        select(Asset.site_id, func.avg(Asset.latitude_e7), func.avg(Asset.longitude_e7))
        .where(Asset.latitude_e7.is_not(None), Asset.longitude_e7.is_not(None))
        .group_by(Asset.site_id)
    )
    return {site_id: (round(lat), round(lon)) for site_id, lat, lon in rows}


def _places(
    session: Session, positions: Mapping[int, Position], since_us: int, limits: Mapping[str, Any]
) -> dict[tuple[str, str], dict[object, Place]]:
    """(operator, bearer) -> site, or position -> what was measured there."""
    found: dict[tuple[str, str], dict[object, list[Heard]]] = defaultdict(
        lambda: defaultdict(list)
    )
    rows = session.execute(
        select(
            RadioSample.site_id, RadioSample.latitude_e7, RadioSample.longitude_e7,
            RadioSample.operator, RadioSample.bearer, RadioSample.rsrp_dbm, RadioSample.snr_db,
            RadioSample.ecl, RadioSample.cell, RadioSample.source, RadioSample.band,
        ).where(RadioSample.at_us >= since_us)
    )  # fmt: skip
    for site_id, lat, lon, operator, bearer, rsrp, snr, ecl, cell, source, band in rows:
        key: object = site_id if site_id is not None else (lat, lon)
        heard = Heard(level(rsrp, ecl, limits), rsrp, snr, cell, source == SURVEY, band)
        found[operator, bearer][key].append(heard)
    return {
        network: {
            key: Place(
                key if isinstance(key, int) else None,
                positions.get(key) if isinstance(key, int) else key,  # type: ignore[arg-type]
                as_a_terminal(heard),
            )
            for key, heard in places.items()
        }
        for network, places in found.items()
    }
