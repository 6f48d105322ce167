"""What is stored of some series already: asked before a batch is added to them."""

from collections.abc import Iterable

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from fleet.telemetry.tables import Reading

MOST = 5000  # readings of one window: one in 2 s over 3 h
_AT_ONCE = 100  # series in one statement

Series = tuple[int, int]  # asset, quantity


def newest(session: Session, series: Iterable[Series], until_us: int) -> dict[Series, int]:
    """The time of the newest reading of each, not after `until_us`, in us; none: not there.

    Readings whose clock was off do not count.
    """
    wanted = sorted(set(series))
    found: dict[Series, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = [
            select(
                Reading.asset_id.label("asset_id"), Reading.quantity.label("quantity"),
                func.max(Reading.time_us).label("time_us"),
            )
            .where(
                Reading.asset_id == asset_id, Reading.quantity == quantity,
                Reading.time_us <= until_us, Reading.clock_off.is_(False),
            )
            .group_by(Reading.asset_id, Reading.quantity)
            for asset_id, quantity in wanted[start : start + _AT_ONCE]
        ]  # fmt: skip
        for row in session.execute(union_all(*part)):
            found[row.asset_id, row.quantity] = row.time_us
    return found


def window(
    session: Session, series: Series, since_us: int, until_us: int, qualities: Iterable[int]
) -> list[tuple[int, int]]:
    """(us, value) of a series in a span of time, oldest first, and before them the last one
    ahead of it, if there is one. Of more than MOST the newest.
    """
    asset_id, quantity = series
    query = select(Reading.time_us, Reading.value).where(
        Reading.asset_id == asset_id, Reading.quantity == quantity,
        Reading.quality.in_(sorted(qualities)), Reading.clock_off.is_(False),
    )  # fmt: skip
    backwards = query.order_by(Reading.time_us.desc(), Reading.id.desc())
    inside = backwards.where(Reading.time_us >= since_us, Reading.time_us <= until_us)
    before = backwards.where(Reading.time_us < since_us).limit(1)
    rows = [*session.execute(inside.limit(MOST)), *session.execute(before)]
    return [(time_us, value) for time_us, value in reversed(rows)]


def last(session: Session, series: Series, until_us: int) -> tuple[int, int] | None:
    """(us, value) of the newest reading of a series, not after `until_us`."""
    asset_id, quantity = series
    row = session.execute(
        select(Reading.time_us, Reading.value)
        .where(
            Reading.asset_id == asset_id, Reading.quantity == quantity,
            Reading.time_us <= until_us, Reading.clock_off.is_(False),
        )
        .order_by(Reading.time_us.desc(), Reading.id.desc())
        .limit(1)
    ).first()  # fmt: skip
    return None if row is None else (row.time_us, row.value)
