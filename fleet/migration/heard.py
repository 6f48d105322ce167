"""When terminals without a billed register were heard: any reading says that they live."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.migration.policy import US
from fleet.migration.swap_tables import MigrationSwap
from fleet.telemetry.tables import Reading


class Span(NamedTuple):
    """Some readings, as many at different times, from the first to the last, in us; the time
    between two of them is no gap.
    """

    first_us: int
    last_us: int
    readings: int


def since(
    session: Session, swap_ids: Sequence[int], gap_s: int, now_us: int
) -> dict[int, list[Span]]:
    """By swap: what its terminal told since it was put in place, of whatever asset; oldest first.
    Times of a wrong clock are left out, and those to come.
    """
    slot = (Reading.time_us // (gap_s * US)).label("slot")
    rows = session.execute(
        select(
            MigrationSwap.id, slot, func.min(Reading.time_us), func.max(Reading.time_us),
            func.count(Reading.time_us.distinct()),
        )
        .join(
            Reading,
            (Reading.terminal_id == MigrationSwap.terminal_id)
            & (Reading.time_us > MigrationSwap.at_us)
            & (Reading.time_us <= now_us),
        )
        .where(MigrationSwap.id.in_(swap_ids), Reading.clock_off.is_(False))
        .group_by(MigrationSwap.id, "slot")
        .order_by(MigrationSwap.id, "slot")
    )  # fmt: skip
    found: dict[int, list[Span]] = defaultdict(list)
    for swap_id, _slot, first_us, last_us, count in rows:
        found[swap_id].append(Span(first_us, last_us, count))
    return found
