"""What is nobody's: kept with its bytes, within bounds, until somebody says whose it is."""

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from fleet.legacy import sources
from fleet.legacy.sources import Source
from fleet.legacy.tables import LegacyKept, LegacyStranger

MOST = 2_000  # strangers that are remembered
EACH = 500  # of one, what is kept: a day of one every three minutes
ALL = 50_000  # of all together
QUIET_US = 86_400 * 1_000_000  # of silence, behind which one may make room for another
OLD_US = 180 * QUIET_US  # behind which one is forgotten
_LOOKED = 50  # that may be forgotten, in one look
FRAME = 4_200  # bytes of one; the longest frame of SL 651 has 4,112


class Lost(NamedTuple):
    """Something of nobody's: `said` are (quantity, time, value, quality)."""

    source: Source
    why: str
    said: Sequence[tuple[int, int, int, int]]
    received_us: int
    frame: bytes
    peer: str
    hold: str = ""


def keep(session: Session, lost: Lost) -> bool:
    """Keep it, once; False where a bound is reached: then it is counted, and no more."""
    kind, address, meter = lost.source.kind[:16], lost.source.address[:40], lost.source.meter[:14]
    row = session.get(LegacyStranger, (kind, address, meter))
    if row is None:
        count = session.scalar(select(func.count()).select_from(LegacyStranger)) or 0
        if count >= MOST and not _make_room(session, lost.received_us, kept_least=0):
            return False
        row = LegacyStranger(
            kind=kind, address=address, meter=meter, why=lost.why, peer="",
            first_us=lost.received_us, last_us=lost.received_us, seen=0, kept=0,
        )  # fmt: skip
        session.add(row)
    row.why, row.peer, row.last_us = lost.why, lost.peer[:64], lost.received_us
    row.seen += 1
    said = json.dumps([list(one) for one in lost.said], separators=(",", ":"))
    frame = lost.frame[:FRAME]
    told = f"{kind}\n{address}\n{meter}\n{frame.hex() or said}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:32]
    session.flush()
    if session.scalar(select(LegacyKept.id).where(LegacyKept.digest == digest)) is not None:
        return True
    if row.kept >= EACH:
        return False
    if kept(session) >= ALL and not _make_room(session, lost.received_us, kept_least=1):
        return False
    row.kept += 1
    session.execute(
        insert(LegacyKept).values(
            digest=digest, kind=kind, address=address, meter=meter,
            received_us=lost.received_us, frame=frame, said=said, hold=lost.hold[:40],
        )
    )  # fmt: skip
    return True


def _make_room(session: Session, now_us: int, kept_least: int) -> bool:
    """Forget one: of those silent for a day and unknown still, who sent least and longest ago.

    So a flood of invented addresses takes the room for a day at most, and who speaks keeps it.
    """
    found = _unknown(
        session,
        select(LegacyStranger)
        .where(LegacyStranger.last_us < now_us - QUIET_US, LegacyStranger.kept >= kept_least)
        .order_by(LegacyStranger.seen, LegacyStranger.last_us)
        .limit(_LOOKED),
    )
    if found:
        _forget(session, found[0])
    return bool(found)


def waits(session: Session, now_us: int) -> bool:
    """Whether `expire` may find something."""
    old = select(LegacyStranger.kind).where(LegacyStranger.last_us < now_us - OLD_US).limit(1)
    return session.scalar(old) is not None


def expire(session: Session, now_us: int) -> int:
    """Forget some that are unknown still and silent for half a year; how many."""
    found = _unknown(
        session,
        select(LegacyStranger)
        .where(LegacyStranger.last_us < now_us - OLD_US)
        .order_by(LegacyStranger.last_us)
        .limit(_LOOKED),
    )
    for row in found:
        _forget(session, row)
    return len(found)


def forget(session: Session, text: str) -> int:
    """Forget those with this address, and those last heard from this network address; how many."""
    mine = (LegacyStranger.address == text) | (LegacyStranger.peer == text)
    found = list(session.scalars(select(LegacyStranger).where(mine)))
    for row in found:
        _forget(session, row)
    return len(found)


def _unknown(session: Session, asked: Select[LegacyStranger]) -> list[LegacyStranger]:
    """Those of them that the inventory does not know by now: else they wait to be taken in."""
    rows = list(session.scalars(asked))
    known = sources.find(session, (Source(row.kind, row.address, row.meter) for row in rows))
    return [row for row in rows if (row.kind, row.address) not in known]


def _forget(session: Session, row: LegacyStranger) -> None:
    session.execute(
        delete(LegacyKept).where(
            LegacyKept.kind == row.kind, LegacyKept.address == row.address,
            LegacyKept.meter == row.meter,
        )
    )  # fmt: skip
    session.delete(row)
    session.flush()


def kept(session: Session) -> int:
    """How much is kept of all together."""
    return session.scalar(select(func.coalesce(func.sum(LegacyStranger.kept), 0))) or 0


def waiting(
    session: Session, source: Source, most: int, let: Sequence[str] = ()
) -> list[tuple[int, LegacyKept]]:
    """What is kept of one and is not held back, or for a reason among `let`; oldest first."""
    rows = session.scalars(
        select(LegacyKept)
        .where(
            LegacyKept.kind == source.kind, LegacyKept.address == source.address,
            LegacyKept.meter == source.meter, LegacyKept.hold.in_(("", *let)),
        )
        .order_by(LegacyKept.id)
        .limit(most)
    )  # fmt: skip
    return [(row.id, row) for row in rows]


def said(row: LegacyKept) -> list[tuple[int, int, int, int]]:
    """What it said: (quantity, time, value, quality)."""
    return [tuple(one) for one in json.loads(row.said)]


def done(session: Session, source: Source, ids: Sequence[int]) -> None:
    """These have become readings; a stranger of whom nothing is left is one no more."""
    session.execute(delete(LegacyKept).where(LegacyKept.id.in_(list(ids))))
    mine = (
        (LegacyStranger.kind == source.kind)
        & (LegacyStranger.address == source.address)
        & (LegacyStranger.meter == source.meter)
    )
    session.execute(update(LegacyStranger).where(mine).values(kept=LegacyStranger.kept - len(ids)))
    session.execute(delete(LegacyStranger).where(mine, LegacyStranger.kept <= 0))
