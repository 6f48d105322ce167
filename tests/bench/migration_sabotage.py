"""Guards of the ledger that the campaign takes away, to see that it notices."""

from typing import Any

from fleet.migration import cutover, dualrun, handover, invariants, reads
from fleet.migration.handover import Handover

NONE = ""
UNTIED = "untied"  # the new terminal's dial is the bill's index, whatever the old one showed
BOTH = "both"  # of a dual run both terminals' readings are billed
NAMES = (UNTIED, BOTH)


def apply(name: str) -> None:
    """In this process, for ever."""
    if name == NONE:
        return
    _replace(invariants, "first", lambda *_args: None)
    if name == UNTIED:
        for module in (cutover, dualrun):
            for known in ("hand_over", "by_dials"):
                if hasattr(module, known):
                    _replace(module, known, _untied(getattr(handover, known)))
    elif name == BOTH:
        _replace(reads.Reading, "terminal_id", _Any())
    else:
        raise ValueError(name)


def _replace(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _untied(made: Any) -> Any:
    def act(*args: Any, **more: Any) -> Handover:
        found: Handover = made(*args, **more)
        if found.opening is None:
            return found
        opening = found.opening._replace(base_index=found.opening.first_raw)
        return found._replace(opening=opening)

    return act


class _Any:
    """A column that is equal to everything."""

    def __eq__(self, _other: object) -> Any:
        from sqlalchemy import true

        return true()

    __hash__ = None  # type: ignore[assignment]
