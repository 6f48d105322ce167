"""Readings that are held: suspect for the whole fleet until a person lets them count.

What a bill rests on is never held, so none rests on a reading that is taken away.
"""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.migration.ledger import Standing, meaning_of
from fleet.migration.scaling import Read, quantities_of
from fleet.telemetry.metering.tables import HeldRead, MeteringException
from fleet.telemetry.metering.worklist import ACCEPTED, REJECTED
from fleet.telemetry.operations import QUALITIES
from fleet.telemetry.tables import Reading

_SUSPECT = QUALITIES.index("suspect")


def of_assets(session: Session, asset_ids: Sequence[int]) -> dict[tuple[int, int], list[HeldRead]]:
    """All that was ever held of these assets, by asset and register, oldest first."""
    found: dict[tuple[int, int], list[HeldRead]] = {}
    for row in session.scalars(
        select(HeldRead).where(HeldRead.asset_id.in_(asset_ids)).order_by(HeldRead.at_us)
    ):
        found.setdefault((row.asset_id, row.register), []).append(row)
    return found


def hold(
    session: Session, standing: Standing, exception: MeteringException, reads: Sequence[Read]
) -> list[HeldRead]:
    """Hold these readings of the billed terminal."""
    segment = standing.segment
    meaning = meaning_of(segment)
    wanted = set(reads)
    own = [meaning.own_us(read.at_us) for read in reads]
    rows = session.execute(
        select(Reading.id, Reading.time_us, Reading.value, Reading.quality).where(
            Reading.asset_id == segment.asset_id,
            Reading.quantity.in_(quantities_of(segment.register)),
            Reading.terminal_id == segment.terminal_id, Reading.quality != _SUSPECT,
            Reading.time_us >= min(own), Reading.time_us <= max(own),
        )
    )  # fmt: skip
    held = [
        HeldRead(
            reading_id=number, exception_id=exception.id, asset_id=segment.asset_id,
            register=segment.register, at_us=meaning.true_us(time_us), raw=value, quality=quality,
            outcome="",
        )
        for number, time_us, value, quality in rows
        if Read(meaning.true_us(time_us), value) in wanted
    ]  # fmt: skip
    session.add_all(held)
    session.flush()
    _mark(session, [(row.reading_id, _SUSPECT) for row in held])
    return held


def decide(session: Session, rows: Sequence[HeldRead], outcome: str) -> int:
    """Held readings count from now on (ACCEPTED), or never (REJECTED); how many."""
    waiting = [row for row in rows if not row.outcome]
    for row in waiting:
        row.outcome = outcome
    session.flush()
    if outcome == ACCEPTED:
        _mark(session, [(row.reading_id, row.quality) for row in waiting])
    return len(waiting)


def of_exception(session: Session, exception_id: int) -> list[HeldRead]:
    """What is held by one."""
    return list(session.scalars(select(HeldRead).where(HeldRead.exception_id == exception_id)))


def accepted(rows: Sequence[HeldRead]) -> frozenset[Read]:
    """Readings that somebody vouched for."""
    return frozenset(Read(row.at_us, row.raw) for row in rows if row.outcome == ACCEPTED)


def refused(rows: Sequence[HeldRead]) -> list[Read]:
    """Readings that do not count: held, or rejected."""
    return [Read(row.at_us, row.raw) for row in rows if row.outcome in ("", REJECTED)]


def _mark(session: Session, qualities: Sequence[tuple[int, int]]) -> None:
    if qualities:
        session.execute(
            update(Reading), [{"id": number, "quality": value} for number, value in qualities]
        )
