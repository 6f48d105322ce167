"""The continuity ledger: by which terminal's register an asset is billed, and its index."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from fleet.migration import limits
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.ledger_tables import BillLine, RegisterSegment
from fleet.migration.limits import Limit
from fleet.migration.policy import Policy
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import Meaning, Most, Read, Walked, scaled, walk
from fleet.registry.tables import Asset

Key = tuple[int, int]  # asset, register

# Why a segment began.
FIRST = "first"  # the ledger begins with it
SWAP = "swap"  # another terminal
BACK = "back"  # a rollback to the one before
UNIT = "unit"  # the same terminal counts in another unit
CLOCK = "clock"  # its clock was set, or its counter is another
SET = "set"  # the same terminal, its register set anew


class Standing(NamedTuple):
    """An asset's register: its segments, of which the last is open, or closed where the register
    was retired; its last bill line; and what its programme says of it.
    """

    segments: tuple[RegisterSegment, ...]
    line: BillLine | None
    limit: Limit

    @property
    def policy(self) -> Policy:
        """Its programme's, else the default."""
        return self.limit.policy or Policy()

    def most(self, meaning: Meaning) -> Most | None:
        """What a reading may add that is read so."""
        return self.limit.most(meaning, self.segment.register)

    @property
    def segment(self) -> RegisterSegment:
        """The last one."""
        return self.segments[-1]

    def last_of(self, terminal_id: str) -> RegisterSegment | None:
        """The last one that has ended of a terminal."""
        mine = (one for one in reversed(self.segments) if one.terminal_id == terminal_id)
        return next((one for one in mine if one.to_us is not None), None)

    @property
    def key(self) -> Key:
        return self.segment.asset_id, self.segment.register

    @property
    def boundary_us(self) -> int:
        """What came before it is billed, or of an earlier segment: it is not changed any more."""
        billed = self.line.to_us if self.line is not None else self.segment.from_us
        return max(billed, self.segment.from_us)

    def start(self) -> Walked:
        """From where its readings are to be walked."""
        return start_of(self.segment, self.line)

    def reached(self, walked: Walked) -> int:
        """The asset's index where its counter stands so."""
        return index_of(self.segment, self.line, walked)


class Closing(NamedTuple):
    """How a segment ends: when, at which index, by which reading."""

    to_us: int
    end_index: int
    walked: Walked


class Opening(NamedTuple):
    """How the next one begins."""

    terminal_id: str
    kind: str
    pair: str
    meaning: Meaning
    first_us: int
    first_raw: int
    base_index: int


def meaning_of(segment: RegisterSegment) -> Meaning:
    """How its raw register is read."""
    return Meaning(
        segment.unit, segment.decimals, segment.modulus, segment.clock_shift_s, segment.step
    )


def start_of(segment: RegisterSegment, line: BillLine | None) -> Walked:
    """The reading behind its last bill line, or its first."""
    if line is not None and line.segment_no == segment.number:
        return Walked(line.total, line.read_us, line.read_raw)
    return Walked(0, segment.first_us, segment.first_raw)


def index_of(segment: RegisterSegment, line: BillLine | None, walked: Walked) -> int:
    """The index of a counter's state; never under what was billed."""
    least = segment.start_index if line is None else max(segment.start_index, line.to_index)
    return max(least, counted(segment, walked.total))


def counted(segment: RegisterSegment, total: int) -> int:
    """The index that a segment's counts come to, whatever was billed before they were known."""
    return segment.base_index + scaled(total, meaning_of(segment), segment.register)


def hold(session: Session, asset_ids: Sequence[int]) -> None:
    """Before their standings are read to change something: who else does waits until this
    transaction has ended, and then reads what it left (PostgreSQL; SQLite has one writer).
    """
    session.execute(
        select(Asset.id)
        .where(Asset.id.in_(asset_ids))
        .order_by(Asset.id)
        .with_for_update(key_share=True)
    ).all()


def standings(session: Session, asset_ids: Sequence[int]) -> dict[Key, Standing]:
    """Of those assets that the ledger has."""
    segments: dict[Key, list[RegisterSegment]] = {}
    for segment in session.scalars(
        select(RegisterSegment)
        .where(RegisterSegment.asset_id.in_(asset_ids))
        .order_by(RegisterSegment.asset_id, RegisterSegment.register, RegisterSegment.number)
        .execution_options(populate_existing=True)
    ):
        segments.setdefault((segment.asset_id, segment.register), []).append(segment)
    newest = (
        select(BillLine.asset_id, BillLine.register, func.max(BillLine.number))
        .where(BillLine.asset_id.in_(asset_ids))
        .group_by(BillLine.asset_id, BillLine.register)
    )
    lines = {
        (line.asset_id, line.register): line
        for line in session.scalars(
            select(BillLine).where(
                tuple_(BillLine.asset_id, BillLine.register, BillLine.number).in_(newest)
            )
        )
    }
    known = limits.of_assets(session, asset_ids)
    return {
        key: Standing(tuple(found), lines.get(key), known.get(key[0], limits.NONE))
        for key, found in segments.items()
    }


