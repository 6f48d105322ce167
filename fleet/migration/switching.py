"""Write handovers down: segments end, others begin, each with its evidence."""

from collections.abc import Sequence

from fleet.migration import ledger
from fleet.migration.desk import Desk
from fleet.migration.handover import Handover
from fleet.migration.ledger import Closing, Key, Opening, Standing
from fleet.migration.ledger_tables import RegisterSegment

Switch = tuple[Standing, Handover, int | None]  # and the item


def switch(desk: Desk, switches: Sequence[Switch]) -> None:
    """All of them at once, in the desk's transaction."""
    closings: list[tuple[RegisterSegment, Closing, int]] = []
    openings: list[tuple[Key, int, Opening, int, int, int | None, int]] = []
    for standing, made, item_id in switches:
        segment, closing = standing.segment, made.closing
        if segment.to_us is None:
            body = {
                "register": segment.register, "number": segment.number,
                "terminal": segment.terminal_id, "to_us": closing.to_us,
                "end_index": closing.end_index, "last_us": closing.walked.at_us,
                "last_raw": closing.walked.raw, "total": closing.walked.total,
            }  # fmt: skip
            evidence_id = desk.note(
                "segment-end", body, item_id=item_id, asset_id=segment.asset_id
            )
            closings.append((segment, closing, evidence_id))
        if made.opening is None:
            continue
        number = segment.number + 1
        evidence_id = desk.note(
            "segment",
            {
                "register": segment.register, "number": number,
                **ledger.said(made.opening, closing.to_us, closing.end_index),
            },
            item_id=item_id, asset_id=segment.asset_id,
        )  # fmt: skip
        openings.append(
            (standing.key, number, made.opening, closing.to_us, closing.end_index, item_id,
             evidence_id)
        )  # fmt: skip
    desk.store_evidence()
    ledger.close(desk, closings)
    ledger.open_next(desk, openings)
