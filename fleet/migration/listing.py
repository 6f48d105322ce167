"""An asset's ledger as people and scripts see it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import ledger
from fleet.migration.breaches import LedgerError
from fleet.migration.ledger_tables import BillLine, RegisterSegment
from fleet.registry.operations import now_us

PAGE = 1000


def of_asset(session: Session, asset_id: int) -> dict[str, Any]:
    """Its segments and newest bill lines, oldest first, and the index now; LedgerError."""
    segments = session.scalars(
        select(RegisterSegment)
        .where(RegisterSegment.asset_id == asset_id)
        .order_by(RegisterSegment.register, RegisterSegment.number)
        .limit(PAGE)
    ).all()
    if not segments:
        raise LedgerError(
            f"asset id:{asset_id} is not in the ledger: kapok migrate work ready PROGRAMME"
        )
    lines = session.scalars(
        select(BillLine)
        .where(BillLine.asset_id == asset_id)
        .order_by(BillLine.id.desc())
        .limit(PAGE)
    ).all()
    registers = sorted({one.register for one in segments})
    return {
        "asset_id": asset_id,
        "index": {
            str(register): ledger.index_at(session, asset_id, register, now_us())
            for register in registers
        },
        "segments": [
            {
                "register": one.register, "number": one.number, "terminal": one.terminal_id,
                "from_us": one.from_us, "to_us": one.to_us, "from_index": one.start_index,
                "to_index": one.end_index, "why": one.kind, "pair": one.pair,
                "over": _over(one, segments), "evidence": one.evidence_id,
                **ledger.meaning_of(one)._asdict(),
            }
            for one in segments
        ],
        "lines": [
            {
                "register": one.register, "from_us": one.from_us, "to_us": one.to_us,
                "from_index": one.from_index, "to_index": one.to_index,
                "used": one.to_index - one.from_index, "reason": one.reason,
            }
            for one in reversed(lines)
        ],
    }  # fmt: skip


def _over(segment: RegisterSegment, segments: Sequence[RegisterSegment]) -> int:
    """What was billed over its counter where it ended for good: no reading of a later one comes
    up to it any more.
    """
    key = segment.register, segment.number + 1
    if segment.end_index is None or any((one.register, one.number) == key for one in segments):
        return 0
    return segment.end_index - max(
        ledger.counted(segment, segment.total or 0), segment.start_index
    )
