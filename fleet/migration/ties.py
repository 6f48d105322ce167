"""What an audit proves of handovers: a segment's base is what the one before it had counted."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import ledger, limits
from fleet.migration.breaches import Breach
from fleet.migration.handover import DIALS
from fleet.migration.ledger_tables import RegisterSegment
from fleet.migration.limits import Limit
from fleet.migration.scaling import Read, steps
from fleet.migration.swap_tables import MigrationSwap

Seen = Mapping[tuple[int, str], set[int]]  # (asset, terminal) -> indices


def visits(session: Session, asset_ids: Sequence[int]) -> Seen:
    """The indices at which visits saw both dials of these assets, by the terminal that came."""
    found: dict[tuple[int, str], set[int]] = {}
    for asset_id, terminal_id, index in session.execute(
        select(
            MigrationSwap.asset_id, MigrationSwap.terminal_id, MigrationSwap.first_index
        ).where(
            MigrationSwap.asset_id.in_(asset_ids), MigrationSwap.first_index.is_not(None)
        )
    ):  # fmt: skip
        if terminal_id is not None and index is not None:
            found.setdefault((asset_id, terminal_id), set()).add(index)
    return found


def untied(
    segments: Sequence[RegisterSegment], reads: Mapping[int, Sequence[Read]], seen: Seen,
    limit: Limit = limits.NONE,
) -> Iterator[Breach]:  # fmt: skip
    """Of one register's segments, in their order."""
    for place, segment in enumerate(segments):
        if place and segment.base_index not in _ties(
            segments[:place], segment, reads, seen, limit
        ):
            yield Breach(
                "I1", segment.asset_id, segment.register,
                f"segment {segment.number} ({segment.terminal_id}) counts on from "
                f"{segment.base_index}, which the one before it never came to",
            )  # fmt: skip


def _ties(
    before: Sequence[RegisterSegment], segment: RegisterSegment,
    reads: Mapping[int, Sequence[Read]], seen: Seen, limit: Limit,
) -> set[int]:  # fmt: skip
    """The indices from which it may count on."""
    last = before[-1]
    found = {ledger.counted(last, last.total or 0)}
    if segment.pair != DIALS:
        return found
    # By dials that a visit saw, by where it was left when it was billed before, or by a moment at
    # which both told something.
    found |= seen.get((segment.asset_id, segment.terminal_id), set())
    for one in before:
        if one.terminal_id == segment.terminal_id and one.total is not None:
            found.add(ledger.counted(one, one.total))
    start = ledger.start_of(last, None)
    most = limit.most(ledger.meaning_of(last), last.register)
    for state in steps(start, list(reads[last.id]), last.modulus, most):
        if state.at_us == segment.first_us:
            found.add(ledger.counted(last, state.total))
    return found
