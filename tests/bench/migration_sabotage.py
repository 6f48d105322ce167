"""Guards of the ledger that the campaign takes away, to see that it notices."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import billing, cutover, dualrun, handover, invariants, limits, reads
from fleet.migration.handover import Handover
from fleet.migration.reads import Want
from fleet.migration.scaling import Read
from fleet.telemetry.tables import Reading

NONE = ""
UNTIED = "untied"  # the new terminal's dial is the bill's index, whatever the old one showed
BOTH = "both"  # whichever terminal of a dual run told it, it is billed
NAMES = (UNTIED, BOTH)


def apply(name: str, replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """In this process; `replace` as setattr."""
    if name == NONE:
        return
    replace(invariants, "first", lambda *_args: None)
    if name == UNTIED:
        for module in (cutover, dualrun):
            for known in ("hand_over", "by_dials"):
                if hasattr(module, known):
                    replace(module, known, _untied(getattr(handover, known)))
    elif name == BOTH:
        replace(billing, "fetch", _of_all)
        # What adds too much at once would be left out, and so hide it.
        replace(limits.Limit, "most", lambda *_args: None)
    else:
        raise ValueError(name)


def _untied(made: Callable[..., Handover]) -> Callable[..., Handover]:
    def act(*args: Any, **more: Any) -> Handover:
        found = made(*args, **more)
        if found.opening is None:
            return found
        opening = found.opening._replace(base_index=found.opening.first_raw)
        return found._replace(opening=opening)

    return act


def _of_all(session: Session, wants: Sequence[Want]) -> list[list[Read]]:
    """Of each asset's register the readings of whoever told them."""
    found = []
    for want in wants:
        terminals = session.scalars(
            select(Reading.terminal_id).where(Reading.asset_id == want.asset_id).distinct()
        ).all()
        several = reads.fetch(session, [want._replace(terminal_id=one) for one in terminals])
        found.append(sorted((read for each in several for read in each), key=lambda one: one[0]))
    return found
