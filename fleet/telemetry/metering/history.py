"""Daily reads as they are stored: the highest revision of a day counts."""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    column,
    exists,
    func,
    literal_column,
    select,
    values,
)
from sqlalchemy.orm import Session, aliased

from fleet.migration.ledger import Key
from fleet.telemetry.metering.estimating import BETWEEN, LEAST_DAYS, Typical
from fleet.telemetry.metering.policy import REGISTERS
from fleet.telemetry.metering.tables import ESTIMATED, GOOD, DailyRead

_FRESH_DAYS = 3  # whose last reading may still be on its way
# As the partial index has it: SQLite does not take it for a parameter.
_ESTIMATED = literal_column(str(ESTIMATED), Integer)


def counts(read: type[DailyRead] = DailyRead) -> ColumnElement[bool]:
    """That there is no later revision of a row."""
    later = aliased(DailyRead)
    return ~exists().where(
        later.asset_id == read.asset_id, later.register == read.register, later.day == read.day,
        later.revision > read.revision,
    )  # fmt: skip


def begin(
    session: Session, asset_ids: Sequence[int], until: int, replace_days: int
) -> dict[Key, int]:
    """From which day on to look again: the first that may still be replaced, at least the last
    ones. A register that was never read is not among them.
    """
    newest = session.execute(
        select(
            DailyRead.asset_id,
            DailyRead.register,
            func.min(DailyRead.day),
            func.max(DailyRead.day),
        )
        .where(DailyRead.asset_id.in_(asset_ids))
        .group_by(DailyRead.asset_id, DailyRead.register)
    )
    found: dict[Key, int] = {
        (asset, register): max(oldest, day + 1 - _FRESH_DAYS)
        for asset, register, oldest, day in newest
    }
    # What was put between two readings is looked at again for a time; what nothing was behind of,
    # always.
    open_ = session.execute(
        select(DailyRead.asset_id, DailyRead.register, func.min(DailyRead.day))
        .where(
            DailyRead.asset_id.in_(asset_ids), DailyRead.quality == _ESTIMATED, counts(),
            (DailyRead.method != BETWEEN) | (DailyRead.day >= until - replace_days),
        )
        .group_by(DailyRead.asset_id, DailyRead.register)
    )  # fmt: skip
    for asset, register, day in open_:
        found[asset, register] = min(day, found[asset, register])
    return found


def since(session: Session, first: Mapping[Key, int]) -> dict[Key, dict[int, DailyRead]]:
    """Of each key what counts, from the day before its own on, by day."""
    found: dict[Key, dict[int, DailyRead]] = {}
    if not first:
        return found
    wanted = _wanted({key: (day - 1, 0) for key, day in first.items()})
    for row in session.scalars(
        select(DailyRead)
        .join(
            wanted,
            (wanted.c.asset_id == DailyRead.asset_id)
            & (wanted.c.register == DailyRead.register)
            & (wanted.c.since_day <= DailyRead.day),
        )
        .order_by(DailyRead.asset_id, DailyRead.register, DailyRead.day, DailyRead.revision)
    ):
        found.setdefault((row.asset_id, row.register), {})[row.day] = row
    return found


def typical(
    session: Session, bases: Mapping[Key, DailyRead], profile_days: Mapping[int, int]
) -> dict[Key, Typical]:
    """What is used as a rule, by what was read in the days until a key's base."""
    if not bases:
        return {}
    spans = {key: (base.day - profile_days[key[1]], base.day - 1) for key, base in bases.items()}
    wanted = _wanted(spans)
    oldest = (
        select(DailyRead.asset_id, DailyRead.register, func.min(DailyRead.day).label("day"))
        .join(
            wanted,
            (wanted.c.asset_id == DailyRead.asset_id)
            & (wanted.c.register == DailyRead.register)
            & DailyRead.day.between(wanted.c.since_day, wanted.c.until_day),
        )
        .where(DailyRead.quality == GOOD)
        .group_by(DailyRead.asset_id, DailyRead.register)
        .subquery()
    )
    found = {}
    for row in session.scalars(
        select(DailyRead)
        .join(
            oldest,
            (oldest.c.asset_id == DailyRead.asset_id)
            & (oldest.c.register == DailyRead.register)
            & (oldest.c.day == DailyRead.day),
        )
        .where(DailyRead.quality == GOOD)
    ):
        key = (row.asset_id, row.register)
        base = bases[key]
        over_us = base.read_us - row.read_us
        if base.day - row.day >= LEAST_DAYS and over_us > 0:
            found[key] = Typical(max(0, base.stands - row.stands), over_us)
    return found


def on_days(
    session: Session, asset_ids: Sequence[int], days: Sequence[int]
) -> dict[tuple[int, int, int], DailyRead]:
    """What counts, of these days alone: by asset, register, day."""
    rows = session.scalars(
        select(DailyRead)
        .where(
            DailyRead.asset_id.in_(asset_ids), DailyRead.register.in_(REGISTERS),
            DailyRead.day.in_(days),
        )
        .order_by(DailyRead.revision)
    )  # fmt: skip
    return {(row.asset_id, row.register, row.day): row for row in rows}


def _wanted(spans: Mapping[Key, tuple[int, int]]) -> CTE:
    return (
        values(
            column("asset_id", Integer), column("register", Integer),
            column("since_day", Integer), column("until_day", Integer), name="wanted",
        )
        .data([(*key, *span) for key, span in spans.items()])
        .cte("wanted")
    )  # fmt: skip