def reads_since(
    session: Session, standing_: Iterable[Standing], until_us: int
) -> list[list[Read]]:
    """Of each the billed terminal's readings behind its start."""
    return fetch(
        session,
        [
            Want(*one.key, one.segment.terminal_id, meaning_of(one.segment), one.start().at_us,
                 until_us)
            for one in standing_
        ],
    )  # fmt: skip


def index_at(session: Session, asset_id: int, register: int, at_us: int) -> int | None:
    """The billing index at a time: by the last reading before it; None: before the ledger."""
    segment = session.scalar(
        select(RegisterSegment)
        .where(
            RegisterSegment.asset_id == asset_id, RegisterSegment.register == register,
            RegisterSegment.from_us <= at_us,
        )
        .order_by(RegisterSegment.number.desc()).limit(1)
    )  # fmt: skip
    if segment is None:
        return None
    if segment.to_us is not None and at_us >= segment.to_us:
        return segment.end_index
    line = session.scalar(
        select(BillLine)
        .where(
            BillLine.asset_id == asset_id, BillLine.register == register, BillLine.to_us <= at_us
        )
        .order_by(BillLine.number.desc()).limit(1)
    )  # fmt: skip
    start = start_of(segment, line)
    want = Want(asset_id, register, segment.terminal_id, meaning_of(segment), start.at_us, at_us)
    (reads,) = fetch(session, [want])
    known = limits.of_assets(session, [asset_id]).get(asset_id, limits.NONE)
    most = known.most(meaning_of(segment), register)
    index = index_of(segment, line, walk(start, reads, segment.modulus, most))
    return index if segment.end_index is None else min(index, segment.end_index)


def close(desk: Desk, closings: Sequence[tuple[RegisterSegment, Closing, int]]) -> None:
    """End segments; each with the id of its evidence, which is stored already."""
    rows: list[dict[str, Any]] = [
        {
            "id": segment.id, "to_us": end.to_us, "end_index": end.end_index,
            "last_us": end.walked.at_us, "last_raw": end.walked.raw, "total": end.walked.total,
            "closed_by": evidence_id,
        }
        for segment, end, evidence_id in closings
    ]  # fmt: skip
    if rows:
        desk.session.execute(update(RegisterSegment), rows)


def open_next(
    desk: Desk,
    openings: Sequence[tuple[Key, int, Opening, int, int, int | None, int]],
) -> None:
    """Begin segments: (key, number, opening, from_us, start_index, item, evidence) of each."""
    rows: list[dict[str, Any]] = [
        {
            "asset_id": asset_id, "register": register, "number": number,
            "previous": number - 1 if number else None, "terminal_id": new.terminal_id,
            "kind": new.kind, "pair": new.pair, "from_us": from_us, "unit": new.meaning.unit,
            "decimals": new.meaning.decimals, "modulus": new.meaning.modulus,
            "clock_shift_s": new.meaning.clock_shift_s, "step": new.meaning.step,
            "first_us": new.first_us, "first_raw": new.first_raw, "base_index": new.base_index,
            "start_index": start_index, "item_id": item_id, "evidence_id": evidence_id,
        }
        for (asset_id, register), number, new, from_us, start_index, item_id, evidence_id
        in openings
    ]  # fmt: skip
    if rows:
        desk.session.execute(insert(RegisterSegment), rows)


def said(opening: Opening, from_us: int, start_index: int) -> dict[str, Any]:
    """What the evidence of a segment says: all that its index depends on."""
    return {
        "terminal": opening.terminal_id, "why": opening.kind, "pair": opening.pair,
        "from_us": from_us, "start_index": start_index, "base_index": opening.base_index,
        "first_us": opening.first_us, "first_raw": opening.first_raw,
        **opening.meaning._asdict(),
    }  # fmt: skip


def need(found: dict[Key, Standing], key: Key) -> Standing:
    """The register's; LedgerError."""
    standing = found.get(key)
    if standing is None:
        raise LedgerError(
            f"asset id:{key[0]} is not in the ledger: kapok migrate work ready PROGRAMME"
        )
    return standing
