"""A person's word on an exception: what he lets count is money, so it is put on record."""

from fleet.migration.desk import Desk
from fleet.telemetry.metering import holds, worklist


def close(desk: Desk, number: int, outcome: str, note: str) -> int:
    """Close an exception; how many held readings count from now on, or never will."""
    row = worklist.close(desk.session, number, outcome, desk.person, note, desk.now_us)
    held = holds.of_exception(desk.session, number) if outcome != worklist.NOTED else []
    count = holds.decide(desk.session, held, outcome)
    body = {
        "exception": number, "kind": row.kind, "outcome": outcome, "note": note,
        "register": row.register,
        "readings": [[one.at_us, one.raw] for one in held if one.outcome == outcome],
    }  # fmt: skip
    desk.note("exception", body, asset_id=row.asset_id)
    desk.done([row.asset_id])
    return count
