"""Lists of what speaks as an old terminal: those that are known, and strangers."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.legacy import intake, sources
from fleet.legacy.intake import Source, Stored
from fleet.legacy.tables import (
    LegacyConflict,
    LegacyKept,
    LegacyLink,
    LegacyStranger,
    LegacyUnmapped,
)
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.registry.legacy import KIND
from fleet.registry.operations import RegistryError
from fleet.registry.tables import Terminal

PAGE = 1_000
VARIANTS = ("modbus-crc",)


class Speaking(NamedTuple):
    """An old terminal that was heard; times in us since 1970 UTC, None where never."""

    terminal_id: str
    number: str
    protocol: str
    address: str
    state: str
    heard_us: int | None
    peer: str
    since_us: int | None
    moves: int
    allowed: str
    used: str
    conflicts: int
    unmapped: tuple[str, ...]


class Stranger(NamedTuple):
    """Who sent something that is nobody's."""

    kind: str
    address: str
    meter: str
    why: str
    peer: str
    first_us: int
    last_us: int
    seen: int
    kept: int
    frame: str  # the newest that is kept, hexadecimal


def speaking(session: Session, after: str = "", limit: int = PAGE) -> list[Speaking]:
    """Old terminals that were heard or are tolerated something, by id, those behind `after`."""
    rows = session.execute(
        select(Terminal, LegacyTerminal, LegacyLink)
        .outerjoin(LegacyTerminal, LegacyTerminal.terminal_id == Terminal.id)
        .outerjoin(LegacyLink, LegacyLink.terminal_id == Terminal.id)
        .where(
            Terminal.kind == KIND, Terminal.id > after,
            Terminal.last_report_us.is_not(None) | LegacyLink.terminal_id.is_not(None),
        )
        .order_by(Terminal.id)
        .limit(limit)
    ).all()  # fmt: skip
    ids = [terminal.id for terminal, _, _ in rows]
    mine = LegacyConflict.terminal_id
    counted = select(mine, func.count()).where(mine.in_(ids)).group_by(mine)
    conflicts: dict[str, int] = {row[0]: row[1] for row in session.execute(counted)}
    strange: dict[str, list[str]] = {}
    for terminal_id, key in session.execute(
        select(LegacyUnmapped.terminal_id, LegacyUnmapped.key)
        .where(LegacyUnmapped.terminal_id.in_(ids))
        .order_by(LegacyUnmapped.key)
    ):
        strange.setdefault(terminal_id, []).append(key)
    return [
        Speaking(
            terminal.id, known.number if known else "", known.protocol if known else "",
            (known.address or "") if known else "", terminal.state, terminal.last_report_us,
            link.peer if link else "", link.since_us if link else None, link.moves if link else 0,
            link.allowed if link else "", link.used if link else "",
            conflicts.get(terminal.id, 0), tuple(strange.get(terminal.id, ())),
        )
        for terminal, known, link in rows
    ]  # fmt: skip


def strangers(session: Session, limit: int = PAGE) -> list[Stranger]:
    """The newest first."""
    frame = (
        select(LegacyKept.frame)
        .where(
            LegacyKept.kind == LegacyStranger.kind, LegacyKept.address == LegacyStranger.address,
            LegacyKept.meter == LegacyStranger.meter,
        )
        .order_by(LegacyKept.id.desc())
        .limit(1)
        .scalar_subquery()
    )  # fmt: skip
    rows = session.execute(
        select(LegacyStranger, frame).order_by(LegacyStranger.last_us.desc()).limit(limit)
    )
    return [
        Stranger(
            row.kind, row.address, row.meter, row.why, row.peer, row.first_us, row.last_us,
            row.seen, row.kept, (raw or b"").hex().upper(),
        )
        for row, raw in rows
    ]  # fmt: skip


def take_in(session: Session, stranger: Stranger) -> list[Stored]:
    """What was kept of one that is known by now becomes readings."""
    return intake.take_kept(session, Source(stranger.kind, stranger.address, stranger.meter))


def find(session: Session, text: str) -> str:
    """The id of the old terminal that has this id or number; RegistryError where none has."""
    for kind in (sources.TERMINAL, sources.NUMBER):
        found = sources.find(session, [Source(kind, text)]).get((kind, text))
        if found is not None:
            return found.terminal_id
    raise RegistryError(f"no old terminal {text[:40]!r}: kapok migrate import")
