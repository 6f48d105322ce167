"""What is stored of some series already: asked before a batch is added to them.

All series of a batch are asked for in one statement: a statement for each would cost more than
the batch itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from sqlalchemy import CTE, BigInteger, Integer, column, func, select, values
from sqlalchemy.orm import Session, aliased

from fleet.telemetry.operations import LEGACY
from fleet.telemetry.tables import Reading

MOST = 5000  # readings of one window that are read one by one: one in 2 s over 3 h
_AT_ONCE = 500  # series in one statement

Series = tuple[int, int]  # asset, quantity


class Old(NamedTuple):
    """A reading that is stored."""

    time_us: int
    value: int
    quality: int


def newest(session: Session, series: Iterable[Series], until_us: int) -> dict[Series, int]:
    """The time of the newest reading of each, not after `until_us`, in us; none: not there.

    Readings whose clock was off do not count, nor do those that a file brought: in front of none
    of them is what the node says itself a late one.
    """
    found: dict[Series, int] = {}
    for part in _parts(dict.fromkeys(series, 0)):
        last = (
            select(func.max(Reading.time_us))
            .where(
                Reading.asset_id == part.c.asset_id, Reading.quantity == part.c.quantity,
                Reading.time_us <= until_us, Reading.clock_off.is_(False),
                Reading.trust != LEGACY,
            )
            .scalar_subquery()
        )  # fmt: skip
        for asset_id, quantity, time_us in session.execute(
            select(part.c.asset_id, part.c.quantity, last)
        ):
            if time_us is not None:
                found[asset_id, quantity] = time_us
    return found


def windows(
    session: Session, since: Mapping[Series, int], until_us: int
) -> dict[Series, list[Old]]:
    """Of each series what was measured since a time of its own, in us, oldest first, and before
    it the last one ahead of that time, if there is one. Not what is after `until_us`.
    """
    found: dict[Series, list[Old]] = {}
    for part in _parts(since):
        same = (Reading.asset_id == part.c.asset_id) & (Reading.quantity == part.c.quantity)
        earlier = aliased(Reading)
        before = (
            select(func.max(earlier.time_us))
            .where(
                earlier.asset_id == part.c.asset_id, earlier.quantity == part.c.quantity,
                earlier.time_us < part.c.since_us, earlier.clock_off.is_(False),
            )
            .correlate(part)
            .scalar_subquery()
        )  # fmt: skip
        query = (
            select(
                Reading.asset_id, Reading.quantity, Reading.time_us, Reading.value,
                Reading.quality,
            )
            .select_from(part)
            .join(Reading, same & (Reading.time_us >= func.coalesce(before, part.c.since_us)))
            .where(Reading.time_us <= until_us, Reading.clock_off.is_(False))
            .order_by(Reading.asset_id, Reading.quantity, Reading.time_us, Reading.id)
        )  # fmt: skip
        for asset_id, quantity, *row in session.execute(query):
            found.setdefault((asset_id, quantity), []).append(Old._make(row))
    return found


def window(
    session: Session, series: Series, since_us: int, until_us: int
) -> list[tuple[int, int]]:
    """(us, value) of one series in a span of time, oldest first, and before them the last one
    ahead of it, if there is one. Of more than MOST the newest; none that a file brought.
    """
    asset_id, quantity = series
    backwards = (
        select(Reading.time_us, Reading.value)
        .where(
            Reading.asset_id == asset_id, Reading.quantity == quantity,
            Reading.clock_off.is_(False), Reading.trust != LEGACY,
        )
        .order_by(Reading.time_us.desc(), Reading.id.desc())
    )  # fmt: skip
    inside = backwards.where(Reading.time_us >= since_us, Reading.time_us <= until_us)
    before = backwards.where(Reading.time_us < since_us).limit(1)
    rows = [*session.execute(inside.limit(MOST)), *session.execute(before)]
    return [(time_us, value) for time_us, value in reversed(rows)]


def last(session: Session, series: Series, until_us: int) -> tuple[int, int] | None:
    """(us, value) of a series' newest reading, not after `until_us`, that no file brought."""
    asset_id, quantity = series
    row = session.execute(
        select(Reading.time_us, Reading.value)
        .where(
            Reading.asset_id == asset_id, Reading.quantity == quantity,
            Reading.time_us <= until_us, Reading.clock_off.is_(False), Reading.trust != LEGACY,
        )
        .order_by(Reading.time_us.desc(), Reading.id.desc())
        .limit(1)
    ).first()  # fmt: skip
    return None if row is None else (row.time_us, row.value)


def _parts(since: Mapping[Series, int]) -> Iterator[CTE]:
    """Tables of (asset_id, quantity, since_us), _AT_ONCE rows each."""
    rest = iter(sorted((*series, since_us) for series, since_us in since.items()))
    while rows := list(islice(rest, _AT_ONCE)):
        yield (
            values(
                column("asset_id", Integer), column("quantity", Integer),
                column("since_us", BigInteger), name="wanted",
            )
            .data(rows)
            .cte("wanted")
        )  # fmt: skip
